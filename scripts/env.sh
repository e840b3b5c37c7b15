# shellcheck shell=bash
# Sourced by the other scripts: where things are cached, and `tool`, which puts a pinned tool there.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/external-issuer
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
PATH=$cache/tools/bin:$PATH

# tool NAME VERSION: installs the crate NAME, whose program has the same name, unless that version is there.
tool() {
    if grep -qs "^\"$1 $2 " "$cache/tools/.crates.toml"; then return 0; fi
    echo "installing $1 $2 into $cache/tools (minutes, the first time)" >&2
    cargo install "$1" --version "$2" --locked --root "$cache/tools"
}
