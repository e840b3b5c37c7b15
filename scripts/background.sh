# shellcheck shell=bash
# Sourced by scripts that start processes beside themselves: `background` starts one, `until_says` waits for what it
# says, `end_all` ends them, and a signal ends the script, so that its EXIT trap can call that.

started=()
trap 'exit 130' INT
trap 'exit 143' TERM

# background LOG COMMAND…: runs it until `end_all`; its pid is in $!.
background() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    started+=($!)
}

# until_says LOG TEXT: waits for a process of ours to say something.
until_says() {
    for _ in $(seq 1200); do
        if grep -q "$2" "$1"; then return 0; fi
        sleep 0.1
    done
    tail -n 20 "$1" >&2
    echo "no \"$2\" in $1 within two minutes" >&2
    exit 1
}

# end_all: ends what still runs, and waits for it.
end_all() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    started=()
}
