#!/bin/sh
# Venafi's own client (vcert, from PyPI) against a running mock-pki whose Venafi face is served: login, refresh, enrolment,
# a key made by the service, renewal, approval and rejection, refusals, revocation.
# usage: run.sh READY_FILE TLS_CA_FILE
set -eu
version=0.22.1
venv="${XDG_CACHE_HOME:-$HOME/.cache}/external-issuer/tools/vcert"
if ! "$venv/bin/pip" show vcert 2>/dev/null | grep -qx "Version: $version"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "vcert==$version"
fi
exec "$venv/bin/python" "$(dirname "$0")/round.py" "$1" "$2"
