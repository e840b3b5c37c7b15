use ca::SigningKey;

use super::*;
use crate::api::issuer::MockCaKeyAlgorithm;
use crate::clock::{Clock as _, SystemClock};
use crate::signer::{Order, Outcome, RequestIdentity};

fn registry() -> Registry {
    Registry::new(Arc::new(SystemClock), None)
}

fn pki(document: &str, credential: &str) -> Result<Arc<dyn Signer>, BuildError> {
    let config = crate::config::parse(document).unwrap();
    let credential = SecretText::from_bytes(credential.as_bytes()).unwrap();
    registry().pki(&config, credential, &Patience::default())
}

#[tokio::test]
async fn a_credential_that_no_login_can_send_makes_no_signer() {
    let token =
        "{type: vault, vault: {url: 'http://vault.example.com', path: pki/sign/web, auth: {method: token}}}";
    assert!(pki(token, "hvs.abc").is_ok());
    assert_eq!(pki(token, "hvs.ü").err().unwrap().reason, "CredentialInvalid");
}

/// The root that a mock CA's certificates chain to.
async fn root(signer: &Arc<dyn Signer>) -> x509::Certificate {
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let csr = x509::Csr::from_der(&key.request(&[0x30, 0], Vec::new()).unwrap()).unwrap();
    let order = Order {
        csr,
        duration: Duration::from_hours(1),
        usages: x509::Usages::default_for_leaf(),
        is_ca: false,
        request: RequestIdentity::default(),
    };
    match signer.submit(&order).await {
        Outcome::Issued(mut answer) => answer.certificates.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_issuer_keeps_its_ca_until_it_is_forgotten_or_wants_another_key() {
    let registry = registry();
    let p256 = MockCaSpec::default();
    let p384 = MockCaSpec { key_algorithm: Some(MockCaKeyAlgorithm::EcdsaP384), ..MockCaSpec::default() };
    let make = async |uid: &str, spec: &MockCaSpec| {
        root(&registry.mockca(uid, "ns/name", spec, None).await.unwrap()).await
    };
    let first = make("1", &p256).await;
    assert_eq!(make("1", &p256).await, first);
    assert_ne!(make("2", &p256).await, first);
    let other_key = make("1", &p384).await;
    assert_ne!(other_key, first);
    assert_eq!(make("1", &p384).await, other_key);
    registry.forget("1");
    assert_ne!(make("1", &p384).await, other_key);
}

#[tokio::test]
async fn two_signers_made_at_once_have_one_ca() {
    let (registry, spec) = (registry(), MockCaSpec::default());
    let made = futures::future::join_all((0..8).map(|_| registry.mockca("1", "ns/name", &spec, None))).await;
    let mut roots = Vec::new();
    for signer in made {
        roots.push(root(&signer.unwrap()).await);
    }
    roots.dedup();
    assert_eq!(roots.len(), 1);
}

#[tokio::test]
async fn a_users_ca_survives_and_a_wrong_one_says_why() {
    let registry = registry();
    let own = mockca::new_authority("Team", KeyAlgorithm::Ed25519, SystemClock.now()).unwrap();
    let (crt, key) = (own.chain()[0].to_pem(), own.key().to_pkcs8_pem().unwrap());
    let spec = MockCaSpec::default();
    let signer =
        registry.mockca("1", "ns/name", &spec, Some((crt.as_bytes(), key.as_bytes()))).await.unwrap();
    assert_eq!(root(&signer).await, own.chain()[0]);

    let error = registry.mockca("1", "ns/name", &spec, Some((crt.as_bytes(), b""))).await.err().unwrap();
    let message = "the Secret of mockca.caSecretRef: tls.key is empty";
    assert_eq!(error, BuildError { reason: "CaSecretInvalid", message: message.into() });
}
