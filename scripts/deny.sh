#!/usr/bin/env bash
# cargo-deny, without the advisories: their database is a git repository that not every machine can reach.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

tool cargo-deny 0.20.2
cargo deny --locked --workspace check bans licenses sources
