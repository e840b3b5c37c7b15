#!/usr/bin/env bash
# Faults by the thousand on a simulated cluster, each run judged by the oracle.
# usage: scripts/soak.sh                      all single faults, all pairs, and 100,000 seeds
#        scripts/soak.sh singles | pairs      each request of a first issue and of a renewal, struck in every way; every two
#        scripts/soak.sh seeds FROM COUNT     scenarios by chance; one that fails is made smaller and printed
#        scripts/soak.sh seed NUMBER          one of them, with all that was seen
#        scripts/soak.sh replay 'SCENARIO'    a scenario as it was printed, with all that was seen
#        scripts/soak.sh invariants           what the oracle judges, and which test judges the rest
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

soak() {
    cargo run --quiet --locked --profile soak -p sim-stage --features soak --bin soak -- "$@"
}

if [ $# -gt 0 ]; then
    soak "$@"
    exit
fi
failed=0
soak singles || failed=1
soak pairs || failed=1
soak seeds 0 100000 || failed=1
exit $failed
