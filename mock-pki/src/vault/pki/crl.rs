//! CRLs: `config/crl`, the lists, and their rotation.
//!
//! Every revocation rebuilds both lists, unless `auto_rebuild` is on. The defaults and texts are OpenBao 2.7.2's.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    crl::{Terms, Which},
    sync::{read, write},
    vault::{
        duration,
        envelope::Answer,
        error::Refusal,
        pki::{Context, Pki, issuer::Issuer, output, reads::raw},
    },
};

/// `config/crl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the product's configuration has these switches")]
pub(crate) struct CrlConfig {
    pub(crate) expiry: String,
    pub(crate) disable: bool,
    pub(crate) ocsp_disable: bool,
    pub(crate) ocsp_expiry: String,
    pub(crate) auto_rebuild: bool,
    auto_rebuild_grace_period: String,
    enable_delta: bool,
    delta_rebuild_interval: String,
}

impl Default for CrlConfig {
    fn default() -> Self {
        Self {
            expiry: "72h".to_owned(),
            disable: false,
            ocsp_disable: false,
            ocsp_expiry: "12h".to_owned(),
            auto_rebuild: false,
            auto_rebuild_grace_period: "12h".to_owned(),
            enable_delta: false,
            delta_rebuild_interval: "15m".to_owned(),
        }
    }
}

impl CrlConfig {
    fn terms(&self) -> Terms {
        let expiry = SignedDuration::from_secs(duration::parse(&self.expiry).unwrap_or_default());
        Terms { expiry, is_disabled: self.disable }
    }

    fn describe(&self) -> Value {
        json!({
            "allow_expired_cert_revocation": false,
            "auto_rebuild": self.auto_rebuild,
            "auto_rebuild_grace_period": self.auto_rebuild_grace_period,
            "delta_rebuild_interval": self.delta_rebuild_interval,
            "disable": self.disable,
            "enable_delta": self.enable_delta,
            "expiry": self.expiry,
            "ocsp_disable": self.ocsp_disable,
            "ocsp_expiry": self.ocsp_expiry,
        })
    }
}

const FIELDS: &[&str] = &[
    "allow_expired_cert_revocation",
    "auto_rebuild",
    "auto_rebuild_grace_period",
    "delta_rebuild_interval",
    "disable",
    "enable_delta",
    "expiry",
    "ocsp_disable",
    "ocsp_expiry",
];

const DER: &str = "application/pkix-crl";
const PEM: &str = "application/x-pem-file";

impl Pki {
    pub(super) fn read_crl_config(&self) -> Answer {
        Answer::data(read(&self.crl_config).describe())
    }

    pub(super) fn write_crl_config(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        fields.refuse(&["allow_expired_cert_revocation"])?;
        let mut config = read(&self.crl_config).clone();
        let before = config.clone();
        for (name, value) in [
            ("expiry", &mut config.expiry),
            ("ocsp_expiry", &mut config.ocsp_expiry),
            ("auto_rebuild_grace_period", &mut config.auto_rebuild_grace_period),
            ("delta_rebuild_interval", &mut config.delta_rebuild_interval),
        ] {
            if !fields.has(name) {
                continue;
            }
            let text = fields.text(name)?;
            duration::parse(&text).ok_or_else(|| {
                Refusal::bad(format!("given {name} could not be decoded: time: invalid duration \"{text}\""))
            })?;
            *value = text.into_owned();
        }
        for (name, value) in [
            ("disable", &mut config.disable),
            ("ocsp_disable", &mut config.ocsp_disable),
            ("auto_rebuild", &mut config.auto_rebuild),
            ("enable_delta", &mut config.enable_delta),
        ] {
            *value = fields.boolean(name, *value)?;
        }
        if config.enable_delta && !config.auto_rebuild {
            return Err(Refusal::bad(
                "Delta CRLs cannot be enabled when auto rebuilding is disabled as the complete CRL is always regenerated!",
            ));
        }
        let shown = config.describe();
        let makes_anew = before.disable != config.disable
            || before.enable_delta != config.enable_delta
            || (before.auto_rebuild && !config.auto_rebuild);
        *write(&self.crl_config) = config;
        if makes_anew {
            self.rebuild_crls(context.now);
        }
        Ok(Answer::data_with(shown, fields.unknown(FIELDS).into_iter().collect()))
    }

