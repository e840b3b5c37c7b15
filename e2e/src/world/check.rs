//! What must be true after every scenario, and after every certificate.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{bail, ensure};
use external_issuer::api::conditions::Condition;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DynamicObject, ListParams};

use super::{Issuer, World, lock};
use crate::Result;
use crate::api::{CertificateRequest, ExternalClusterIssuer, ExternalIssuer};
use crate::audit::Call;
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
        canaries.extend(self.pkis().root_tokens());
        // A private key, and the head of a ServiceAccount's token.
        canaries.extend(["PRIVATE KEY".to_owned(), "eyJhbGciOi".to_owned()]);
        let all = ListParams::default();
        let requests = self.api::<CertificateRequest>().list(&all).await?;
        let requests: Vec<&[Condition]> = requests.iter().map(CertificateRequest::conditions).collect();
        let places = [
            ("the controller's log", log.to_owned()),
            ("an event", serde_json::to_string(&self.api::<Event>().list(&all).await?.items)?),
            // Where events about cluster-scoped objects are.
            ("an event in default", {
                let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
                serde_json::to_string(&events.list(&all).await?.items)?
            }),
            ("a request's condition", serde_json::to_string(&requests)?),
            ("an issuer", serde_json::to_string(&self.api::<ExternalIssuer>().list(&all).await?.items)?),
            (
                "a cluster issuer",
                serde_json::to_string(&self.cluster_api::<ExternalClusterIssuer>().list(&all).await?.items)?,
            ),
        ];
        for (place, text) in &places {
            for canary in &canaries {
                ensure!(!text.contains(canary.as_str()), "{place} holds a secret: {}", around(text, canary));
            }
            let token = vault_token(text);
            ensure!(
                token.is_none(),
                "{place} holds a token of Vault's: {}",
                around(text, token.unwrap_or_default())
            );
        }
        Ok(())
    }

    /// Neither in the scenario's namespace nor where all scenarios share: a permission that our RBAC forgot. What was
    /// refused where all share fails one scenario, not every one that follows.
    fn nothing_refused(&self) -> Result {
        let allowed = lock(&self.may_be_refused).clone();
        let user = &self.ground.controller_user;
        let refused = |call: &Call| call.user == *user && call.code == 403;
        let ours = self.calls(|call| refused(call) && !allowed.contains(&call.resource))?;
        let shared = self.ground.audit.calls(&|call| {
            let shared =
                call.namespace.is_empty() || call.namespace == self.system || call.namespace == "default";
            shared && refused(call)
        })?;
        let judged = self.ground.judged.fetch_max(shared.len(), Ordering::Relaxed);
        let new = shared.get(judged..).unwrap_or_default();
        if let Some(call) = ours.first().or(new.first()) {
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
        let cell =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let list = |path: &str| {
            table.pointer(path).and_then(serde_json::Value::as_array).cloned().unwrap_or_default()
        };
        let titles = list("/columnDefinitions");
        let titles = titles.iter().filter_map(|column| column.get("name")).map(cell).collect();
        Ok((titles, list("/rows/0/cells").iter().map(cell).collect()))
    }

    /// Reads an issuer.
    pub async fn get_issuer(&self, issuer: &Issuer) -> Result<DynamicObject> {
        Ok(issuer.api(self).get(&issuer.name).await?)
    }
}

/// A text that looks like a token that Vault gave out at a login, which nobody here has seen: `s.` or `hvs.`, and
/// two dozen letters and digits.
fn vault_token(text: &str) -> Option<&str> {
    ["s.", "hvs."].iter().find_map(|head| {
        text.match_indices(head).find_map(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let rest = text.get(at + head.len()..)?;
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let alone = before.is_none_or(|c| !c.is_ascii_alphanumeric());
            if alone && length >= 24 { text.get(at..at + head.len() + length) } else { None }
        })
    })
}

/// Where a text was found, without the secret itself.
fn around(text: &str, canary: &str) -> String {
    let Some(at) = text.find(canary) else { return String::new() };
    let from = text.floor_char_boundary(at.saturating_sub(200));
    let to = text.floor_char_boundary((at + canary.len() + 100).min(text.len()));
    text.get(from..to).unwrap_or_default().replace(canary, "<the secret>")
}

#[cfg(test)]
mod tests {
    use super::vault_token;

    #[test]
    fn a_token_is_told_from_a_sentence() {
        let token = "s.abcdefghijklmnopqrstuvwx";
        assert_eq!(vault_token(&format!("login gave {token}.")), Some(token));
        assert_eq!(vault_token("certificaterequests.abcdefghijklmnopqrstuvwxyz and s.short"), None);
    }
}
