# shellcheck shell=bash
# Sourced by the other scripts: where things are cached; `tool`, which puts a pinned tool there; `require`, which says
# at once all that is missing.

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

# require PROGRAM…: ends with one message that names all that are missing, and where each comes from.
require() {
    local program missing=()
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        case $program in
            cargo) missing+=("cargo: https://rustup.rs") ;;
            go) missing+=("go 1.26 or later: https://go.dev/dl/") ;;
            setpriv) missing+=("setpriv: your distribution's util-linux") ;;
            cc) missing+=("cc: a C compiler, such as your distribution's gcc") ;;
            *) missing+=("$program: your distribution's package") ;;
        esac
    done
    if [ ${#missing[@]} = 0 ]; then return 0; fi
    printf 'missing: %s\n' "${missing[@]}" >&2
    exit 1
}
