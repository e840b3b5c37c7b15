//! What is done and told: the issuer, the Certificate, its renewal.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::Result;
use e2e::api::{CertificateRequest, IssuerReference};
use e2e::pki::MockPki;
use e2e::world::{Kind, Pair, SOON, World};
use external_issuer::api::certificate_request::{APPROVED, READY};

use crate::narrator::Narrator;

/// The Certificate's name.
const NAME: &str = "web";
/// The Secret's.
const SECRET: &str = "web-tls";
/// What the paths that sign have in them.
const SIGNING: &str = "/sign/";

/// What must change with a renewal.
struct Leaf {
    serial: String,
    public_key: Vec<u8>,
}

/// The story, in a namespace of its own.
pub(crate) struct Story<'a> {
    world: &'a World,
    narrator: &'a Narrator,
}

impl<'a> Story<'a> {
    pub(crate) fn new(world: &'a World, narrator: &'a Narrator) -> Self {
        Self { world, narrator }
    }

    /// Tells it. The PKI runs until the answer is dropped.
    pub(crate) async fn tell(&self) -> Result<MockPki> {
        let (pki, issuer) = self.issuer().await?;
        let first = self.certificate(&pki, &issuer).await?;
        let second = self.renewal(&pki).await?;
        ensure!(
            first.serial != second.serial,
            "the renewed certificate has the serial of the first, {}",
            first.serial
        );
        ensure!(first.public_key != second.public_key, "the renewed certificate has the key of the first");
        self.narrator.good("a new key, a new serial, the same Secret");
        Ok(pki)
    }

    async fn issuer(&self) -> Result<(MockPki, IssuerReference)> {
        let Self { world, narrator } = self;
        narrator.chapter("The issuer");
        let pki = world.pkis().mock().await?;
        narrator.step(&format!("mock-pki plays a Vault at {}", pki.vault.url));
        let access = pki.vault.by_app_role().await?;
        let issuer = world.vault_issuer(Kind::Issuer, "company-pki", &access).await?;
        narrator.step(&format!("applied ExternalIssuer company-pki in namespace {}", world.namespace));
        narrator.details(&[
            (
                "config",
                format!("ConfigMap {}: type vault, path {}", world.config_name(Kind::Issuer), access.path),
            ),
            ("login", format!("AppRole, secret id in Secret {}", world.credential_name(Kind::Issuer))),
        ]);
        world.issuer_ready(&issuer).await?;
        narrator.good("Ready: configuration, credentials and the PKI's health were checked");
        Ok((pki, issuer.reference()))
    }

    async fn certificate(&self, pki: &MockPki, issuer: &IssuerReference) -> Result<Leaf> {
        let Self { world, narrator } = self;
        narrator.chapter("The Certificate");
        world.certificate_with(NAME, issuer, |spec| SECRET.clone_into(&mut spec.secret_name)).await?;
        narrator.step("applied Certificate web for web.example.com, for a day, with an ECDSA key");
        self.issue(pki, 1).await
    }

    async fn renewal(&self, pki: &MockPki) -> Result<Leaf> {
        let Self { world, narrator } = self;
        narrator.chapter("The renewal");
        world.renew(NAME).await?;
        narrator.step("asked for it, as `cmctl renew web` does; by itself it would come after 16 hours");
        self.issue(pki, 2).await
    }

