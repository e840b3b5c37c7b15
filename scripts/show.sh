#!/usr/bin/env bash
# Shows the main job on a real control plane on this machine: a Certificate becomes a Secret, and is renewed.
# Needs Linux, git, Rust, Go and a C compiler; builds the rest. usage: scripts/show.sh [--keep]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

require cargo go cc setpriv

echo "building; the first time takes about fifteen minutes on two cores" >&2
e2e/control-plane/build.sh >/dev/null
cargo build --locked --package external-issuer --package mock-pki --bins
cargo build --locked --package e2e --bin show
exec "$CARGO_TARGET_DIR/debug/show" "$@"
