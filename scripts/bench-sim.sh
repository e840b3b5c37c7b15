#!/usr/bin/env bash
# Measures the simulated cluster: how soon a Secret is Ready, what it keeps in memory, how fast its API server answers
# beside a real one, and how long a virtual year takes. Prints Markdown. Needs kubectl and Go; about half an hour.
# usage: scripts/bench-sim.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/background.sh
require cargo go cc kubectl

work=$(mktemp -d)
clean_up() {
    end_all
    rm -rf "$work"
}
trap clean_up EXIT

echo "building" >&2
control_plane=$(e2e/control-plane/build.sh)
cargo build --locked --release --package playground
cargo build --locked --release --package sim-kube --features cli --bin sim-kube
cargo build --locked --release --package sim-kube --example api-load
cargo build --locked --release --package sim-stage --example year
programs=$CARGO_TARGET_DIR/release

echo "From the start of the process to the first Secret, ms, ten times:"
for _ in $(seq 10); do
    begun=${EPOCHREALTIME/[.,]/}
    "$programs/playground" --json | while read -r line; do
        case $line in
            *"web-tls holds key"*)
                echo $(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
                break
                ;;
        esac
    done
done | sort -n | paste -sd ' '

background "$work/up" "$programs/playground" up
until_says "$work/up" 'export KUBECONFIG'
sleep 10
echo
echo "playground up, nothing to do:"
grep -E 'VmRSS|VmHWM' "/proc/$!/status"

mkdir "$work/crds"
cp "$(dirname "$control_plane")"/crds/*.yaml "$work/crds/"
background "$work/sim" "$programs/sim-kube" --kubeconfig "$work/sim.kubeconfig" --crds "$work/crds"
until_says "$work/sim" 'export KUBECONFIG'
# Without cert-manager, which would act on what is made.
background "$work/real" "$control_plane" up --state-dir "$work/cp" --cert-manager=false --audit=false
until_says "$work/real" '"kubeconfig"'
echo
echo "| server | what, 16 clients | per second | p50 / p99 ms |"
echo "|---|---|---|---|"
for run in sim-kube kube-apiserver; do
    config=$work/sim.kubeconfig
    if [ "$run" = kube-apiserver ]; then config=$work/cp/kubeconfig; fi
    "$programs/examples/api-load" "$config" "$run"
done

echo
for certificates in 1000 10000; do "$programs/examples/year" "$certificates" 365; done