    /// Follows a request to its Secret.
    async fn issue(&self, pki: &MockPki, revision: usize) -> Result<Leaf> {
        let Self { world, narrator } = self;
        let request = self.request(revision).await?;
        narrator
            .step(&format!("cert-manager made a private key, and CertificateRequest {request} with its CSR"));
        let approver = self.condition(&request, APPROVED).await?;
        narrator.step(&format!("Approved by {approver}"));
        let message = self.condition(&request, READY).await?;
        self.call(pki).await?;
        narrator.step("the answer was judged: its key, names, usages, validity and chain are what was asked");
        let said = message.strip_prefix("certificate issued: ").unwrap_or(&message);
        narrator.good(&format!("Ready, Issued: {said}"));
        world.certificate_at_revision(NAME, u64::try_from(revision)?).await?;
        let leaf = self.secret(&world.pair(SECRET).await?)?;
        let ledger = pki.issued_for("web.example.com").await?;
        let known = ledger.iter().any(|issued| issued.serial.eq_ignore_ascii_case(&leaf.serial));
        ensure!(known, "mock-pki's ledger does not know serial {}", leaf.serial);
        Ok(leaf)
    }

    /// The name of the Certificate's request of this revision.
    async fn request(&self, revision: usize) -> Result<String> {
        let world = self.world;
        // Only the newest is kept, so it is told by its name.
        let name = format!("{NAME}-{revision}");
        let wanted = format!("CertificateRequest {name}");
        let found = world.eventually(&wanted, SOON, || async {
            let all = world.requests_of(NAME).await?;
            let found = all.into_iter().find(|request| request.metadata.name.as_ref() == Some(&name));
            Ok(found.ok_or_else(|| "there is none yet".to_owned()))
        });
        found.await?.metadata.name.context("a request without a name")
    }

    /// Waits until the condition is True. The approver's name, or the message.
    async fn condition(&self, request: &str, type_: &str) -> Result<String> {
        let judge = |request: Option<&CertificateRequest>| {
            let condition =
                request.and_then(|request| request.condition(type_)).ok_or("no such condition")?;
            let said = if type_ == APPROVED { &condition.reason } else { &condition.message };
            let said = said.clone().unwrap_or_default();
            if condition.status == external_issuer::api::conditions::ConditionStatus::True {
                Ok(said)
            } else {
                Err(said)
            }
        };
        self.world.until(&self.world.api::<CertificateRequest>(), request, type_, SOON, judge).await
    }

    /// The call that the PKI got, from its own journal.
    async fn call(&self, pki: &MockPki) -> Result {
        let journal = pki.control.journal().await?;
        let signed =
            |entry: &&mock_pki::client::Entry| entry.path.contains(SIGNING) && entry.status == Some(200);
        let entry = journal.iter().rev().find(signed).context("mock-pki's journal has no signature")?;
        let took = Duration::from_micros(entry.microseconds);
        let agent = entry.user_agent.as_deref().unwrap_or("a client without a name");
        self.narrator.step(&format!(
            "the PKI's journal: {} {} by {agent}, answered {} in {took:.1?}",
            entry.method,
            entry.path,
            entry.status.unwrap_or_default(),
        ));
        Ok(())
    }

    fn secret(&self, pair: &Pair) -> Result<Leaf> {
        let chain = x509::bundle::read_certificates(pair.certificate.as_bytes())?;
        let root = x509::bundle::read_certificates(pair.ca.as_bytes())?;
        let leaf = chain.first().context("the Secret has no certificate")?;
        let names: Vec<String> = leaf.subject_alt_names().iter().map(ToString::to_string).collect();
        let above: Vec<String> = chain.iter().skip(1).map(|one| one.subject().to_string()).collect();
        let roots: Vec<String> = root.iter().map(|one| one.subject().to_string()).collect();
        self.narrator.good(&format!("Secret {SECRET}: tls.crt, tls.key, ca.crt"));
        self.narrator.details(&[
            ("subject", leaf.subject().to_string()),
            ("names", names.join(", ")),
            ("issuer", leaf.issuer().to_string()),
            ("serial", leaf.serial_hex()),
            ("valid", format!("{} until {}", leaf.not_before(), leaf.not_after())),
            ("chain", format!("{} above it in tls.crt; {} in ca.crt", above.join(", "), roots.join(", "))),
        ]);
        Ok(Leaf { serial: leaf.serial_hex(), public_key: leaf.spki_der().to_vec() })
    }
}
