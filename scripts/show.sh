#!/usr/bin/env bash
# Shows the main job on a real control plane on this machine: a Certificate becomes a Secret, and is renewed.
# Needs Linux, git, Rust and Go; builds the rest. usage: scripts/show.sh [--keep]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

missing() { echo "$1 is missing: $2" >&2; exit 1; }
command -v cargo >/dev/null || missing cargo "https://rustup.rs"
command -v go >/dev/null || missing go "https://go.dev/dl/ (1.26 or later)"

echo "building; the first time takes about fifteen minutes on two cores" >&2
e2e/control-plane/build.sh >/dev/null
cargo build --locked --package external-issuer --package mock-pki --bins
cargo build --locked --package e2e --bin show
exec "$CARGO_TARGET_DIR/debug/show" "$@"
