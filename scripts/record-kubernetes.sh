#!/usr/bin/env bash
# Records fixtures/kubernetes/ from a running Kubernetes API server, cut to what crates/sim-kube serves.
# usage: KUBECONFIG=FILE scripts/record-kubernetes.sh     the user must be an administrator; nothing is written to the cluster
# needs: kubectl, curl, jq, gzip
set -euo pipefail
cd "$(dirname "$0")/.."
out=fixtures/kubernetes

# GROUP/RESOURCE[/SUBRESOURCE]; the core group has no name.
served='[
  "/namespaces", "/namespaces/finalize", "/namespaces/status",
  "/configmaps", "/events", "/secrets", "/serviceaccounts", "/serviceaccounts/token",
  "/pods", "/pods/status", "/services", "/services/status",
  "admissionregistration.k8s.io/mutatingwebhookconfigurations",
  "admissionregistration.k8s.io/validatingwebhookconfigurations",
  "admissionregistration.k8s.io/validatingadmissionpolicies",
  "admissionregistration.k8s.io/validatingadmissionpolicies/status",
  "admissionregistration.k8s.io/validatingadmissionpolicybindings",
  "apiextensions.k8s.io/customresourcedefinitions", "apiextensions.k8s.io/customresourcedefinitions/status",
  "authentication.k8s.io/selfsubjectreviews", "authentication.k8s.io/tokenreviews",
  "authorization.k8s.io/localsubjectaccessreviews", "authorization.k8s.io/selfsubjectaccessreviews",
  "authorization.k8s.io/selfsubjectrulesreviews", "authorization.k8s.io/subjectaccessreviews",
  "coordination.k8s.io/leases",
  "events.k8s.io/events",
  "rbac.authorization.k8s.io/clusterrolebindings", "rbac.authorization.k8s.io/clusterroles",
  "rbac.authorization.k8s.io/rolebindings", "rbac.authorization.k8s.io/roles"
]'
# What a fresh cluster lets its administrators, its users and an unknown caller do.
bootstrap='[
  "admin", "cluster-admin", "edit", "view",
  "system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view",
  "system:basic-user", "system:discovery", "system:public-info-viewer", "system:monitoring",
  "system:service-account-issuer-discovery"
]'

work=$(mktemp -d)
kubectl proxy --port=0 >"$work/proxy" &
proxy=$!
trap 'kill "$proxy"; rm -rf "$work"' EXIT
until grep -q 'Starting to serve' "$work/proxy"; do
    kill -0 "$proxy"
    sleep 0.1
done
server=http://$(sed -n 's/^Starting to serve on //p' "$work/proxy")
aggregated='application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
table='application/json;as=Table;v=v1;g=meta.k8s.io'

# get PATH [ACCEPT]
get() { curl --silent --show-error --fail --header "Accept: ${2:-application/json}" "$server$1"; }
# keep FILE: standard input as one of the fixtures, the same bytes for the same document.
keep() { gzip --best --no-name >"$out/$1"; }

mkdir -p "$out"
rm -f "$out"/*.json.gz
get /version | jq . >"$out/version.json"

for path in /api /apis; do get "$path" "$aggregated"; done |
    jq --slurp --compact-output --argjson served "$served" '
        {items: map(.items[] | (.metadata.name // "") as $group
            | .metadata = {name: $group}
            | .versions |= map(select(.version == "v1") | del(.freshness)
                | .resources |= map(.resource as $resource | select("\($group)/\($resource)" | IN($served[]))
                    | if .subresources then
                        .subresources |= map(select("\($group)/\($resource)/\(.subresource)" | IN($served[])))
                        | if .subresources == [] then del(.subresources) else . end
                      else . end)
                | select(.resources != []))
            | select(.versions != []))}' >"$work/discovery.json"
keep discovery.json.gz <"$work/discovery.json"

# Of the OpenAPI documents: the paths served, without prose and without media types that are not spoken, and the
# schemas that they reach, with prose, because `kubectl explain` shows it.
for group in $(jq --raw-output '.items[].metadata.name | if . == "" then "-" else . end' "$work/discovery.json"); do
    path=/openapi/v3/apis/$group/v1
    name=$group
    if [ "$group" = - ]; then
        path=/openapi/v3/api/v1
        name=core
        group=
    fi
    get "$path" | jq --compact-output --argjson served "$served" --arg group "$group" '
        def named: [.. | objects | .["$ref"]? // empty | strings | ltrimstr("#/components/schemas/")] | unique;
        def reached($schemas; $known; $new):
            if $new == [] then $known
            else ($known + $new) as $all
                | reached($schemas; $all; [$schemas[$new[]] | named[]] | unique | . - $all)
            end;
        def spoken: if . then with_entries(select(.key | IN("application/json", "*/*", "application/apply-patch+yaml"))) else empty end;
        .paths |= with_entries(
            select((.key | contains("/watch/") | not)
                and (.key | sub("^/(api/v1|apis/[^/]+/[^/]+)/"; "") | sub("^namespaces/\\{namespace\\}/"; "")
                    | sub("/\\{name\\}"; "") | "\($group)/\(.)" | IN($served[])))
            | .value |= with_entries(
                if .key == "parameters" then .value |= map(del(.description))
                else .value |= (
                    del(.tags, .description, .operationId)
                    | .parameters |= (if . then map(del(.description)) else empty end)
                    | .responses[].content |= spoken
                    | .requestBody |= (if . then .content |= spoken else empty end))
                end))
        | (.paths | named) as $roots
        | .components.schemas as $schemas
        | reached($schemas; []; $roots) as $kept
        | .components.schemas |= with_entries(select(.key | IN($kept[])))
        # DeleteOptions and WatchEvent belong to every group there is.
        | .components.schemas[] |= (if (.["x-kubernetes-group-version-kind"] // [] | length) > 2
            then .["x-kubernetes-group-version-kind"] |= map(select(.group == "" and .version == "v1")) else . end)' |
        keep "openapi-$name.json.gz"
done

# The columns of `kubectl get` come with an empty list too.
jq --raw-output '.items[] | .metadata.name as $group | .versions[].resources[] | select(.verbs | index("list"))
    | "\(.resource) /api\(if $group == "" then "" else "s/\($group)" end)/v1/\(.resource)"' "$work/discovery.json" |
    while read -r resource path; do
        get "$path?limit=1" "$table" | jq --compact-output --arg path "$path" '{key: $path, value: .columnDefinitions}'
    done | jq --slurp --compact-output from_entries | keep tables.json.gz

# shellcheck disable=SC2016 # $bootstrap is jq's
for resource in clusterroles clusterrolebindings; do get "/apis/rbac.authorization.k8s.io/v1/$resource"; done |
    jq --slurp --compact-output --argjson bootstrap "$bootstrap" '
        {items: map(.apiVersion as $apiVersion | (.kind | rtrimstr("List")) as $kind | .items[]
            | select(.metadata.name | IN($bootstrap[]))
            | {apiVersion: $apiVersion, kind: $kind} + .
            # What is aggregated follows from the rest, and in a cluster in use from more than that.
            | if .aggregationRule then .rules = [] else . end
            | .metadata |= {name, labels, annotations})}' | keep bootstrap.json.gz
