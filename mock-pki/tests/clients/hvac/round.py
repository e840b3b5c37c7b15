"""What hvac, a Vault client for Python, can do with a PKI: the whole round. Passes on OpenBao as on mock-pki.

usage: round.py URL ROOT_TOKEN [UNSEAL_KEY]
"""

import subprocess
import sys

import hvac
from hvac import exceptions

url, token = sys.argv[1:3]
unseal_key = sys.argv[3] if len(sys.argv) > 3 else None
client = hvac.Client(url=url, token=token)
pki = client.secrets.pki


def refused(kind, text, call, *arguments, **named):
    """The call is refused as this kind of error, with these words."""
    try:
        answer = call(*arguments, **named)
    except kind as error:
        assert text in str(error), f"{error} lacks {text!r}"
        return
    raise AssertionError(f"not refused: {answer}")


def openssl(*arguments, given=""):
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=True)
    return done.stdout


def a_csr(name):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem")
    return openssl("req", "-new", "-key", "key.pem", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")


def server():
    assert client.is_authenticated()
    assert client.sys.is_initialized() and not client.sys.is_sealed()
    assert client.sys.read_health_status(method="GET")["initialized"]
    assert client.sys.read_seal_status()["t"] >= 1
    assert client.sys.read_leader_status() is not None


def authorities():
    client.sys.enable_secrets_engine("pki", path="corp", config={"max_lease_ttl": "87600h"})
    assert client.sys.list_mounted_secrets_engines()["data"]["corp/"]["type"] == "pki"
    root = pki.generate_root("internal", "Corp Root", {"key_type": "ec", "ttl": "8760h"}, mount_point="corp")["data"]
    assert "BEGIN CERTIFICATE" in root["certificate"]
    pki.set_urls({"issuing_certificates": [f"{url}/v1/corp/ca"]}, mount_point="corp")
    assert pki.read_urls(mount_point="corp")["data"]["issuing_certificates"] == [f"{url}/v1/corp/ca"]

    client.sys.enable_secrets_engine("pki", path="below", config={"max_lease_ttl": "43800h"})
    asked = pki.generate_intermediate("internal", "Corp Issuing", {"key_type": "ec"}, mount_point="below")["data"]["csr"]
    signed = pki.sign_intermediate(asked, "Corp Issuing", {"ttl": "4000h"}, mount_point="corp")["data"]
    pki.set_signed_intermediate(f"{signed['certificate']}\n{root['certificate']}", mount_point="below")
    assert len(pki.list_issuers(mount_point="below")["data"]["keys"]) == 2
    assert "BEGIN CERTIFICATE" in pki.read_ca_certificate(mount_point="below")
    assert pki.read_ca_certificate_chain(mount_point="below").count("BEGIN CERTIFICATE") == 2


def roles():
    pki.create_or_update_role(
        "web", {"allowed_domains": "example.com", "allow_subdomains": True, "key_type": "ec", "max_ttl": "72h"},
        mount_point="below",
    )
    assert pki.list_roles(mount_point="below")["data"]["keys"] == ["web"]
    assert pki.read_role("web", mount_point="below")["data"]["allow_subdomains"] is True
    refused(exceptions.InvalidPath, "", pki.read_role, "none", mount_point="below")


def certificates():
    issued = pki.generate_certificate("web", "a.example.com", {"ttl": "1h"}, mount_point="below")["data"]
    assert issued["private_key_type"] == "ec" and len(issued["ca_chain"]) == 2
    csr = a_csr("b.example.com")
    signed = pki.sign_certificate("web", csr, "b.example.com", mount_point="below")["data"]
    verbatim = pki.sign_verbatim(csr, mount_point="below")["data"]
    judge(signed["certificate"], signed["ca_chain"])
    refused(
        exceptions.InvalidRequest, "common name evil.org not allowed by this role",
        pki.generate_certificate, "web", "evil.org", mount_point="below",
    )
    refused(exceptions.InvalidRequest, "unknown role", pki.generate_certificate, "none", "a.example.com", mount_point="below")

    serials = {made["serial_number"] for made in (issued, signed, verbatim)}
    assert serials <= set(pki.list_certificates(mount_point="below")["data"]["keys"])
    kept = pki.read_certificate(signed["serial_number"], mount_point="below")["data"]
    assert kept["certificate"].strip() == signed["certificate"].strip() and kept["revocation_time"] == 0
    return signed["serial_number"]


def judge(leaf, chain):
    """By openssl, which neither server has anything to do with."""
    with open("leaf.pem", "w") as file:
        file.write(leaf)
    with open("chain.pem", "w") as file:
        file.write("\n".join(chain))
    openssl("verify", "-CAfile", "chain.pem", "leaf.pem")


def revocation(serial):
    assert pki.revoke_certificate(serial, mount_point="below")["data"]["revocation_time"] > 0
    assert pki.read_certificate(serial, mount_point="below")["data"]["revocation_time"] > 0
    assert pki.rotate_crl(mount_point="below")["data"]["success"]
    crl = openssl("crl", "-noout", "-text", given=pki.read_crl(mount_point="below"))
    assert serial.replace(":", "").upper() in crl, crl
    assert "expiry" in pki.read_crl_configuration(mount_point="below")["data"]


def tokens():
    client.sys.create_or_update_policy("signer", 'path "below/sign/web" { capabilities = ["update"] }')
    assert "signer" in client.sys.list_policies()["data"]["policies"]
    made = client.auth.token.create(policies=["signer"], ttl="1h")["auth"]
    signer = hvac.Client(url=url, token=made["client_token"])
    assert signer.auth.token.lookup_self()["data"]["policies"] == ["default", "signer"]
    assert signer.auth.token.renew_self(increment="2h")["auth"]["renewable"]
    assert signer.secrets.pki.sign_certificate("web", a_csr("c.example.com"), "c.example.com", mount_point="below")["data"]
    refused(exceptions.Forbidden, "permission denied", signer.secrets.pki.list_roles, mount_point="below")
    wrapped = client.auth.token.create(policies=["signer"], wrap_ttl="1m")["wrap_info"]
    assert client.sys.unwrap(wrapped["token"])["auth"]["policies"] == ["default", "signer"]
    client.auth.token.revoke(made["client_token"])
    assert not signer.is_authenticated()


def logins():
    client.sys.enable_auth_method("approle")
    client.auth.approle.create_or_update_approle("web", token_policies=["signer"])
    role = client.auth.approle.read_role_id("web")["data"]["role_id"]
    secret = client.auth.approle.generate_secret_id("web")["data"]["secret_id"]
    assert hvac.Client(url=url).auth.approle.login(role, secret)["auth"]["policies"] == ["default", "signer"]
    refused(exceptions.InvalidRequest, "invalid role or secret ID", hvac.Client(url=url).auth.approle.login, role, "wrong")

    client.sys.enable_auth_method("userpass")
    client.auth.userpass.create_or_update_user("anna", "secret", policies="signer")
    assert hvac.Client(url=url).auth.userpass.login("anna", "secret")["auth"]["metadata"] == {"username": "anna"}
    refused(exceptions.InvalidRequest, "invalid username or password", hvac.Client(url=url).auth.userpass.login, "anna", "no")


def sealing():
    client.sys.seal()
    assert client.sys.is_sealed()
    refused(exceptions.VaultDown, "", pki.list_roles, mount_point="below")
    assert not client.sys.submit_unseal_key(unseal_key)["sealed"]
    assert pki.list_roles(mount_point="below")["data"]["keys"] == ["web"]


def clean_up():
    client.sys.disable_auth_method("approle")
    client.sys.disable_auth_method("userpass")
    client.sys.delete_policy("signer")
    pki.delete_role("web", mount_point="below")
    pki.delete_root(mount_point="corp")
    for path in ("below", "corp"):
        client.sys.disable_secrets_engine(path)


server()
authorities()
roles()
serial = certificates()
revocation(serial)
tokens()
logins()
if unseal_key:
    sealing()
clean_up()
print("hvac: the whole round")