    /// After a revocation, or when asked to.
    pub(super) fn rebuild_crls(&self, now: Timestamp) {
        let terms = read(&self.crl_config).terms();
        for issuer in self.signing_issuers() {
            self.archive.crls.rebuild(&issuer.id, now, terms);
        }
    }

    pub(super) fn rotate(&self, now: Timestamp) -> Answer {
        self.rebuild_crls(now);
        Answer::data(json!({ "success": true }))
    }

    pub(super) fn rotate_delta(&self, now: Timestamp) -> Answer {
        let (terms, is_enabled) = {
            let config = read(&self.crl_config);
            (config.terms(), config.enable_delta)
        };
        let mut warnings = Vec::new();
        if is_enabled {
            for issuer in self.signing_issuers() {
                self.archive.crls.rebuild_delta(&issuer.id, now, terms);
            }
        } else {
            let text = "requested rebuild of delta CRL when delta CRL is not enabled; this is a no-op";
            warnings.push(text.to_owned());
        }
        Answer::data_with(json!({ "success": true }), warnings)
    }

    /// `crl…`: the default issuer's lists, as files; nothing while there is no issuer.
    pub(super) fn crl_file(&self, which: Which, pem: bool, now: Timestamp) -> Result<Answer, Refusal> {
        let content_type = if pem { PEM } else { DER };
        let Some(issuer) = self.own(|issuer| Some(issuer.id.to_string())) else {
            return Ok(raw(content_type, None));
        };
        let der = self.crl(which, &*self.issuer(&issuer)?, now)?;
        let body = if pem { output::trimmed(encoded(&der)).into_bytes() } else { der.to_vec() };
        Ok(raw(content_type, Some(body)))
    }

    /// `cert/crl`, `cert/delta-crl`.
    pub(super) fn crl_as_certificate(&self, which: Which, now: Timestamp) -> Result<Answer, Refusal> {
        let der = self.crl(which, &*self.own_issuer()?, now)?;
        let mut data = Map::new();
        data.insert("certificate".to_owned(), json!(output::trimmed(encoded(&der))));
        data.insert("revocation_time".to_owned(), json!(0));
        data.insert("revocation_time_rfc3339".to_owned(), json!(""));
        Ok(Answer::data(Value::Object(data)))
    }

    /// `issuer/…/crl…`.
    pub(super) fn issuers_crl(
        &self,
        reference: &str,
        which: Which,
        form: &str,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let missing = || failed(&format!("unable to find PKI issuer for reference: {reference}"));
        let issuer = match reference {
            "default" => self.own_issuer()?,
            reference => read(&self.issuers).find(reference).ok_or_else(missing)?,
        };
        let der = self.crl(which, &issuer, now)?;
        Ok(match form {
            "der" => raw(DER, Some(der.to_vec())),
            "pem" => raw(PEM, Some(encoded(&der).into_bytes())),
            _ => Answer::data(json!({ "crl": encoded(&der) })),
        })
    }

    fn crl(&self, which: Which, issuer: &Issuer, now: Timestamp) -> Result<std::sync::Arc<[u8]>, Refusal> {
        let authority = issuer
            .authority
            .as_deref()
            .ok_or_else(|| Refusal::internal("this issuer has no private key, so there is no CRL of it"))?;
        let terms = read(&self.crl_config).terms();
        Ok(self.archive.crls.der(which, (&issuer.id, authority), &self.archive, now, terms)?)
    }

    fn own_issuer(&self) -> Result<std::sync::Arc<Issuer>, Refusal> {
        let missing = || failed("no default issuer currently configured");
        read(&self.issuers).default_issuer().cloned().ok_or_else(missing)
    }

    fn signing_issuers(&self) -> Vec<std::sync::Arc<Issuer>> {
        read(&self.issuers).with_keys()
    }
}

/// What cannot be done, without the words that Go puts around several errors.
fn failed(text: &str) -> Refusal {
    Refusal::with(http::StatusCode::INTERNAL_SERVER_ERROR, text)
}

fn encoded(der: &[u8]) -> String {
    x509::pem::encode("X509 CRL", der)
}
