//! Waits: for a state, not for a moment. Each follows a watch and says, when it gives up, what it saw last.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use anyhow::bail;
use external_issuer::api::conditions::Condition;
use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Issuer, World};
use crate::Result;
use crate::api::{Certificate, CertificateRequest};

/// How long a thing may take that happens at once on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);
/// How long a thing may take that waits for something: a back-off, a lease, an approval that nobody gives.
pub const LONG: Duration = Duration::from_mins(2);

/// How much of an object is shown.
const SHOWN: usize = 8000;
/// How long a thing may take that a watch tells of: seconds, on a machine that does other things as well. No timer of
/// the controller's that a scenario leaves in force may come sooner.
pub const PROMPTLY: Duration = Duration::from_secs(15);

impl World {
    /// Waits until `judge` accepts the object. It gets the object, or `None` while there is none, and says what
    /// is still missing.
    pub async fn until<K, T>(
        &self,
        api: &Api<K>,
        name: &str,
        wanted: &str,
        within: Duration,
        mut judge: impl FnMut(Option<&K>) -> std::result::Result<T, String>,
    ) -> Result<T>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
    {
        let mut last = None;
        let mut missing = "nothing was seen yet".to_owned();
        let follow = async {
            let mut states = pin!(watcher::watch_object(api.clone(), name).default_backoff());
            while let Some(state) = states.next().await {
                match state {
                    Err(error) => missing = format!("the watch failed: {error}"),
                    Ok(object) => {
                        match judge(object.as_ref()) {
                            Ok(found) => return Some(found),
                            Err(why) => missing = why,
                        }
                        last = object;
                    }
                }
            }
            None
        };
        match tokio::time::timeout(within, follow).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => bail!("{name}: {wanted}: the watch ended"),
            Err(_) => {
                let object = last.map_or_else(
                    || "it does not exist".to_owned(),
                    |mut object| {
                        object.meta_mut().managed_fields = None;
                        let text = serde_saphyr::to_string(&object).unwrap_or_else(|error| error.to_string());
                        text.get(..text.floor_char_boundary(SHOWN)).unwrap_or_default().to_owned()
                    },
                );
                bail!(
                    "{name}: {wanted}: not within {within:?}: {missing}\n--- the object\n{object}{}",
                    self.story().await
                )
            }
        }
    }

    /// Waits until `look` finds what it looks for, where there is nothing to watch.
    pub async fn eventually<T, F>(
        &self,
        wanted: &str,
        within: Duration,
        mut look: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<std::result::Result<T, String>>>,
    {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let missing = match look().await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(missing)) => missing,
                Err(error) => format!("{error:#}"),
            };
            if tokio::time::Instant::now() > deadline {
                bail!("{wanted}: not within {within:?}: {missing}{}", self.story().await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a request's conditions are these and no others; see [`conditions_are`].
    pub async fn request_says(&self, name: &str, wanted: &[&str]) -> Result<CertificateRequest> {
        self.request_says_within(name, wanted, SOON).await
    }

    /// [`World::request_says`] with another patience.
    pub async fn request_says_within(
        &self,
        name: &str,
        wanted: &[&str],
        within: Duration,
    ) -> Result<CertificateRequest> {
        self.until(
            &self.api(),
            name,
            "the request's conditions",
            within,
            |request: Option<&CertificateRequest>| {
                let request = request.ok_or("there is no such request")?;
                conditions_are(request.conditions(), wanted)?;
                Ok(request.clone())
            },
        )
        .await
    }

    /// A Certificate's first request is issued promptly: a watch woke it. Then the Certificate is Ready.
    pub async fn wakes(&self, certificate: &str) -> Result {
        let issued = ["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"];
        self.request_says_within(&format!("{certificate}-1"), &issued, PROMPTLY).await?;
        self.certificate_ready(certificate).await?;
        self.pair(certificate).await?.judge().map(drop)
    }

    /// Waits until a request is Pending, whatever else it says.
    pub async fn request_pending(&self, name: &str) -> Result<CertificateRequest> {
        self.until(&self.api(), name, "to be Pending", SOON, |request: Option<&CertificateRequest>| {
            let request = request.ok_or("there is no such request")?;
            let ready = request.condition("Ready").map(line).ok_or("no condition Ready")?;
            if matches("Ready False/Pending: …", &ready) { Ok(request.clone()) } else { Err(ready) }
        })
        .await
    }

    /// Waits until there is a request of this name.
    pub async fn until_there(&self, name: &str) -> Result<CertificateRequest> {
        self.until(&self.api(), name, "to be there", SOON, |request: Option<&CertificateRequest>| {
            request.cloned().ok_or_else(|| "there is no such request".to_owned())
        })
        .await
    }

    /// Waits until an issuer's one condition, at its present generation, is this.
    pub async fn issuer_says(&self, issuer: &Issuer, wanted: &str) -> Result {
        let name = &issuer.name;
        let object = issuer.api(self);
        self.until(&object, name, "the issuer's condition", SOON, |object| {
            let object = object.ok_or("there is no such issuer")?;
            let status = object.data.get("status").and_then(|status| status.get("conditions"));
            let conditions: Vec<Condition> = status
                .map(|status| serde_json::from_value(status.clone()))
                .transpose()
                .map_err(|error| error.to_string())?
                .unwrap_or_default();
            conditions_are(&conditions, &[wanted])?;
            let observed = conditions.first().and_then(|condition| condition.observed_generation);
            if observed == object.metadata.generation {
                Ok(())
            } else {
                Err(format!("observed {observed:?}"))
            }
        })
        .await
    }

    /// Waits until an issuer is Ready.
    pub async fn issuer_ready(&self, issuer: &Issuer) -> Result {
        self.issuer_says(
            issuer,
            "Ready True/Checked: configuration, credentials and the PKI's health were checked",
        )
        .await
    }

    /// Waits until a Certificate is Ready at its present generation and nothing is being issued.
    pub async fn certificate_ready(&self, name: &str) -> Result<Certificate> {
        self.certificate_at_revision(name, 1).await
    }

    /// [`World::certificate_ready`], at this revision or a later one.
    pub async fn certificate_at_revision(&self, name: &str, revision: u64) -> Result<Certificate> {
        let wanted = format!("Ready at revision {revision}");
        self.until(&self.api(), name, &wanted, LONG, |certificate: Option<&Certificate>| {
            let certificate = certificate.ok_or("there is no such Certificate")?;
            let ready = certificate.condition("Ready").ok_or("no condition Ready")?;
            let line = line_of_certificate(ready);
            if certificate.condition("Issuing").is_some() {
                return Err(format!("still issuing; {line}"));
            }
            if ready.observed_generation != certificate.metadata.generation
                || revision_of(certificate) < revision
            {
                return Err(format!("revision {}; {line}", revision_of(certificate)));
            }
            if matches("Ready True/Ready: Certificate is up to date and has not expired", &line) {
                Ok(certificate.clone())
            } else {
                Err(line)
            }
        })
        .await
    }

    /// Waits until a Certificate's condition of this type reads like this.
    pub async fn certificate_says(&self, name: &str, type_: &str, wanted: &str) -> Result<Certificate> {
        self.until(&self.api(), name, wanted, SOON, |certificate: Option<&Certificate>| {
            let certificate = certificate.ok_or("there is no such Certificate")?;
            let condition = certificate.condition(type_).ok_or("no such condition")?;
            let line = line_of_certificate(condition);
            if matches(wanted, &line) { Ok(certificate.clone()) } else { Err(line) }
        })
        .await
    }
}

/// Whether the conditions are these and no others, in the order of their types.
///
/// Each is written as `Type Status/Reason: message`, where `…` stands for any text.
pub(super) fn conditions_are(conditions: &[Condition], wanted: &[&str]) -> std::result::Result<(), String> {
    let mut lines: Vec<String> = conditions.iter().map(line).collect();
    lines.sort();
    let same =
        lines.len() == wanted.len() && lines.iter().zip(wanted).all(|(line, wanted)| matches(wanted, line));
    if same { Ok(()) } else { Err(format!("is {lines:#?}\nwanted {wanted:#?}")) }
}

/// A condition in one line.
fn line(condition: &Condition) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (reason, message) = (text(&condition.reason), text(&condition.message));
    format!("{} {:?}/{reason}: {message}", condition.type_, condition.status)
}

/// The same of a Certificate's.
fn line_of_certificate(condition: &sim_cert_manager::api::Condition) -> String {
    let sim_cert_manager::api::Condition { type_, status, reason, message, .. } = condition;
    format!("{type_} {status:?}/{reason}: {message}")
}

/// How many times a Certificate was issued.
#[must_use]
pub fn revision_of(certificate: &Certificate) -> u64 {
    certificate.status.as_ref().and_then(|status| status.revision).unwrap_or_default()
}

/// Whether `text` is `pattern`, where `…` in the pattern stands for any text.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('…').collect();
    let Some((last, middle)) = parts.split_last() else { return true };
    for part in middle {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn an_ellipsis_stands_for_any_text() {
        for (pattern, text) in
            [("a", "a"), ("a…", "abc"), ("…c", "abc"), ("a…c", "abc"), ("a…b…c", "a b b c")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("…b", "abc"), ("a…d…c", "abc"), ("b…", "abc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
