//! What must be true after every scenario, and after every certificate.

use std::time::Duration;

use anyhow::{bail, ensure};
use external_issuer::api::conditions::Condition;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, ListParams};

use super::{Issuer, World, lock};
use crate::Result;
use crate::api::{CertificateRequest, ExternalIssuer};
use crate::judge::Seen;

impl World {
    /// A Certificate made by [`World::certificate`] was issued as promised: the Secret is right by openssl's
    /// judgement, the request says so and nothing else, it took one write of its status and one event.
    pub async fn issued_well(&self, certificate: &str) -> Result<Seen> {
        self.certificate_ready(certificate).await?;
        let leaf = self.pair(certificate).await?.judge()?;
        let name = format!("{certificate}.example.com");
        ensure!(leaf.subject == format!("CN={name}"), "subject {}", leaf.subject);
        ensure!(leaf.subject_alt_names == format!("DNS:{name}"), "names {}", leaf.subject_alt_names);
        let day = 24 * 3600;
        ensure!((day - 60..=day + 3600).contains(&leaf.lifetime_secs), "lifetime {} s", leaf.lifetime_secs);
        let request = self.request_of(certificate).await?;
        self.issued_at_once(&request, &leaf).await?;
        Ok(leaf)
    }

    /// A request was issued with one write of its status and one event, and says exactly that.
    pub async fn issued_at_once(&self, request: &CertificateRequest, leaf: &Seen) -> Result {
        let name = request.metadata.name.as_deref().unwrap_or_default();
        let request = self
            .request_says(
                name,
                &["Approved True/…: …", "Ready True/Issued: certificate issued: serial …, valid until …"],
            )
            .await?;
        let ready = request.condition("Ready").and_then(|ready| ready.message.clone()).unwrap_or_default();
        let serial = leaf.serial.to_ascii_lowercase();
        ensure!(
            ready.to_ascii_lowercase().replace(':', "").contains(&serial),
            "{ready} does not name serial {serial}"
        );
        ensure!(
            request.status.as_ref().is_some_and(|s| s.failure_time.is_none()),
            "failureTime on an issued request"
        );
        self.status_writes_are(name, 1).await?;
        self.events_are(&request, &["Normal Issued: certificate issued: serial …, valid until …"]).await
    }

    /// The controller wrote a request's status this many times. A watch may tell of a write before the API server
    /// has logged it, so a number too small is waited for.
    pub async fn status_writes_are(&self, request: &str, count: usize) -> Result {
        let writes = self
            .eventually(&format!("{count} writes of {request}'s status"), super::SOON, async || {
                let writes = self.controller_calls(|call| {
                    call.resource == "certificaterequests/status" && call.name == request && call.code < 300
                })?;
                Ok(if writes.len() >= count { Ok(writes) } else { Err(format!("{} so far", writes.len())) })
            })
            .await?;
        ensure!(
            writes.len() == count,
            "{request}: {} writes of status instead of {count}: {writes:#?}",
            writes.len()
        );
        Ok(())
    }

    /// The controller's events about a request, as `Type Reason: note`.
    pub async fn events(&self, request: &CertificateRequest) -> Result<Vec<String>> {
        let events = self.api::<Event>().list(&ListParams::default()).await?;
        let mut ours: Vec<Event> = events
            .into_iter()
            .filter(|event| event.reporting_controller.as_deref() == Some("external-issuer"))
            .filter(|event| {
                event.regarding.as_ref().is_some_and(|regarding| regarding.uid == request.metadata.uid)
            })
            .collect();
        ours.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let line = |event: Event| {
            let text = |text: Option<String>| text.unwrap_or_default();
            format!("{} {}: {}", text(event.type_), text(event.reason), text(event.note))
        };
        Ok(ours.into_iter().map(line).collect())
    }

    /// Waits until the controller's events about a request are these, in this order, and no others. `…` stands
    /// for any text.
    pub async fn events_are(&self, request: &CertificateRequest, wanted: &[&str]) -> Result {
        self.events_are_within(request, wanted, super::SOON).await
    }

    /// [`World::events_are`] with another patience.
    pub async fn events_are_within(
        &self,
        request: &CertificateRequest,
        wanted: &[&str],
        within: Duration,
    ) -> Result {
        self.eventually("the request's events", within, async || {
            let events = self.events(request).await?;
            let same = events.len() == wanted.len()
                && events.iter().zip(wanted).all(|(event, wanted)| super::matches(wanted, event));
            Ok(if same { Ok(()) } else { Err(format!("are {events:#?}, wanted {wanted:#?}")) })
        })
        .await
    }

    /// What must be true after every scenario: no secret is seen anywhere, nothing has panicked, and the
    /// controller was refused nothing.
    pub async fn check(&self) -> Result {
        let log = self.log();
        let panic = log.lines().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "the controller panicked: {}", panic.unwrap_or_default());
        self.no_canary(&log).await?;
        self.nothing_refused()
    }

    async fn no_canary(&self, log: &str) -> Result {
        let mut canaries = lock(&self.canaries).clone();
        canaries.push("PRIVATE KEY".to_owned());
        let events = self.api::<Event>().list(&ListParams::default()).await?;
        let events = serde_json::to_string(&events.items)?;
        let requests = self.api::<CertificateRequest>().list(&ListParams::default()).await?;
        let requests: Vec<&[Condition]> = requests.iter().map(CertificateRequest::conditions).collect();
        let issuers = self.api::<ExternalIssuer>().list(&ListParams::default()).await?;
        let issuers = serde_json::to_string(&issuers.items)?;
        let places = [
            ("the controller's log", log),
            ("an event", &events),
            ("a request's condition", &serde_json::to_string(&requests)?),
            ("an issuer", &issuers),
        ];
        for canary in &canaries {
            for (place, text) in places {
                ensure!(!text.contains(canary.as_str()), "{place} holds a secret: {}", around(text, canary));
            }
        }
        Ok(())
    }

    fn nothing_refused(&self) -> Result {
        let allowed = lock(&self.may_be_refused).clone();
        let refused = self.controller_calls(|call| call.code == 403 && !allowed.contains(&call.resource))?;
        if let Some(call) = refused.first() {
            bail!("our RBAC does not allow what the controller does: {call:?}");
        }
        Ok(())
    }

    /// What `kubectl get` prints of an issuer: the titles and the cells.
    pub async fn printed(&self, issuer: &Issuer) -> Result<(Vec<String>, Vec<String>)> {
        let request = http::Request::get(format!("{}/{}", issuer.api(self).resource_url(), issuer.name))
            .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())?;
        let table: serde_json::Value = self.client.request(request).await?;
        let texts = |list: &serde_json::Value, field: Option<&str>| -> Vec<String> {
            let text =
                |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let of =
                |value: &serde_json::Value| field.map_or_else(|| text(value), |field| text(&value[field]));
            list.as_array().map(|list| list.iter().map(of).collect()).unwrap_or_default()
        };
        Ok((texts(&table["columnDefinitions"], Some("name")), texts(&table["rows"][0]["cells"], None)))
    }

    /// Reads an issuer.
    pub async fn get_issuer(&self, issuer: &Issuer) -> Result<DynamicObject> {
        Ok(issuer.api(self).get(&issuer.name).await?)
    }
}

/// Where a text was found, without the secret itself.
fn around(text: &str, canary: &str) -> String {
    let Some(at) = text.find(canary) else { return String::new() };
    let from = text.floor_char_boundary(at.saturating_sub(200));
    let to = text.floor_char_boundary((at + canary.len() + 100).min(text.len()));
    text.get(from..to).unwrap_or_default().replace(canary, "<the secret>")
}
