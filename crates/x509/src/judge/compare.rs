//! The rules, one function each. Every function adds the differences it finds.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    certificate::Certificate,
    chain::Chain,
    csr::CsrError,
    go,
    judge::{
        Asked, Difference, SanTolerance, SubjectTolerance, Tolerance, UsageTolerance, ValidityTolerance,
        issuer,
    },
    names::{DistinguishedName, SubjectAltName},
    usage::{ANY_EXTENDED_KEY_USAGE, KeyUsage, Usages},
};

pub(super) fn differences(
    asked: &Asked<'_>,
    tolerance: &Tolerance,
    chain: &Chain,
) -> Result<Vec<Difference>, CsrError> {
    let leaf = &chain.leaf;
    let mut found = Vec::new();
    let asked_subject = asked.csr.subject();
    let asked_names = asked.csr.subject_alt_names()?;
    subject(tolerance.subject, &asked_subject, leaf.subject(), &mut found);
    alt_names(tolerance.subject_alt_names, &asked_subject, &asked_names, leaf, &mut found);
    usages(tolerance.usages, asked, leaf, &mut found);
    if leaf.is_ca() != asked.is_ca {
        found.push(Difference::IsCa { asked: asked.is_ca });
    }
    validity(&tolerance.validity, asked, leaf, &mut found);
    let renewal = renewal_time(leaf.not_after(), leaf.not_after().duration_since(leaf.not_before()));
    issuer::check(chain, renewal, asked.now, tolerance.validity.clock_skew, &mut found);
    unreadable(chain, &mut found);
    Ok(found)
}

/// Only what is published to cert-manager as the certificate: it decodes all of that, and nothing of the root.
fn unreadable(chain: &Chain, found: &mut Vec<Difference>) {
    for certificate in std::iter::once(&chain.leaf).chain(&chain.intermediates) {
        if let Some(why) = go::refusal(certificate) {
            found.push(Difference::Unreadable { certificate: certificate.subject(), why });
        }
    }
}

fn subject(
    tolerance: SubjectTolerance,
    asked: &DistinguishedName,
    got: DistinguishedName,
    found: &mut Vec<Difference>,
) {
    match tolerance {
        SubjectTolerance::Any => {}
        SubjectTolerance::Exact if *asked == got => {}
        SubjectTolerance::Exact => found.push(Difference::Subject { asked: asked.clone(), got }),
        SubjectTolerance::CommonName => {
            let there: HashSet<_> = got.common_names().map(str::to_ascii_lowercase).collect();
            let missing = asked.common_names().find(|name| !there.contains(&name.to_ascii_lowercase()));
            if let Some(name) = missing {
                found.push(Difference::CommonName { asked: name.to_owned(), got });
            }
        }
    }
}

fn alt_names(
    tolerance: SanTolerance,
    asked_subject: &DistinguishedName,
    asked: &[SubjectAltName],
    leaf: &Certificate,
    found: &mut Vec<Difference>,
) {
    if tolerance == SanTolerance::Any {
        return;
    }
    let got = leaf.subject_alt_names();
    let there: HashSet<_> = got.iter().map(SubjectAltName::canonical).collect();
    let missing: Vec<_> = asked.iter().filter(|name| !there.contains(&name.canonical())).cloned().collect();

    let mut expected: HashSet<_> = asked.iter().map(SubjectAltName::canonical).collect();
    if tolerance == SanTolerance::CommonNameAdded {
        expected.extend(asked_subject.common_names().flat_map(common_name_as_alt_name));
    }
    let added: Vec<_> = got.iter().filter(|name| !expected.contains(&name.canonical())).cloned().collect();
    if !missing.is_empty() {
        found.push(Difference::NamesMissing { missing, got });
    }
    if tolerance != SanTolerance::Superset && !added.is_empty() {
        found.push(Difference::NamesAdded { added });
    }
}

fn common_name_as_alt_name(name: &str) -> impl Iterator<Item = SubjectAltName> {
    let address = name.parse::<IpAddr>().ok().map(SubjectAltName::Ip);
    address.into_iter().chain([SubjectAltName::Dns(name.to_owned()).canonical()])
}

fn usages(tolerance: UsageTolerance, asked: &Asked<'_>, leaf: &Certificate, found: &mut Vec<Difference>) {
    let got = leaf.usages();
    let mut wanted = asked.usages.clone();
    if asked.is_ca {
        wanted = wanted.with(KeyUsage::CertSign);
    }
    match tolerance {
        UsageTolerance::Any => {}
        UsageTolerance::Superset => {
            let can_encipher_keys = asked.csr.key_type().can_encipher_keys();
            let missing = unsatisfied(&wanted, &got, can_encipher_keys);
            if !missing.is_empty() {
                found.push(Difference::UsagesMissing { missing, got: got.names().collect() });
            }
        }
        UsageTolerance::Exact => {
            let (wanted, got): (Vec<_>, Vec<_>) = (wanted.names().collect(), got.names().collect());
            let without = |all: &[String], others: &[String]| -> Vec<String> {
                all.iter().filter(|name| !others.contains(name)).cloned().collect()
            };
            let (missing, added) = (without(&wanted, &got), without(&got, &wanted));
            if !missing.is_empty() {
                found.push(Difference::UsagesMissing { missing, got });
            }
            if !added.is_empty() {
                found.push(Difference::UsagesAdded { added });
            }
        }
    }
}

/// What is wanted and not granted, in cert-manager's words.
fn unsatisfied(wanted: &Usages, got: &Usages, can_encipher_keys: bool) -> Vec<String> {
    let mut missing = Usages::unrestricted();
    if got.restricts_key_usage() {
        let absent = wanted.key_usages().filter(|usage| !got.has(*usage));
        for usage in absent.filter(|usage| can_encipher_keys || *usage != KeyUsage::KeyEncipherment) {
            missing = missing.with(usage);
        }
    }
    if got.restricts_extended() && !got.has_extended(&ANY_EXTENDED_KEY_USAGE) {
        for oid in wanted.extended().filter(|oid| !got.has_extended(oid)) {
            missing = missing.with_extended(oid.clone());
        }
    }
    missing.names().collect()
}

fn validity(
    tolerance: &ValidityTolerance,
    asked: &Asked<'_>,
    leaf: &Certificate,
    found: &mut Vec<Difference>,
) {
    let (not_before, not_after, now) = (leaf.not_before(), leaf.not_after(), asked.now);
    let lifetime = not_after.duration_since(not_before);
    if not_after <= not_before {
        found.push(Difference::Reversed { not_before, not_after });
        return;
    }
    if not_before.duration_since(now) > signed(tolerance.clock_skew) {
        found.push(Difference::NotYetValid { not_before, now });
    }
    if let Some(longer_by) = tolerance.longer_by
        && lifetime > signed(asked.duration.saturating_add(longer_by))
    {
        found.push(Difference::TooLong { asked: asked.duration, got: lifetime, longer_by });
    }
    let renewal = renewal_time(not_after, lifetime);
    if now >= not_after {
        found.push(Difference::Expired { not_after, now });
    } else if now >= renewal {
        found.push(Difference::PastRenewal { renewal, now });
    }
}

/// cert-manager's own rule (`pkg/util/pki/renewaltime.go`): a third of the actual lifetime before the end,
/// cut to the second.
fn renewal_time(not_after: Timestamp, lifetime: SignedDuration) -> Timestamp {
    let third = lifetime.as_secs() / 3 + i64::from(lifetime.as_secs() % 3 != 0);
    Timestamp::from_second(not_after.as_second().saturating_sub(third)).unwrap_or(not_after)
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
