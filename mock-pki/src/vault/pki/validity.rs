//! From when to when a certificate is valid.

use jiff::{SignedDuration, Timestamp};
use x509::Certificate;

use crate::vault::{
    duration,
    error::Refusal,
    fields::{Fields, quoted},
    pki::{Pki, issuer::Issuer, role::Rules},
};

impl Pki {
    /// The end of validity, by the request, the role and the mount.
    pub(crate) fn not_after(
        &self,
        rules: &Rules,
        fields: &Fields,
        now: Timestamp,
        warnings: &mut Vec<String>,
    ) -> Result<Timestamp, Refusal> {
        let mut ttl = fields.seconds("ttl")?;
        let explicit =
            if fields.has("not_after") { fields.text("not_after")? } else { rules.not_after.as_str().into() };
        if ttl > 0 && !explicit.is_empty() {
            return Err(Refusal::bad(
                "Either ttl or not_after should be provided. Both should not be provided in the same request.",
            ));
        }
        if !explicit.is_empty() {
            return explicit.parse().map_err(|_| {
                let shown = quoted(&explicit);
                Refusal::bad(format!(
                    "parsing time {shown} as \"2006-01-02T15:04:05Z07:00\": cannot parse {shown} as \"2006\""
                ))
            });
        }
        let (default_ttl, mount_max) = self.effective_ttls();
        if ttl == 0 {
            ttl = if rules.ttl > 0 { rules.ttl } else { default_ttl };
        }
        let max_ttl = if rules.max_ttl > 0 { rules.max_ttl } else { mount_max };
        if ttl > max_ttl {
            warnings.push(format!(
                "TTL \"{}\" is longer than permitted maxTTL \"{}\", so maxTTL is being used",
                duration::print(ttl),
                duration::print(max_ttl)
            ));
            ttl = max_ttl;
        }
        now.checked_add(SignedDuration::from_secs(ttl)).map_err(|_| Refusal::bad("ttl is too long"))
    }
}

/// `leaf_not_after_behavior=err`.
pub(crate) fn refuse_beyond_issuer(not_after: Timestamp, issuer: &Issuer) -> Result<(), Refusal> {
    let Some(limit) = issuer.chain.first().map(Certificate::not_after).filter(|limit| not_after > *limit)
    else {
        return Ok(());
    };
    Err(Refusal::bad(format!(
        "cannot satisfy request, as TTL would result in notAfter of {not_after} that is beyond the expiration of \
         the CA certificate at {limit}"
    )))
}

/// So many seconds earlier.
pub(crate) fn minus(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(at)
}
