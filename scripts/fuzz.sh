#!/usr/bin/env bash
# Every fuzz target for a while, from the corpus that the fixtures seed and earlier runs enlarged.
# usage: scripts/fuzz.sh [SECONDS per target, default 60] [TARGET…, default all]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

tool cargo-fuzz 0.13.2
export CARGO_TARGET_DIR=$cache/fuzz-target

seconds=${1-60}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then mapfile -t targets < <(cargo fuzz list); fi

fuzz/seed.sh
cargo fuzz build --sanitizer none

# What is found is kept for the next run, outside the checkout; the seeds come from the checkout.
fuzz() {
    local target=$1 code=0
    mkdir -p "$cache/fuzz/$target" "fuzz/corpus/$target"
    # Why without a sanitizer: see fuzz/README.md.
    cargo fuzz run --sanitizer none "$target" "$cache/fuzz/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$logs/$target" 2>&1 || code=$?
    # What it said on the way is of interest only if it ended badly.
    if [ "$code" = 0 ]; then grep '^stat::number_of_executed_units' "$logs/$target"; else cat "$logs/$target"; fi
    echo "fuzzed $target for $seconds s: exit status $code"
    return "$code"
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0
running=0
for target in "${targets[@]}"; do
    # One for each core.
    if [ "$running" -ge "$(nproc)" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    echo "fuzzing $target for $seconds s"
    fuzz "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
