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
for target in "${targets[@]}"; do
    echo "fuzzing $target for $seconds s"
    # What is found is kept for the next run, outside the checkout; the seeds come from the checkout.
    mkdir -p "$cache/fuzz/$target" "fuzz/corpus/$target"
    # Why without a sanitizer: see fuzz/README.md.
    cargo fuzz run --sanitizer none "$target" "$cache/fuzz/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
done
