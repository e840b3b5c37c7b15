#!/usr/bin/env bash
# Fills fuzz/corpus from fixtures and seeds, so that fuzzing starts from what openssl writes, users configure and clients ask.
# usage: fuzz/seed.sh; scripts/fuzz.sh does it.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/csr corpus/bundle corpus/config corpus/mock_pki_requests
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
# One request for each resource and each way in.
json='"certificate_authority_name":"ManagementCA","certificate_profile_name":"SERVER","end_entity_profile_name":"EMPTY"'
criteria='"criteria":[{"property":"QUERY","operation":"LIKE","value":"a"},{"property":"STATUS","operation":"EQUAL","value":"CERT_ACTIVE"}]'
csr=$(sed ':a;N;$!ba;s/\n/\\n/g' ../fixtures/x509/csr/p256-sha256.pem)
number=0
# request METHOD TARGET [BODY]
request() {
  number=$((number + 1))
  printf '%s %s\nContent-Type: application/json\n\n%s' "$1" "$2" "${3-}" >"corpus/mock_pki_requests/$number"
}
ejbca=/ejbca/ejbca-rest-api
ca=CN=Mock%20PKI%20Intermediate%20CA
request GET /v1/sys/health
request POST /v1/pki_int/sign/web "{\"csr\":\"$csr\",\"common_name\":\"a\",\"ttl\":\"1h\"}"
request LIST /v1/pki_int/certs
request POST /v1/sys/policies/acl/p '{"policy":"path \"a/*\" { capabilities = [\"read\"] }"}'
request GET $ejbca/v2/certificate/status
request POST $ejbca/v1/certificate/pkcs10enroll "{\"certificate_request\":\"$csr\",$json,\"username\":\"a\",\"include_chain\":true,\"end_time\":\"2030-06-01 00:00:00\"}"
request POST $ejbca/v1/certificate/certificaterequest "{\"certificate_request\":\"$csr\",\"username\":\"a\",\"password\":\"p\"}"
request POST $ejbca/v1/certificate/1/finalize '{"response_format":"DER","password":"p"}'
request POST $ejbca/v1/certificate/search "{\"max_number_of_results\":10,$criteria}"
request POST $ejbca/v2/certificate/search "{\"pagination\":{\"page_size\":10,\"current_page\":1},\"sort\":{\"property\":\"USERNAME\",\"operation\":\"ASC\"},$criteria}"
request GET "$ejbca/v1/certificate/expire?days=7&offset=0&maxNumberOfResults=10"
request PUT "$ejbca/v1/certificate/$ca/1F/revoke?reason=KEY_COMPROMISE&date=2029-01-01T00:00:00Z"
request GET $ejbca/v1/certificate/$ca/1F/revocationstatus
request GET $ejbca/v1/ca
request GET $ejbca/v1/ca/$ca/certificate/download
request GET "$ejbca/v1/ca/$ca/getLatestCrl?deltaCrl=true"
request POST $ejbca/v1/ca/$ca/createcrl
request POST $ejbca/v1/endentity "{\"username\":\"a\",\"password\":\"p\",\"subject_dn\":\"CN=a,O=b\",\"subject_alt_name\":\"dNSName=a, iPAddress=10.0.0.1\",\"ca_name\":\"ManagementCA\",\"certificate_profile_name\":\"SERVER\",\"end_entity_profile_name\":\"EMPTY\",\"token\":\"USERGENERATED\"}"
request POST $ejbca/v1/endentity/search "{\"max_number_of_results\":10,$criteria}"
request POST $ejbca/v1/endentity/a/setstatus '{"status":"NEW","token":"P12","password":"p"}'
request PUT $ejbca/v1/endentity/a/revoke '{"reason_code":4,"delete":true}'
request DELETE $ejbca/v1/endentity/a
printf 'POST /realms/mock-pki/protocol/openid-connect/token\n\ngrant_type=client_credentials&client_id=mock-pki&client_secret=root' \
  >corpus/mock_pki_requests/token
