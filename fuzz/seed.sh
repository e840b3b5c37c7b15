#!/usr/bin/env bash
# Fills fuzz/corpus from fixtures/x509, so that fuzzing starts from what openssl writes.
# usage: fuzz/seed.sh, then e.g. cargo +nightly fuzz run csr
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/csr corpus/bundle
for file in ../fixtures/x509/csr/*.pem; do
  name=$(basename "$file" .pem)
  cp "$file" "corpus/csr/$name.pem"
  sed '/^-----/d' "$file" | base64 -d >"corpus/csr/$name.der"
done
cp ../fixtures/x509/bundle/* corpus/bundle/
for file in ../fixtures/x509/chain/*/*.pem ../fixtures/x509/chain/*.pem; do
  name=$(basename "$(dirname "$file")")-$(basename "$file" .pem)
  sed '/^-----/d' "$file" | base64 -d >"corpus/bundle/$name.der"
done
