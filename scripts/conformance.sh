#!/usr/bin/env bash
# Plays fresh sequences of requests on the simulated API server and on a real one, side by side, and fails where they
# answer differently; or records what the real one answers for the replay in `cargo test`.
# Brings the real one up itself (e2e/control-plane), unless CONFORMANCE_KUBECONFIG names one that may be written to.
# usage: scripts/conformance.sh [--sequences N] [--seconds N] [--seed N] [--survey]
#        scripts/conformance.sh --record
# By default as many sequences as fit into 25 s. --survey goes on after a difference and shows one of each kind.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

test=fresh_sequences_are_answered_as_a_real_server_answers_them
export CONFORMANCE_SEQUENCES=1000000 CONFORMANCE_SECONDS=25
while [ $# -gt 0 ]; do
    case $1 in
        --sequences) CONFORMANCE_SEQUENCES=$2 CONFORMANCE_SECONDS=1000000; shift ;;
        --seconds) CONFORMANCE_SECONDS=$2; shift ;;
        --seed) export CONFORMANCE_SEED=$2; shift ;;
        --survey) export CONFORMANCE_SURVEY=1 ;;
        --record) test=what_a_real_server_answers_is_recorded ;;
        *) sed -n 's/^# \{0,1\}//p' "$0" | sed 1d >&2; exit 2 ;;
    esac
    shift
done

require cargo
# With the features of the whole workspace nothing is built twice.
cargo test --locked --quiet --workspace --test conformance --no-run

if [ -z "${CONFORMANCE_KUBECONFIG-}" ]; then
    control_plane=$(e2e/control-plane/build.sh)
    work=$(mktemp -d)
    mkfifo "$work/stdin"
    # The garbage collector looks for new kinds twice a minute: they are there before it is.
    mkdir "$work/crds"
    cp fixtures/kubernetes/conformance/crds.yaml deploy/crds/*.yaml "$work/crds/"
    gzip -dc fixtures/cert-manager/crds.yaml.gz >"$work/crds/cert-manager.yaml"
    "$control_plane" up --exit-on-stdin-close --cert-manager=false --audit=false --crds "$work/crds" --state-dir "$work/state" \
        <"$work/stdin" >"$work/up.json" 2>"$work/up.log" &
    launcher=$!
    # It stops when nobody holds its standard input any more.
    exec 3>"$work/stdin"
    clean_up() {
        exec 3>&-
        wait "$launcher" || true
        rm -rf "$work"
    }
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    until [ -s "$work/up.json" ]; do
        kill -0 "$launcher" 2>/dev/null || { cat "$work/up.log" >&2; exit 1; }
        sleep 0.1
    done
    export CONFORMANCE_KUBECONFIG=$work/state/kubeconfig
fi
cargo test --locked --quiet --workspace --test conformance -- --ignored --nocapture "$test"
