//! What the story and `up` have in common: everybody at work, and a timeline that is told of it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kube::api::DynamicObject;
use kube::runtime::wait::await_condition;
use serde_json::Value;
use sim_stage::{Stage, apply};

use crate::timeline::{Timeline, Who};
use crate::witness::{self, condition};

/// Where you work.
pub(crate) const NAMESPACE: &str = "shop";
/// The Certificate that you apply.
pub(crate) const CERTIFICATE: &str = include_str!("../../fixtures/playground/certificate.yaml");
const ISSUER: &str = include_str!("../../fixtures/playground/issuer.yaml");
/// The address that [`ISSUER`] gives the PKI.
const PKI: &str = "http://mock-pki.playground:8200";
/// Of the cluster's time.
const LONGEST_WAIT: Duration = Duration::from_hours(48);

/// A stage, and who is told what happens on it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) timeline: &'a Timeline,
    /// How long is waited for what happened before, so that it is told before.
    pub(crate) together: Duration,
}

impl Scene<'_> {
    /// Sets cert-manager and the controller to work, tells what happens, and plays `part` meanwhile; then everybody is
    /// stopped in good order. It ends early, and well, if nobody reads any more.
    pub(crate) async fn play(&self, part: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let Self { stage, timeline, together } = *self;
        self.tell_of_the_pki();
        stage.tenant(NAMESPACE).await?;
        let cert_manager = stage.cert_manager();
        let mut controller = stage.controller("controller", &[])?;
        let told = tokio::select! {
            told = part => told,
            () = timeline.unread() => Ok(()),
            () = witness::watch(stage, timeline, together) => bail!("the watch of the cluster ended"),
            ended = controller.ended() => bail!("the controller ended: {ended:?}"),
        };
        cert_manager.abort();
        let ended = controller.stop().await;
        told?;
        ensure!(matches!(ended, sim_stage::Ended::Well), "the controller ended badly: {ended:?}");
        Ok(())
    }

    fn tell_of_the_pki(&self) {
        let (timeline, server) = (self.timeline.clone(), self.stage.server().clone());
        self.stage.pki.on_call(move |call| {
            // Health checks are a minute apart, for ever; a refused one shows in the issuer's condition.
            if call.is_check {
                return;
            }
            let answer =
                call.status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
            let (revision, now) = server.with(|cluster, now| (cluster.store().revision(), now));
            timeline.tell(revision, now, Who::Pki, format!("{} {} → {answer}", call.method, call.path));
        });
    }

    /// Applies an issuer, whose PKI has this URL, and waits until it is Ready.
    pub(crate) async fn issuer(&self, pki: Option<&str>) -> anyhow::Result<()> {
        self.act("applied ConfigMap pki-config, Secret pki-credentials and ExternalIssuer company-pki");
        let manifest = ISSUER.replace(PKI, pki.unwrap_or(PKI));
        apply(&self.stage.admin(), &manifest, NAMESPACE).await?;
        self.until(
            ("external-issuer.io", "v1alpha1", "ExternalIssuer", "company-pki"),
            "be Ready",
            |issuer| condition(issuer, "Ready").is_some_and(|(status, ..)| status == "True"),
        )
        .await
    }

    /// Waits until something holds of an object.
    pub(crate) async fn until(
        &self,
        (group, version, kind, name): (&str, &str, &str, &str),
        wanted: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let _waiting = self.timeline.waiting_for(format!("waiting for {kind} {name} to {wanted}"));
        let api = witness::api(&self.stage.admin(), group, version, kind, NAMESPACE);
        let holds = |object: Option<&DynamicObject>| {
            object.and_then(|object| serde_json::to_value(object).ok()).is_some_and(|object| holds(&object))
        };
        match tokio::time::timeout(LONGEST_WAIT, await_condition(api, name, holds)).await {
            Ok(found) => found.map(drop).with_context(|| format!("waiting for {kind} {name}")),
            Err(_) => bail!("{kind} {name} did not {wanted} within two days of the cluster"),
        }
    }

    /// Tells what you did.
    pub(crate) fn act(&self, what: &str) {
        let (revision, now) = self.stage.server().with(|cluster, now| (cluster.store().revision(), now));
        self.timeline.tell(revision, now, Who::You, what.to_owned());
    }
}
