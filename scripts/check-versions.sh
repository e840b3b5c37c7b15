#!/usr/bin/env bash
# Fails if a version named elsewhere is not the one in e2e/control-plane/go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=kind/versions.env
. kind/versions.env

# required MODULE: its version in go.mod.
required() {
    sed -n "s|^[[:space:]]*\(require \)\{0,1\}$1 \(v[^ ]*\).*|\2|p" e2e/control-plane/go.mod | head -n 1
}

failed=0
# same WHAT NAMED MODULE
same() {
    local decided
    decided=$(required "$3")
    if [ "$2" != "$decided" ]; then
        echo "$1 is $2, but e2e/control-plane/go.mod requires $3 $decided" >&2
        failed=1
    fi
}
same "kind/versions.env: KUBERNETES_VERSION" "$KUBERNETES_VERSION" k8s.io/kubernetes
same "kind/versions.env: CERT_MANAGER_VERSION" "$CERT_MANAGER_VERSION" github.com/cert-manager/cert-manager
exit "$failed"
