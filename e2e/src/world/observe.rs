//! What the controller tells about itself, and what a PKI remembers of it.

use anyhow::{Context as _, ensure};

use super::{LONG, SOON, World};
use crate::Result;
use crate::api::Certificate;
use crate::controller::{Replica, Settings, leads};
use crate::pki::{Guard, MockPki};

impl World {
    /// The metrics of the one replica that leads.
    pub async fn metrics(&self) -> Result<String> {
        let mut leading = Vec::new();
        for replica in self.controller.replicas() {
            let (status, text) = self.controller.get(&replica, "/metrics").await?;
            ensure!(status == 200, "/metrics: {status} {text}");
            if leads(&text) {
                leading.push(text);
            }
        }
        ensure!(leading.len() == 1, "{} replicas lead", leading.len());
        leading.pop().context("nobody leads")
    }

    /// The value of one series, `0` if it is not there.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let text = self.metrics().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(Ok(0.0), |value| value.parse().with_context(|| format!("{series} {value}")))
    }

    /// Waits until a request has met a fault: it is with the PKI now. The fault should be for one common name, or
    /// a health check may have met it.
    pub async fn in_flight(&self, pki: &MockPki, fault: &Guard) -> Result {
        self.eventually("a request to be with the PKI", SOON, async || {
            let faults = pki.control.faults().await?;
            let met = faults.iter().any(|installed| installed.id == fault.id() && installed.applied > 0);
            Ok(if met { Ok(()) } else { Err("none has arrived".to_owned()) })
        })
        .await
    }

    /// Waits until a replica's caches are filled, whether it leads or not.
    pub async fn ready(&self, replica: &Replica) -> Result {
        self.eventually("the replica to be ready", SOON, async || {
            let (status, body) = self.controller.get(replica, "/readyz").await?;
            Ok(if status == 200 { Ok(()) } else { Err(format!("{status} {body}")) })
        })
        .await
    }

    /// Stops every replica and starts one with other settings, which then leads. Only for a scenario that runs
    /// alone.
    pub async fn replace_controller(&self, settings: Settings) -> Result<Replica> {
        for replica in self.controller.replicas() {
            self.controller.stop(&replica, std::time::Duration::from_secs(25)).await?;
        }
        let replica = self.controller.start(settings).await?;
        self.eventually("the replica to lead", SOON, async || {
            self.metrics().await?;
            Ok(Ok(()))
        })
        .await?;
        self.ready(&replica).await?;
        Ok(replica)
    }

    /// Waits until the controller has logged a line with both texts.
    pub async fn logged(&self, message: &str, about: &str) -> Result {
        self.eventually(&format!("a line in the log: {message}"), SOON, async || {
            Ok(if self.has_logged(message, about) { Ok(()) } else { Err("not logged".to_owned()) })
        })
        .await
    }

    /// Whether the controller has logged a line with both texts.
    #[must_use]
    pub fn has_logged(&self, message: &str, about: &str) -> bool {
        let is_it =
            |line: &str| line.contains(message) && line.contains(about) && line.contains(&self.namespace);
        self.log().lines().any(is_it)
    }

    /// Waits until a PKI has issued this many certificates for a common name.
    pub async fn issued_in_ledger(&self, pki: &MockPki, common_name: &str, count: usize) -> Result {
        self.eventually("the PKI's ledger", SOON, async || {
            let issued = pki.issued_for(common_name).await?.len();
            Ok(if issued == count { Ok(()) } else { Err(format!("{issued} certificates for {common_name}")) })
        })
        .await
    }

    /// Waits until a Certificate has failed this many times in a row.
    pub async fn certificate_failed_times(&self, name: &str, times: i64) -> Result<Certificate> {
        self.until(
            &self.api(),
            name,
            &format!("{times} failures"),
            LONG,
            |certificate: Option<&Certificate>| {
                let certificate = certificate.ok_or("there is no such Certificate")?;
                let status = certificate.status.clone().unwrap_or_default();
                match status.failed_issuance_attempts {
                    Some(attempts) if attempts >= times => Ok(certificate.clone()),
                    attempts => Err(format!("{attempts:?} failed attempts")),
                }
            },
        )
        .await
    }
}
