#!/bin/sh
# Builds the control-plane binary into a cache outside the checkout and prints
# its path as the last line of standard output; progress goes to standard error.
# The folder's name is a hash of the sources, so a second call finds the binary
# and returns at once, and a change of the sources never runs an old one.
set -eu

cd "$(dirname "$0")"

sources() {
    find . \( -name '*.go' ! -name '*_test.go' \) -o -name '*.yaml' -o -name go.mod -o -name go.sum -o -name build.sh | LC_ALL=C sort
}
hash=$(sources | xargs sha256sum | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/external-issuer/control-plane
home=$cache/$hash

if [ -x "$home/control-plane" ]; then
    echo "$home/control-plane"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "building the control plane needs Go 1.26 or later: https://go.dev/dl/" >&2
    exit 1
fi

# One build at a time: a second caller waits here and then finds the binary.
mkdir -p "$cache"
exec 9>"$cache/lock"
if ! flock -n 9; then
    echo "waiting for another build of the control plane" >&2
    flock 9
    if [ -x "$home/control-plane" ]; then
        echo "$home/control-plane"
        exit 0
    fi
fi

work=$(mktemp -d "$cache/building.XXXXXX")
heartbeat=
clean_up() {
    if [ -n "$heartbeat" ]; then kill "$heartbeat" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export GOFLAGS="${GOFLAGS:-} -mod=readonly"
began=$(date +%s)
echo "building the control plane: first build takes about seven minutes on two cores, a later one under a minute" >&2
echo "  fetching the modules (2 GB the first time)" >&2
packages=$(go list -deps . | wc -l)

: >"$work/log"
# A sleep outlives the heartbeat by a moment and must not hold the caller's pipes.
while sleep 15 >/dev/null 2>&1; do
    echo "  $(($(date +%s) - began)) s: $(wc -l <"$work/log") packages compiled, of at most $packages" >&2
done 9>&- &
heartbeat=$!

# kubectl reads the server's version out of these; go.mod is the one place that
# says which it is.
kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
cert_manager=$(go list -m -f '{{.Version}}' github.com/cert-manager/cert-manager)
minor=${kubernetes#v*.}
version=k8s.io/component-base/version
if ! nice -n 5 go build -v -buildvcs=false -o "$work/control-plane" -ldflags "-s -w \
    -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*} \
    -X github.com/cert-manager/cert-manager/pkg/util.AppVersion=$cert_manager" . 2>"$work/log"; then
    tail -n 40 "$work/log" >&2
    echo "the build failed" >&2
    exit 1
fi

# The binary must run without Go, so cert-manager's CRDs lie beside it.
mkdir "$work/crds"
cp "$(go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)"/deploy/crds/*cert-manager.io_*.yaml "$work/crds/"
chmod -R u+w "$work/crds"

rm -f "$work/log"
rm -rf "$home"
mv "$work" "$home"
echo "  built in $(($(date +%s) - began)) s" >&2
echo "$home/control-plane"
