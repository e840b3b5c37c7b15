#!/usr/bin/env bash
# Clippy over the workspace, shellcheck over every script, and pinned versions that must agree.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

cargo clippy --locked --workspace --all-targets -- -D warnings

if ! command -v shellcheck >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing shellcheck" >&2
    apt-get install -y -qq shellcheck >/dev/null || { apt-get update -qq && apt-get install -y -qq shellcheck >/dev/null; }
fi
if ! command -v shellcheck >/dev/null; then
    echo "shellcheck is not installed: https://www.shellcheck.net" >&2
    exit 1
fi
# Every tracked or new file that begins like a shell script, or says that it is one.
git ls-files --cached --others --exclude-standard -z |
    xargs -0 grep -lZsE -m1 '^#!(/bin/sh|/usr/bin/env bash)|^# shellcheck shell=' |
    xargs -0 shellcheck --external-sources

scripts/check-versions.sh
