#!/bin/sh
# hvac (from PyPI) against a Vault, an OpenBao or a mock-pki: what round.py says.
# usage: run.sh URL ROOT_TOKEN [UNSEAL_KEY]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="${XDG_CACHE_HOME:-$HOME/.cache}/external-issuer/tools/hvac"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
# What it writes for openssl goes away with it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$venv/bin/python" "$here/round.py" "$@"
