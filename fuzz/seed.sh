#!/usr/bin/env bash
# Fills fuzz/corpus from fixtures and seeds, so that fuzzing starts from what openssl writes, users configure and clients ask.
# usage: fuzz/seed.sh; scripts/fuzz.sh does it.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/csr corpus/bundle corpus/config
for file in ../fixtures/x509/csr/*.pem; do
  name=$(basename "$file" .pem)
  cp "$file" "corpus/csr/$name.pem"
  sed '/^-----/d' "$file" | base64 -d >"corpus/csr/$name.der"
done
cp ../fixtures/x509/bundle/* corpus/bundle/
for file in ../fixtures/x509/chain/*/*.pem ../fixtures/x509/chain/*.pem ../fixtures/x509/go-refuses/*.pem; do
  name=$(basename "$(dirname "$file")")-$(basename "$file" .pem)
  sed '/^-----/d' "$file" | base64 -d >"corpus/bundle/$name.der"
done
cp -r seeds/. corpus/
cp ../fixtures/config/*.yaml ../fixtures/config/*.json corpus/config/
