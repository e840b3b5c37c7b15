#!/usr/bin/env bash
# Records anew what a real API server answers to the sequences in fixtures/kubernetes/{apply,validate}: every
# request of every file is sent to the cluster of $KUBECONFIG, in order, and its answer is written beside it. What
# differs from run to run is evened out: uids, times (one second apart, by the step that first shows them) and
# resourceVersions (1, 2, … by first sight). Needs kubectl and python3; use a cluster that may be written to, such
# as e2e/control-plane. usage: scripts/record-writes.sh [file…], by default all
set -euo pipefail
cd "$(dirname "$0")/.."
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
kubectl proxy --port "$port" >/dev/null &
proxy=$!
trap 'kill "$proxy"' EXIT
kubectl apply -f deploy/crds >/dev/null
python3 - "http://127.0.0.1:$port" "$@" <<'PYTHON'
import copy, glob, json, re, sys, time, urllib.error, urllib.parse, urllib.request

base, *wanted = sys.argv[1:]

def call(method, path, query=None, body=None, content_type="application/json"):
    url = base + path + ("?" + urllib.parse.urlencode(query) if query else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": content_type, "Accept": "application/json"}, method=method)
    for _ in range(50):
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer), answer.headers.get_all("Warning") or []
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), []
        except urllib.error.URLError:
            time.sleep(0.2)
    raise SystemExit("no answer from the proxy")

def walk(value, change):
    def inner(key, value):
        if isinstance(value, dict):
            return {key: inner(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [inner(None, item) for item in value]
        return change(key, value)

    return inner(None, value)

def subject(request):
    path = re.sub(r"/status$", "", request["path"])
    return f"{path}/{request['body']['metadata']['name']}" if request["method"] == "POST" else path

for folder in ("apply", "validate"):
    crds = glob.glob(f"fixtures/kubernetes/{folder}/crd.json")
    for file in crds:
        crd = json.load(open(file))
        call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", None, crd)
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"
        established = False
        while not established:
            time.sleep(0.2)
            conditions = call("GET", path)[1].get("status", {}).get("conditions") or []
            established = any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
        time.sleep(3)
    for file in sorted(glob.glob(f"fixtures/kubernetes/{folder}/*.json")):
        if file in crds or wanted and file not in wanted:
            continue
        sequence = json.load(open(file))
        subjects = {subject(step["request"]) for step in sequence["steps"]}
        def clear():
            for subject in subjects:
                call("PATCH", subject, None, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
                call("DELETE", subject)
        clear()
        versions, times, latest = {}, {}, None
        for at, step in enumerate(sequence["steps"]):
            request = copy.deepcopy(step["request"])
            body = walk(request.get("body"), lambda key, item: latest if item == "$resourceVersion" else item)
            time.sleep(1.05)
            code, answer, warnings = call(request["method"], request["path"], request.get("query"), body, request["contentType"])
            version = (answer.get("metadata") or {}).get("resourceVersion")
            latest = version or latest
            given = set(re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", json.dumps([s["request"] for s in sequence["steps"]])))
            def even(key, item):
                if key == "uid" and isinstance(item, str) and item not in json.dumps(request):
                    return "uid"
                if key == "resourceVersion" and isinstance(item, str):
                    return versions.setdefault(item, str(len(versions) + 1))
                if isinstance(item, str):
                    return re.sub(
                        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
                        lambda found: found[0] if found[0] in given else times.setdefault(found[0], f"2026-01-01T00:01:{at:02}Z"),
                        item,
                    )
                return item
            step["answer"] = {"code": code, "body": walk(answer, even)}
            if warnings:
                step["answer"]["warnings"] = warnings
        clear()
        with open(file, "w") as out:
            json.dump(sequence, out, indent=1, ensure_ascii=False)
            out.write("\n")
        print(file, len(sequence["steps"]), "steps")
PYTHON
