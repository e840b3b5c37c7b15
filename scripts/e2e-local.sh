#!/usr/bin/env bash
# The suite on a real control plane of this machine: builds what it needs, with progress, and runs it.
# usage: scripts/e2e-local.sh [FILTER] [--list] [--test-threads N] [--seed N] [--repeat N] [--state-dir DIR] [--record]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

require cargo go cc setpriv openssl python3

# faketime: the library for the scenarios with a wrong clock; unpacked, not installed, so that it takes no root.
# Without it these scenarios, two, are ignored, and the suite says so.
faketime() {
    local place work found=1
    for place in /usr/lib "$cache/tools/faketime/usr/lib"; do
        if compgen -G "$place/*/faketime/libfaketime.so.1" >/dev/null; then return 0; fi
    done
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    echo "unpacking libfaketime into $cache/tools/faketime" >&2
    work=$(mktemp -d)
    (
        cd "$work"
        apt-get download -qq libfaketime || { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get download -qq libfaketime; }
        mkdir -p "$cache/tools/faketime"
        dpkg-deb -x libfaketime_*.deb "$cache/tools/faketime"
    ) >/dev/null 2>&1 && found=0
    rm -rf "$work"
    return "$found"
}
faketime || true

e2e/control-plane/build.sh >/dev/null
# Does nothing when the right version is there.
mock-pki/tests/install-openbao.sh
cargo build --locked -p external-issuer -p mock-pki --bins
exec cargo test --locked -q -p e2e --test local -- "$@"
