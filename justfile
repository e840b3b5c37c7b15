# The list of commands. Each is a script or a plain cargo command that works without just.

# Arguments reach a recipe as they are, spaces and all.
set positional-arguments

export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", env("XDG_CACHE_HOME", env("HOME") / ".cache") / "external-issuer/target")

# List the recipes
default:
    @just --list --unsorted

# Show the main job on a local control plane, step by step
show:
    scripts/show.sh

# Tell the story on a simulated cluster, in one process; `just playground up` keeps one running for kubectl
playground *ARGS:
    cargo run --release --bin playground -- "$@"

# Run a real cert-manager on the simulated API server
cert-manager-on-sim:
    scripts/cert-manager-on-sim.sh

# Build everything
build:
    cargo build --workspace --all-targets

# Run all tests: the workspace's, then the local suite
test:
    scripts/test.sh

# Run the workspace's tests only; arguments go to cargo test
unit *ARGS:
    cargo test --workspace "$@"

# Check the layers: who imports what, and what the program links
layering:
    cargo test -p external-issuer --test layering

# Run the suite on a local control plane
e2e-local *ARGS:
    scripts/e2e-local.sh "$@"

# Clippy and shellcheck
lint:
    scripts/lint.sh

# Format
fmt:
    cargo fmt --all

# Check licences, sources and banned crates
deny:
    scripts/deny.sh

# Write the generated files anew: CRDs, JSON Schema
golden:
    scripts/golden.sh

# Fail if a generated file is not up to date
golden-check:
    scripts/golden.sh --check

# Fuzz each target for some seconds
fuzz SECONDS="60" *TARGETS:
    scripts/fuzz.sh "$@"

# Faults by the thousand on a simulated cluster: all pairs of a sweep, or seeds
soak *ARGS:
    scripts/soak.sh "$@"

# Measure against the API server's limit and cert-manager's own Vault issuer
bench-issuers *ARGS:
    scripts/bench-issuers.sh "$@"

# Measure mock-pki beside a real OpenBao
bench-mock-pki:
    scripts/bench-mock-pki.sh

# Real clients of Vault, EJBCA and Venafi make their rounds against mock-pki
mock-pki-clients *ARGS:
    scripts/mock-pki-clients.sh "$@"

# Everything that CI runs
ci:
    .ci/run
