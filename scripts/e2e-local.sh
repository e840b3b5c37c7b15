#!/usr/bin/env bash
# The suite on a real control plane of this machine: builds what it needs, with progress, and runs it.
# usage: scripts/e2e-local.sh [FILTER] [--list] [--test-threads N] [--seed N] [--repeat N] [--state-dir DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# The controller with a clock that is wrong needs it; whoever may not install it loses that scenario only.
if [ ! -e /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing faketime" >&2
    (apt-get update -qq && apt-get install -y -qq faketime) >/dev/null 2>&1 || true
fi
command -v openssl >/dev/null || { echo "the suite judges certificates with openssl, which is missing" >&2; exit 1; }

e2e/control-plane/build.sh >/dev/null
if [ ! -e "$cache/tools/openbao" ]; then mock-pki/tests/install-openbao.sh; fi
cargo build --locked -p external-issuer -p mock-pki --bins
exec cargo test --locked -q -p e2e --test local -- "$@"
