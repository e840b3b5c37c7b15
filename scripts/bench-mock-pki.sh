#!/usr/bin/env bash
# Measures mock-pki beside a real OpenBao: signatures per second, latency, memory and start. Prints Markdown; about five
# minutes on an idle machine. Needs curl, openssl, jq and python3.
# usage: scripts/bench-mock-pki.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/background.sh
require cargo curl openssl jq python3

# Clients at once, seconds for each line of the table, and certificates that are kept in the end.
clients=8
seconds=8
stored=85000

work=$(mktemp -d)
clean_up() {
    end_all
    rm -rf "$work"
}
trap clean_up EXIT

echo "building" >&2
tool oha 1.16.0
mock-pki/tests/install-openbao.sh
bao=$cache/tools/openbao/bin/bao
cargo build --locked --release --package mock-pki --bin mock-pki
mock=$CARGO_TARGET_DIR/release/mock-pki

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -subj /CN=app.example.com \
    -out "$work/csr.pem" 2>"$work/openssl.log"
jq -n --rawfile csr "$work/csr.pem" '{csr: $csr, common_name: "app.example.com", ttl: "24h"}' >"$work/sign.json"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# serve SERVER URL: starts it; its pid is in $pid.
serve() {
    if [ "$1" = mock-pki ]; then
        background "$work/$1" "$mock" --quiet --vault-listen "${2#http://}" --ejbca-listen off --venafi-listen off \
            --custom-listen off --control-listen "127.0.0.1:$(free_port)"
    else
        background "$work/$1" "$bao" server -dev -dev-root-token-id=root -dev-listen-address="${2#http://}"
    fi
    pid=$!
}

# call URL PATH [BODY]: one request that must work.
call() {
    curl --silent --show-error --fail-with-body -X POST -H 'X-Vault-Token: root' -d "${3-}" "$1/v1/$2" >"$work/answer"
}

# answers URL: waits until it does; prints the milliseconds since $begun.
answers() {
    until curl --silent --fail --output /dev/null "$1/v1/sys/health"; do sleep 0.005; done
    echo $(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
}

# mounts URL: a CA of each kind of key, each with a role that keeps certificates and one that does not.
mounts() {
    local key bits keeps
    for key in ec rsa; do
        bits=256
        if [ "$key" = rsa ]; then bits=2048; fi
        call "$1" "sys/mounts/$key" '{"type": "pki", "config": {"max_lease_ttl": "87600h"}}'
        call "$1" "$key/root/generate/internal" \
            "{\"common_name\": \"bench\", \"key_type\": \"$key\", \"key_bits\": $bits, \"ttl\": \"8760h\"}"
        for keeps in true false; do
            call "$1" "$key/roles/$([ $keeps = true ] && echo store || echo no_store)" \
                "{\"allow_any_name\": true, \"key_type\": \"any\", \"no_store\": $([ $keeps = true ] && echo false || echo true)}"
        done
    done
}

# load URL PATH CLIENTS WAY…: plays it and leaves oha's report in $work/report.
load() {
    local url=$1 path=$2 clients=$3
    shift 3
    oha "$@" -c "$clients" --no-tui --output-format json -m POST -H 'X-Vault-Token: root' -D "$work/sign.json" \
        "$url/v1/$path" >"$work/report"
    # A rate of refusals is none.
    jq -e '.statusCodeDistribution | keys == ["200"]' "$work/report" >/dev/null || {
        jq '{statusCodeDistribution, errorDistribution}' "$work/report" >&2
        exit 1
    }
}

# line NAME PID URL PATH CLIENTS: a line of the table.
line() {
    local before after
    load "$3" "$4" "$5" -z 1s
    before=$(cpu "$2")
    load "$3" "$4" "$5" -z "${seconds}s"
    after=$(cpu "$2")
    jq -r --arg name "$1" --arg path "$4" --arg clients "$5" --argjson ticks $((after - before)) '
        def ms: . * 1000 * 100 | round / 100;
        (.statusCodeDistribution["200"]) as $count
        | "| \($name) | `\($path)` | \($clients) | \(.summary.requestsPerSec | round) | \(.latencyPercentiles.p50 | ms) | \(.latencyPercentiles.p99 | ms) | \($ticks * 10000 / $count | round) |"
    ' "$work/report"
}

# cpu PID: its CPU time, hundredths of a second.
cpu() { awk '{print $14 + $15}' "/proc/$1/stat"; }

memory() { awk '/VmRSS/ {rss = $2} /VmHWM/ {peak = $2} END {printf "%d MiB, peak %d", rss / 1024, peak / 1024}' "/proc/$1/status"; }

results=$work/results
: >"$results"
notes=$work/notes
for server in mock-pki OpenBao; do
    url=http://127.0.0.1:$(free_port)
    starts=()
    for _ in 1 2 3 4 5; do
        end_all
        begun=${EPOCHREALTIME/[.,]/}
        serve "$server" "$url"
        starts+=("$(answers "$url")")
    done
    mounts "$url"
    echo "- $server: first answer after ${starts[*]} ms; idle $(memory "$pid")" >>"$notes"
    for path in ec/sign/no_store ec/sign/store rsa/sign/no_store rsa/sign/store; do
        for many in 1 "$clients"; do
            echo "measuring $server, $path, $many at once" >&2
            line "$server" "$pid" "$url" "$path" "$many" >>"$results"
        done
    done
    end_all
    # Memory from the start, with exactly so many certificates.
    begun=${EPOCHREALTIME/[.,]/}
    serve "$server" "$url"
    answers "$url" >/dev/null
    mounts "$url"
    echo "measuring $server, $stored certificates" >&2
    load "$url" ec/sign/store "$clients" -n "$stored"
    echo "- $server with $stored certificates kept: $(memory "$pid")" >>"$notes"
    end_all
done

echo "| server | path | clients | signatures per second | p50 ms | p99 ms | CPU µs each |"
echo "|---|---|---|---|---|---|---|"
cat "$results"
echo
cat "$notes"
echo
echo "The signing limit of one core:"
openssl speed -seconds 3 ecdsap256 rsa2048 2>/dev/null | grep -E 'sign|ecdsa|rsa'
