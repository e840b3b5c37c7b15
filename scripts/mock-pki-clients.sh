#!/usr/bin/env bash
# Clients that others wrote, against a mock-pki of its own: mock-pki/tests/clients/.
# usage: scripts/mock-pki-clients.sh [CLIENT…, default all]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/background.sh

require cargo go openssl python3

# go_client NAME: builds mock-pki/tests/clients/NAME into the cache and prints where it is. The folder's name is a hash of
# the sources, so that nothing old is run and nothing is built twice.
go_client() {
    local sources=mock-pki/tests/clients/$1 hash home
    hash=$(cat "$sources"/*.go "$sources"/go.mod "$sources"/go.sum | sha256sum | cut -c1-16)
    home=$cache/clients/$1/$hash
    if [ ! -x "$home/$1" ]; then
        echo "building $sources" >&2
        (cd "$sources" && test -z "$(gofmt -l .)" && go vet . && go build -mod=readonly -buildvcs=false -o "$home/$1" .) >&2
    fi
    echo "$home/$1"
}

# python_client NAME ARGUMENT…: runs mock-pki/tests/clients/NAME/round.py with what its requirements.txt names, which is
# installed once. It may leave files where it runs.
python_client() {
    local sources=$PWD/mock-pki/tests/clients/$1 venv=$cache/tools/$1
    shift
    if ! cmp -s "$sources/requirements.txt" "$venv/requirements.txt"; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$sources/requirements.txt"
        cp "$sources/requirements.txt" "$venv/requirements.txt"
    fi
    (cd "$work" && "$venv/bin/python" "$sources/round.py" "$@")
}

# Keyfactor's Go client, by certificate and by token.
ejbca() {
    local client
    client=$(go_client ejbca)
    SSL_CERT_FILE=$work/ca.pem "$client" "$work/ready.json" "$work/ca.pem" "$work/client.pem" "$work/client.key"
}

# Venafi's library for Python.
venafi() {
    python_client venafi "$work/ready.json" "$work/ca.pem"
}

# hvac, a Vault client for Python.
hvac() {
    local url token unseal_key
    read -r url token unseal_key < <(python3 -c '
import json, sys
ready = json.load(open(sys.argv[1]))
print(ready["vault_url"], ready["root_token"], ready["unseal_key"])' "$work/ready.json")
    python_client hvac "$url" "$token" "$unseal_key"
}

clients=("$@")
if [ ${#clients[@]} = 0 ]; then clients=(ejbca hvac venafi); fi

cargo build --locked -p mock-pki
work=$(mktemp -d)
trap 'end_all; rm -rf "$work"' EXIT
background "$work/log" "$CARGO_TARGET_DIR/debug/mock-pki" --vault-listen 127.0.0.1:0 --ejbca-listen 127.0.0.1:0 \
    --venafi-listen 127.0.0.1:0 --custom-listen off \
    --control-listen 127.0.0.1:0 --tls-ca-out "$work/ca.pem" --ejbca-client-out "$work" --ready-file "$work/ready.json"
until_says "$work/log" "control port"
for client in "${clients[@]}"; do "$client"; done
