#!/usr/bin/env bash
# A real cert-manager on the simulated API server, over HTTPS: it issues a Certificate through the real controller. There
# are two of it: by client-go's leader election one leads, and when it is killed the other takes over and issues too.
# Needs kubectl, and Go 1.26 unless e2e/control-plane was built before.
# usage: scripts/cert-manager-on-sim.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/background.sh

command -v kubectl >/dev/null || { echo "this needs kubectl: https://kubernetes.io/docs/tasks/tools/" >&2; exit 1; }

work=$(mktemp -d)
clean_up() {
    end_all
    rm -rf "$work"
}
trap clean_up EXIT

control_plane=$(e2e/control-plane/build.sh)
cargo build --locked --package sim-kube --features cli --bin sim-kube
cargo build --locked --package external-issuer
programs=$CARGO_TARGET_DIR/debug

mkdir "$work/crds"
cp "$(dirname "$control_plane")"/crds/*.yaml deploy/crds/*.yaml "$work/crds/"
background "$work/sim-kube.log" "$programs/sim-kube" --kubeconfig "$work/kubeconfig" --crds "$work/crds"
until_says "$work/sim-kube.log" '^export KUBECONFIG'
kubectl() { command kubectl --kubeconfig "$work/kubeconfig" --cache-dir "$work/cache" "$@"; }
kubectl apply -f fixtures/cert-manager/rbac.yaml -f deploy/rbac >/dev/null

# replica NAME: one of them. The Lease is given up sooner than by default (60, 40 and 15 s), so that nobody waits long.
replica() {
    background "$work/$1.log" "$control_plane" cert-manager --kubeconfig "$work/kubeconfig" \
        --healthz-listen-address 127.0.0.1:0 --cluster-resource-namespace cert-manager \
        --leader-elect --leader-election-lease-duration 5s --leader-election-renew-deadline 3s \
        --leader-election-retry-period 1s
}
# led_by PID: waits until the Lease names this process.
led_by() {
    local holder
    for _ in $(seq 300); do
        holder=$(kubectl --namespace kube-system get lease cert-manager-controller --ignore-not-found \
            --output 'jsonpath={.spec.holderIdentity}')
        if [[ $holder == *-$1-external-cert-manager-controller ]]; then return 0; fi
        sleep 0.1
    done
    echo "the Lease is held by \"$holder\", not by process $1" >&2
    exit 1
}
# issued NAME: makes a Certificate, and waits for it.
issued() {
    kubectl apply -f - <<YAML
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: $1, namespace: default}
spec:
  secretName: $1-tls
  dnsNames: [$1.example.com]
  privateKey: {algorithm: ECDSA, size: 256}
  issuerRef: {group: external-issuer.io, kind: ExternalClusterIssuer, name: mock}
YAML
    if ! kubectl wait --for=condition=Ready "certificate/$1" --timeout=60s; then
        tail -n 20 "$work"/*.log >&2
        exit 1
    fi
}

replica first
first=$!
led_by "$first"
replica second
second=$!
background "$work/external-issuer.log" "$programs/external-issuer" run --kubeconfig "$work/kubeconfig" \
    --metrics-bind-address 0 --health-probe-bind-address 0
kubectl apply -f - <<YAML
apiVersion: external-issuer.io/v1alpha1
kind: ExternalClusterIssuer
metadata: {name: mock}
spec: {signerType: mockca}
YAML
issued web
led_by "$first"
echo "killing the leader"
kill -KILL "$first"
led_by "$second"
issued after
kubectl get certificates,certificaterequests,secrets
kubectl --namespace kube-system get leases
