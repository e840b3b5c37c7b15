#!/usr/bin/env bash
# A real cert-manager on the simulated API server: it issues a Certificate through the real controller, over HTTPS.
# Needs kubectl, and Go 1.26 unless e2e/control-plane was built before.
# usage: scripts/cert-manager-on-sim.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

command -v kubectl >/dev/null || { echo "this needs kubectl: https://kubernetes.io/docs/tasks/tools/" >&2; exit 1; }

work=$(mktemp -d)
started=()
clean_up() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# background NAME COMMAND…: runs it until the end of this script.
background() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    started+=($!)
}

control_plane=$(e2e/control-plane/build.sh)
cargo build --locked --package sim-kube --features cli --bin sim-kube
cargo build --locked --package external-issuer
programs=$CARGO_TARGET_DIR/debug

mkdir "$work/crds"
cp "$(dirname "$control_plane")"/crds/*.yaml deploy/crds/*.yaml "$work/crds/"
background sim-kube "$programs/sim-kube" --kubeconfig "$work/kubeconfig" --crds "$work/crds"
for _ in $(seq 300); do
    if grep -q '^export KUBECONFIG' "$work/sim-kube.log"; then break; fi
    sleep 0.1
done
kubectl() { command kubectl --kubeconfig "$work/kubeconfig" --cache-dir "$work/cache" "$@"; }
kubectl apply -f fixtures/cert-manager/rbac.yaml -f deploy/rbac >/dev/null

background cert-manager "$control_plane" cert-manager --kubeconfig "$work/kubeconfig" \
    --healthz-listen-address 127.0.0.1:0 --cluster-resource-namespace cert-manager
background external-issuer "$programs/external-issuer" run --kubeconfig "$work/kubeconfig" \
    --metrics-bind-address 0 --health-probe-bind-address 0
kubectl apply -f - <<YAML
apiVersion: external-issuer.io/v1alpha1
kind: ExternalClusterIssuer
metadata: {name: mock}
spec: {signerType: mockca}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: default}
spec:
  secretName: web-tls
  dnsNames: [web.example.com]
  privateKey: {algorithm: ECDSA, size: 256}
  issuerRef: {group: external-issuer.io, kind: ExternalClusterIssuer, name: mock}
YAML
if ! kubectl wait --for=condition=Ready certificate/web --timeout=60s; then
    tail -n 20 "$work"/*.log >&2
    exit 1
fi
kubectl get certificates,certificaterequests,secrets
