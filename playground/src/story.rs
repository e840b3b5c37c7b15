//! What you do, and what you wait for: an issuer, a Certificate, its renewal, an outage, the recovery.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use mock_pki::Fault;
use serde_json::Value;
use sim_stage::{Options, Stage, apply};
use x509::Certificate;

use crate::args::Args;
use crate::pace;
use crate::scene::{CERTIFICATE, NAMESPACE, Scene};
use crate::timeline::Timeline;
use crate::witness::{self, condition, text};

/// What the cluster's clock shows at first.
const BEGINS: &str = "2030-01-01T00:00:00Z";

/// Tells the story.
pub(crate) fn play(args: &Args) -> anyhow::Result<()> {
    pace::turned_by_hand().context("no runtime")?.block_on(async {
        let begins: Timestamp = BEGINS.parse().context("the beginning of time")?;
        let timeline = Timeline::new(args.json, begins);
        let stage = Stage::set(Options { seed: args.seed, begins }).await?;
        let scene = Scene { stage: &stage, timeline: &timeline, together: pace::ALL_OF_IT };
        let story = Story { scene, begins };
        tokio::select! {
            told = scene.play(story.chapters()) => told,
            () = pace::keep(args.speed) => Ok(()),
        }
    })
}

struct Story<'a> {
    scene: Scene<'a>,
    begins: Timestamp,
}

impl Story<'_> {
    async fn chapters(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let first = self.first_certificate().await?;
        let first_after = began.elapsed();
        let renewed = self.renewal(&first).await?;
        let recovered = self.outage(&renewed).await?;
        // What the last write leads to is part of the story.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let passed = self.scene.stage.clock().now().duration_since(self.begins);
        let serials = [&first, &renewed, &recovered].map(Certificate::serial_hex);
        self.scene.timeline.summary(&[
            ("certificates", serials.join(", ")),
            ("in the cluster passed", format!("{} hours", passed.as_hours())),
            ("the first Secret after", format!("{} ms of your time", first_after.as_millis())),
            ("all of it took", format!("{} ms of your time", began.elapsed().as_millis())),
        ]);
        Ok(())
    }

    async fn first_certificate(&self) -> anyhow::Result<Certificate> {
        self.scene.timeline.chapter("An issuer and a Certificate");
        self.scene.issuer(None).await?;
        self.scene.act(
            "applied Certificate web for shop.example.com: a day long, to be renewed 8 hours before its end",
        );
        apply(&self.scene.stage.admin(), CERTIFICATE, NAMESPACE).await?;
        self.revision(1).await
    }

    async fn renewal(&self, first: &Certificate) -> anyhow::Result<Certificate> {
        self.scene.timeline.chapter("The renewal, by itself");
        let renewed = self.revision(2).await?;
        ensure!(renewed.serial_hex() != first.serial_hex(), "the renewal has the serial of the first");
        Ok(renewed)
    }

    async fn outage(&self, renewed: &Certificate) -> anyhow::Result<Certificate> {
        self.scene.timeline.chapter("The PKI is down when the next renewal comes");
        let down = self.scene.stage.pki.install(Fault::new("status").with("status", 503))?;
        self.scene.act("broke the PKI: every call gets HTTP 503");
        self.scene
            .until(("cert-manager.io", "v1", "CertificateRequest", "web-3"), "be tried", |request| {
                condition(request, "Ready").is_some()
            })
            .await?;
        // Long enough to see it retried; the certificate in use is good for hours yet.
        tokio::time::sleep(Duration::from_mins(30)).await;
        let secret = self.secret().await?;
        let in_use = leaf(&secret).context("the Secret lost its certificate")?;
        ensure!(in_use.serial_hex() == renewed.serial_hex(), "the Secret changed while the PKI was down");
        let left: SignedDuration = in_use.not_after().duration_since(self.scene.stage.clock().now());
        self.scene.act(&format!(
            "looked into the Secret: the old pair is whole, and good for {} hours more",
            left.as_hours()
        ));
        self.scene.stage.pki.uninstall(down);
        self.scene.act("mended the PKI");
        self.revision(3).await
    }

    /// Waits for the Certificate's revision, and for its Secret.
    async fn revision(&self, revision: i64) -> anyhow::Result<Certificate> {
        let certificate = ("cert-manager.io", "v1", "Certificate", "web");
        self.scene
            .until(certificate, &format!("have revision {revision}"), |found| {
                found.pointer("/status/revision").and_then(Value::as_i64) == Some(revision)
                    && condition(found, "Ready").is_some_and(|(status, ..)| status == "True")
            })
            .await?;
        leaf(&self.secret().await?).context("the Secret holds no certificate")
    }

    async fn secret(&self) -> anyhow::Result<Value> {
        let api = witness::api(&self.scene.stage.admin(), "", "v1", "Secret", NAMESPACE);
        Ok(serde_json::to_value(api.get("web-tls").await?)?)
    }
}

/// The leaf in a Secret.
pub(crate) fn leaf(secret: &Value) -> Option<Certificate> {
    let pem = base64::engine::general_purpose::STANDARD.decode(text(secret, "/data/tls.crt")).ok()?;
    x509::bundle::read_certificates(&pem).ok()?.into_iter().next()
}
