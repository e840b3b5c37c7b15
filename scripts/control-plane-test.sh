#!/usr/bin/env bash
# The control plane's own tests: gofmt, vet, the launcher, and, where kubectl is there, the page about it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

require go
binary=$(e2e/control-plane/build.sh)
cd e2e/control-plane
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
    printf 'gofmt: %s\n' "$unformatted" >&2
    exit 1
fi
go vet ./launch ./selftest ./manifests
go test ./launch
if command -v kubectl >/dev/null; then
    go test ./selftest -control-plane "$binary"
else
    echo "no kubectl: the test of e2e/control-plane/README.md is left out" >&2
fi
