//! What you do, and what you wait for: an issuer, a Certificate, its renewal, an outage, the recovery.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use jiff::SignedDuration;
use kube::api::DynamicObject;
use kube::runtime::wait::await_condition;
use mock_pki::Fault;
use serde_json::Value;
use sim_stage::{Stage, apply};
use x509::Certificate;

use crate::timeline::{Timeline, Who};
use crate::witness::{self, condition, text};

/// Where you work.
const NAMESPACE: &str = "shop";
const ISSUER: &str = include_str!("../../fixtures/playground/issuer.yaml");
const CERTIFICATE: &str = include_str!("../../fixtures/playground/certificate.yaml");
/// Of the cluster's time.
const LONGEST_WAIT: Duration = Duration::from_hours(48);

/// The story.
pub(crate) struct Story<'a> {
    stage: &'a Stage,
    timeline: &'a Timeline,
}

impl<'a> Story<'a> {
    pub(crate) fn new(stage: &'a Stage, timeline: &'a Timeline) -> Self {
        Self { stage, timeline }
    }

    /// Tells it.
    pub(crate) async fn tell(&self) -> anyhow::Result<()> {
        let (stage, timeline, clock) = (self.stage, self.timeline, self.stage.clock());
        let (told_to, server) = (timeline.clone(), stage.server().clone());
        stage.pki.on_call(move |call| {
            // Health checks are a minute apart, for ever; a refused one shows in the issuer's condition.
            if call.is_check {
                return;
            }
            let answer =
                call.status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
            let revision = server.with(|cluster, _| cluster.store().revision());
            told_to.tell(
                revision,
                clock.now(),
                Who::Pki,
                format!("{} {} → {answer}", call.method, call.path),
            );
        });
        stage.tenant(NAMESPACE).await?;
        let cert_manager = stage.cert_manager();
        let controller = stage.controller("controller", &[])?;
        let told = tokio::select! {
            told = self.chapters() => told,
            () = witness::watch(stage, NAMESPACE, timeline) => bail!("the watch of the cluster ended"),
        };
        cert_manager.abort();
        let ended = controller.stop().await;
        told?;
        ensure!(matches!(ended, sim_stage::Ended::Well), "the controller ended badly: {ended:?}");
        Ok(())
    }

    async fn chapters(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let first = self.first_certificate().await?;
        let first_after = began.elapsed();
        let renewed = self.renewal(&first).await?;
        let recovered = self.outage(&renewed).await?;
        let passed = self.stage.clock().now().duration_since(crate::BEGINS.parse()?);
        let serials = [&first, &renewed, &recovered].map(Certificate::serial_hex);
        self.timeline.summary(&[
            ("certificates", serials.join(", ")),
            ("in the cluster passed", format!("{} hours", passed.as_hours())),
            ("the first Secret after", format!("{} ms of your time", first_after.as_millis())),
            ("all of it took", format!("{} ms of your time", began.elapsed().as_millis())),
        ]);
        Ok(())
    }

    async fn first_certificate(&self) -> anyhow::Result<Certificate> {
        self.timeline.chapter("An issuer and a Certificate");
        self.act("applied ConfigMap pki-config, Secret pki-credentials and ExternalIssuer company-pki");
        apply(&self.stage.admin(), ISSUER, NAMESPACE).await?;
        self.until(
            ("external-issuer.io", "v1alpha1", "ExternalIssuer", "company-pki"),
            "be Ready",
            |issuer| condition(issuer, "Ready").is_some_and(|(status, ..)| status == "True"),
        )
        .await?;
        self.act(
            "applied Certificate web for shop.example.com: a day long, to be renewed 8 hours before its end",
        );
        apply(&self.stage.admin(), CERTIFICATE, NAMESPACE).await?;
        self.revision(1).await
    }

    async fn renewal(&self, first: &Certificate) -> anyhow::Result<Certificate> {
        self.timeline.chapter("The renewal, by itself");
        let renewed = self.revision(2).await?;
        ensure!(renewed.serial_hex() != first.serial_hex(), "the renewal has the serial of the first");
        Ok(renewed)
    }

    async fn outage(&self, renewed: &Certificate) -> anyhow::Result<Certificate> {
        self.timeline.chapter("The PKI is down when the next renewal comes");
        let down = self.stage.pki.install(Fault::new("status").with("status", 503))?;
        self.act("broke the PKI: every call gets HTTP 503");
        self.until(("cert-manager.io", "v1", "CertificateRequest", "web-3"), "be tried", |request| {
            condition(request, "Ready").is_some()
        })
        .await?;
        // Long enough to see it retried; the certificate in use is good for hours yet.
        tokio::time::sleep(Duration::from_mins(30)).await;
        let secret = self.secret().await?;
        let in_use = leaf(&secret).context("the Secret lost its certificate")?;
        ensure!(in_use.serial_hex() == renewed.serial_hex(), "the Secret changed while the PKI was down");
        let left: SignedDuration = in_use.not_after().duration_since(self.stage.clock().now());
        self.act(&format!(
            "looked into the Secret: the old pair is whole, and good for {} hours more",
            left.as_hours()
        ));
        self.stage.pki.uninstall(down);
        self.act("mended the PKI");
        self.revision(3).await
    }

    /// Waits for the Certificate's revision, and for its Secret.
    async fn revision(&self, revision: i64) -> anyhow::Result<Certificate> {
        let certificate = ("cert-manager.io", "v1", "Certificate", "web");
        self.until(certificate, &format!("have revision {revision}"), |found| {
            found.pointer("/status/revision").and_then(Value::as_i64) == Some(revision)
                && condition(found, "Ready").is_some_and(|(status, ..)| status == "True")
        })
        .await?;
        leaf(&self.secret().await?).context("the Secret holds no certificate")
    }

    async fn secret(&self) -> anyhow::Result<Value> {
        let api = witness::api(&self.stage.admin(), "", "v1", "Secret", NAMESPACE);
        Ok(serde_json::to_value(api.get("web-tls").await?)?)
    }

    async fn until(
        &self,
        (group, version, kind, name): (&str, &str, &str, &str),
        wanted: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let api = witness::api(&self.stage.admin(), group, version, kind, NAMESPACE);
        let holds = |object: Option<&DynamicObject>| {
            object.and_then(|object| serde_json::to_value(object).ok()).is_some_and(|object| holds(&object))
        };
        match tokio::time::timeout(LONGEST_WAIT, await_condition(api, name, holds)).await {
            Ok(found) => found.map(drop).with_context(|| format!("waiting for {kind} {name}")),
            Err(_) => bail!("{kind} {name} did not {wanted} within two days of the cluster"),
        }
    }

    fn act(&self, what: &str) {
        let revision = self.stage.server().with(|cluster, _| cluster.store().revision());
        self.timeline.tell(revision, self.stage.clock().now(), Who::You, what.to_owned());
    }
}

/// The leaf in a Secret.
pub(crate) fn leaf(secret: &Value) -> Option<Certificate> {
    let pem = base64::engine::general_purpose::STANDARD.decode(text(secret, "/data/tls.crt")).ok()?;
    x509::bundle::read_certificates(&pem).ok()?.into_iter().next()
}
