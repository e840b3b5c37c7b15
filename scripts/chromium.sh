#!/usr/bin/env bash
# Sees that Chromium and its driver are here, for the tests of mock-pki's console: installs Debian's as root where they are
# missing. Status 1, with a line that says so, where that cannot be.
set -euo pipefail

there() { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }

if there; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium and chromium-driver" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium chromium-driver; } >/dev/null || true
fi
there && exit 0
echo "chromium and chromedriver are missing: the console's tests will be skipped" >&2
exit 1
