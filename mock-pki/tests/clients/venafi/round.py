"""The whole round of a client of Trust Protection Platform, with Venafi's own library.

usage: round.py READY_FILE TLS_CA_FILE
"""

import contextlib
import json
import sys
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from vcert import (
    CSR_ORIGIN_SERVICE,
    CertificateRequest,
    KeyType,
    RevocationRequest,
    VenafiPlatform,
    venafi_connection,
)
from vcert.errors import RetrieveCertificateTimeoutError, VenafiError

PASSWORD = "Passw0rd-of-12"
ready = json.load(open(sys.argv[1]))
ca_file = sys.argv[2]


def control(method, path, body=None):
    """One call of the control port."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(ready["control_url"] + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@contextlib.contextmanager
def fault(kind, common_name, **parameters):
    """A fault for as long as the block runs."""
    body = {"kind": kind, "parameters": parameters, "common_name": common_name}
    installed = control("POST", "/faults", body)
    yield
    control("DELETE", f"/faults/{installed['id']}")


def connect(**credentials):
    return venafi_connection(
        platform=VenafiPlatform.TPP,
        url=ready["venafi_url"],
        http_request_kwargs={"verify": ca_file},
        **credentials,
    )


def asked(name, **more):
    request = CertificateRequest(common_name=name, **more)
    request.san_dns = [name]
    request.timeout = 20
    return request


def serial(bundle):
    return x509.load_pem_x509_certificate(bundle.cert.encode()).serial_number


def refused(what, call, error=VenafiError):
    try:
        call()
    except error:
        print(f"ok: {what}")
        return
    raise SystemExit(f"{what}: nothing was raised")


def in_ledger(number):
    found = [entry for entry in control("GET", "/ledger")["issued"] if int(entry["serial"], 16) == number]
    assert len(found) == 1, f"{number} is {len(found)} times in the ledger"
    return found[0]


# Login, and a refresh token that is good once.
tpp = connect(user=ready["venafi_user"], password=ready["venafi_password"])
first = tpp.get_access_token()
by_token = connect(refresh_token=first.refresh_token)
second = by_token.get_access_token()
assert second.access_token != first.access_token
print("ok: login and refresh")
refused("a refresh token that was used", lambda: connect(refresh_token=first.refresh_token).get_access_token())
refused("a wrong password", lambda: connect(user="tppadmin", password="x").get_access_token())

# Enrolment with a key of our own.
zone = tpp.read_zone_conf("Certificates")
assert zone.key_type.key_type == "rsa", zone.key_type
request = asked("app.example.com")
assert tpp.request_cert(request, "Certificates")
bundle = tpp.retrieve_cert(request)
leaf = x509.load_pem_x509_certificate(bundle.cert.encode())
key = load_pem_private_key(request.private_key_pem.encode(), None)
assert leaf.public_key().public_numbers() == key.public_key().public_numbers()
assert len(bundle.chain) == 2, bundle.chain
issuer, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in bundle.chain)
leaf.verify_directly_issued_by(issuer)
issuer.verify_directly_issued_by(root)
entry = in_ledger(leaf.serial_number)
assert entry["issued_by"] == "venafi \\VED\\Policy\\Certificates", entry
assert request.cert_guid == entry["request_id"], entry
print("ok: enrolment")

# A key on another curve, and one that the service makes.
request_ec = asked("ec.example.com", key_type=KeyType(KeyType.ECDSA, "p384"))
tpp.request_cert(request_ec, "Certificates")
serial(tpp.retrieve_cert(request_ec))
made = asked("made.example.com", csr_origin=CSR_ORIGIN_SERVICE, key_password=PASSWORD)
made.include_private_key = True
tpp.request_cert(made, "Certificates")
bundle = tpp.retrieve_cert(made)
own = x509.load_pem_x509_certificate(bundle.cert.encode()).public_key()
key = load_pem_private_key(bundle.key.encode(), PASSWORD.encode())
assert key.public_key().public_numbers() == own.public_numbers()
print("ok: a key made by the service")

# Renewal with the same key.
before = leaf.serial_number
tpp.renew_cert(request, reuse_key=True)
after = serial(tpp.retrieve_cert(request))
assert after != before
print("ok: renewal")

# Somebody has to approve.
with fault("pending", "slow.example.com", polls=2):
    slow = asked("slow.example.com")
    tpp.request_cert(slow, "Certificates")
    serial(tpp.retrieve_cert(slow))
print("ok: approval")
with fault("pending", "no.example.com"):
    no = asked("no.example.com")
    tpp.request_cert(no, "Certificates")
    waiting = [entry for entry in control("GET", "/approvals")["approvals"] if entry["common_name"] == "no.example.com"]
    control("POST", f"/approvals/{waiting[0]['id']}/reject", {})
    no.timeout = 1
    refused("a rejected request", lambda: tpp.retrieve_cert(no), RetrieveCertificateTimeoutError)
with fault("refusal", "never.example.com"):
    never = asked("never.example.com")
    refused("a refused request", lambda: tpp.request_cert(never, "Certificates"))
refused("a name outside the policy", lambda: tpp.request_cert(asked("app.elsewhere.org"), "Restricted"))
refused("a folder that is not there", lambda: tpp.read_zone_conf("Nowhere"))

# The end.
assert tpp.revoke_cert(RevocationRequest(req_id=request.id, disable=False))["Success"]
assert in_ledger(after)["revoked_at"] and not in_ledger(before)["revoked_at"]
print("ok: revocation")
tpp.revoke_access_token()
refused("a token that was revoked", lambda: tpp.read_zone_conf("Certificates"))
