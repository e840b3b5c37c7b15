#!/usr/bin/env bash
# The files in the repository that the program itself prints.
# usage: scripts/golden.sh          writes them anew
#        scripts/golden.sh --check  fails, with the difference, if they are not what the program prints
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

check=${1-}
case $check in
    '' | --check) ;;
    *) sed -n '2,4s/^# //p' scripts/golden.sh >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# golden FILE COMMAND…
golden() {
    local file=$1
    shift
    mkdir -p "$work/$(dirname "$file")"
    cargo run --locked --quiet --package external-issuer --bin external-issuer -- "$@" >"$work/$file"
    if [ "$check" = --check ]; then
        diff -u "$file" "$work/$file" || { echo "$file is not up to date: run scripts/golden.sh" >&2; exit 1; }
    else
        mkdir -p "$(dirname "$file")"
        cp "$work/$file" "$file"
    fi
}

golden deploy/crds/external-issuer.io.yaml crds
golden docs/reference/pki-config.schema.json config-schema
