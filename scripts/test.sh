#!/usr/bin/env bash
# All tests: the workspace's, then the suite on a local control plane.
# usage: scripts/test.sh [--no-local]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# The tests beside a real OpenBao, which are skipped without it; nothing happens when the right version is there.
mock-pki/tests/install-openbao.sh || echo "OpenBao cannot be installed" >&2
# All of it, whatever fails.
cargo test --locked --workspace --no-fail-fast
if [ "${1-}" != --no-local ]; then
    scripts/e2e-local.sh
fi
