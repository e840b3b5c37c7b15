//! The crate `vaultrs`, a Vault client that others wrote, makes its whole round. The same round passes on a real OpenBao.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step of a test is a failed test")]

use crate::common::{Real, bao, csr, mock};
use vaultrs::{
    api::{
        auth::approle::requests::SetAppRoleRequest, pki::requests::*, token::requests::CreateTokenRequest,
    },
    auth::approle,
    client::{Client as _, VaultClient, VaultClientSettingsBuilder},
    error::ClientError,
    pki, sys, token,
};

fn client(address: &str, token: &str) -> VaultClient {
    let settings = VaultClientSettingsBuilder::default().address(address).token(token).build().unwrap();
    VaultClient::new(settings).unwrap()
}

/// What the server said when it refused.
fn refused<T>(result: Result<T, ClientError>) -> (u16, String) {
    match result {
        Err(ClientError::APIError { code, errors }) => (code, errors.join("; ")),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

async fn round(address: &str, unseal_key: &str) {
    let client = client(address, "root");
    sys::mount::enable(&client, "corp", "pki", None).await.unwrap();
    let mut root = GenerateRootRequest::builder();
    root.common_name("Corp Root").key_type("ec").key_bits(256_u64).ttl("700h");
    pki::cert::ca::generate(&client, "corp", "internal", Some(&mut root)).await.unwrap();
    let mut urls = SetURLsRequest::builder();
    urls.issuing_certificates(vec!["http://pki.example.com/ca".to_owned()]);
    pki::cert::urls::set(&client, "corp", Some(&mut urls)).await.unwrap();
    let urls = pki::cert::urls::read(&client, "corp").await.unwrap();
    assert_eq!(urls.issuing_certificates, ["http://pki.example.com/ca"]);

    let mut role = SetRoleRequest::builder();
    role.allowed_domains(vec!["example.com".to_owned()]).allow_subdomains(true).key_type("ec").max_ttl("72h");
    pki::role::set(&client, "corp", "web", Some(&mut role)).await.unwrap();
    assert_eq!(pki::role::list(&client, "corp").await.unwrap().keys, ["web"]);
    assert_eq!(pki::role::read(&client, "corp", "web").await.unwrap().allowed_domains, ["example.com"]);

    let mut asked = GenerateCertificateRequest::builder();
    asked.common_name("a.example.com").ttl("1h");
    let issued = pki::cert::generate(&client, "corp", "web", Some(&mut asked)).await.unwrap();
    assert_eq!(issued.private_key_type, "ec");
    let (csr, _) = csr("b.example.com");
    let signed = pki::cert::ca::sign(&client, "corp", "web", &csr, "b.example.com", None).await.unwrap();
    assert_eq!(signed.issuing_ca, issued.issuing_ca);
    let mut serials = pki::cert::list(&client, "corp").await.unwrap();
    serials.retain(|serial| [&issued.serial_number, &signed.serial_number].contains(&serial));
    assert_eq!(serials.len(), 2);
    let mut other = GenerateCertificateRequest::builder();
    other.common_name("evil.org");
    let (code, text) = refused(pki::cert::generate(&client, "corp", "web", Some(&mut other)).await);
    assert_eq!((code, text.as_str()), (400, "common name evil.org not allowed by this role"));

    assert!(pki::cert::revoke(&client, "corp", &signed.serial_number).await.unwrap().revocation_time > 0);
    let kept = pki::cert::read(&client, "corp", &signed.serial_number).await.unwrap();
    assert!(kept.revocation_time > 0);
    assert!(pki::cert::crl::rotate(&client, "corp").await.unwrap().success);

    let policy = "path \"corp/sign/web\" { capabilities = [\"update\"] }";
    sys::policy::set(&client, "signer", policy).await.unwrap();
    let mut asked = CreateTokenRequest::builder();
    asked.policies(vec!["signer".to_owned()]).ttl("1h");
    let made = token::new(&client, Some(&mut asked)).await.unwrap();
    let restricted = self::client(address, &made.client_token);
    assert_eq!(restricted.lookup().await.unwrap().policies, ["default", "signer"]);
    pki::cert::ca::sign(&restricted, "corp", "web", &csr, "b.example.com", None).await.unwrap();
    assert_eq!(refused(pki::role::list(&restricted, "corp").await).0, 403);

    sys::auth::enable(&client, "approle", "approle", None).await.unwrap();
    let mut role = SetAppRoleRequest::builder();
    role.token_policies(vec!["signer".to_owned()]);
    approle::role::set(&client, "approle", "web", Some(&mut role)).await.unwrap();
    let role_id = approle::role::read_id(&client, "approle", "web").await.unwrap().role_id;
    let secret = approle::role::secret::generate(&client, "approle", "web", None).await.unwrap();
    let login = approle::login(&client, "approle", &role_id, &secret.secret_id).await.unwrap();
    assert_eq!(login.policies, ["default", "signer"]);
    assert_eq!(refused(approle::login(&client, "approle", &role_id, "wrong").await).0, 400);

    sys::seal(&client).await.unwrap();
    assert_eq!(refused(pki::role::list(&client, "corp").await).0, 503);
    sys::unseal(&client, Some(unseal_key.to_owned()), None, None).await.unwrap();
    assert_eq!(pki::role::list(&client, "corp").await.unwrap().keys, ["web"]);
}

#[tokio::test]
async fn vaultrs_makes_its_whole_round() {
    let (running, _) = mock().await;
    round(running.url("vault"), &running.unseal_key).await;
}

#[tokio::test]
async fn the_same_round_passes_on_a_real_openbao() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    round(&real.address, &real.unseal_key().await).await;
}
