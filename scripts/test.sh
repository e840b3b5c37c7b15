#!/usr/bin/env bash
# All tests: the workspace's, then the suite on a local control plane.
# usage: scripts/test.sh [--no-local]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

cargo test --locked --workspace
if [ "${1-}" != --no-local ]; then
    scripts/e2e-local.sh
fi
