//! The extensions Go looks into, wherever a certificate has them.
//!
//! What this crate reads itself (alternative names, usages, basic constraints, key identifiers) was found
//! well-formed before; only what Go asks beyond that is here.

use std::collections::HashSet;

use super::{identifier, integer, is_negative};
use crate::tlv::{
    BIT_STRING, INTEGER, Malformed, OBJECT_IDENTIFIER, SEQUENCE, Walk, context, context_primitive,
};

const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

pub(super) fn check(oid: &[u8], critical: bool, value: &[u8]) -> Result<(), Malformed> {
    match oid {
        [0x55, 0x1d, 14] if critical => Err(Malformed::new("subject key identifier is marked critical")),
        [0x55, 0x1d, 15] => key_usage(value),
        [0x55, 0x1d, 17] => alternative_names(value),
        [0x55, 0x1d, 19] => basic_constraints(value),
        [0x55, 0x1d, 30] => name_constraints(value),
        [0x55, 0x1d, 31] => distribution_points(value),
        [0x55, 0x1d, 32] => policies(value),
        [0x55, 0x1d, 33] => policy_mappings(value),
        [0x55, 0x1d, 35] if critical => Err(Malformed::new("authority key identifier is marked critical")),
        [0x55, 0x1d, 36] => policy_constraints(value),
        [0x55, 0x1d, 37] => extended_usages(value),
        [0x55, 0x1d, 54] => inhibit_any_policy(value),
        AUTHORITY_INFORMATION if critical => {
            Err(Malformed::new("authority information access is marked critical"))
        }
        AUTHORITY_INFORMATION => information_access(value),
        _ => Ok(()),
    }
}

/// The bits that pad the last octet are zero (X.690 11.2.1).
fn key_usage(value: &[u8]) -> Result<(), Malformed> {
    let bits = Walk::der(value).expect(BIT_STRING, "key usage")?.value;
    let clean = match bits {
        [0] => true,
        [unused @ 0..8, .., last] => last & ((1u8 << unused) - 1) == 0,
        _ => false,
    };
    if clean { Ok(()) } else { Err(Malformed::new("key usage has bits beyond its end")) }
}

fn extended_usages(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "extended key usage";
    let mut list = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    while !list.is_empty() {
        identifier(list.expect(OBJECT_IDENTIFIER, WHAT)?.value, WHAT)?;
    }
    Ok(())
}

fn basic_constraints(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "basic constraints' path length";
    let mut fields = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    while !fields.is_empty() {
        let field = fields.any(WHAT)?;
        if field.tag == INTEGER {
            word(field.value, WHAT)?;
        }
    }
    Ok(())
}

/// A non-negative number that fits into a signed word.
fn word(content: &[u8], what: &'static str) -> Result<(), Malformed> {
    integer(content, what)?;
    if content.len() > 8 || is_negative(content) { Err(Malformed::new(what)) } else { Ok(()) }
}

/// Only URIs are looked into; that the others are ASCII and addresses whole is known.
fn alternative_names(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "URI among the alternative names";
    let mut list = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    while !list.is_empty() {
        let name = list.any(WHAT)?;
        if name.tag == context_primitive(6) && !str::from_utf8(name.value).is_ok_and(is_uri) {
            return Err(Malformed::new(WHAT));
        }
    }
    Ok(())
}

/// What Go's `net/url` is sure to refuse: control characters, no scheme before a colon, a percent sign without
/// two digits (a query may have one), a host that is no host name.
fn is_uri(text: &str) -> bool {
    let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
    let address = address.split('?').next().unwrap_or_default();
    let after_scheme = address.split_once(':').map_or(address, |(_, rest)| rest);
    let authority = after_scheme.strip_prefix("//").and_then(|rest| rest.split('/').next());
    let host = authority.and_then(|authority| authority.rsplit('@').next());
    !text.bytes().any(|byte| byte.is_ascii_control())
        && !text.starts_with(':')
        && escapes_are_whole(address)
        && escapes_are_whole(fragment)
        && host.is_none_or(|host| is_domain(host, false))
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Labels of printable ASCII, none empty; nothing at all is fine.
fn is_domain(text: &str, constraint: bool) -> bool {
    let labels = if constraint { text.strip_prefix('.').unwrap_or(text) } else { text };
    text.is_empty()
        || (text.bytes().all(|byte| byte.is_ascii_graphic())
            && labels.split('.').all(|label| !label.is_empty()))
}

fn name_constraints(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "name constraints";
    let mut document = Walk::der(value);
    let mut fields = document.expect(SEQUENCE, WHAT)?.inner();
    document.end(WHAT)?;
    let mut subtrees = 0usize;
    for tag in [context(0), context(1)] {
        let Some(list) = fields.optional(tag, WHAT)? else { continue };
        let mut list = list.inner();
        while !list.is_empty() {
            let base = list.expect(SEQUENCE, WHAT)?.inner().any(WHAT)?;
            if !is_constraint(base.tag, base.value) {
                return Err(Malformed::new(WHAT));
            }
            subtrees += 1;
        }
    }
    fields.end(WHAT)?;
    if subtrees == 0 { Err(Malformed::new("name constraints are empty")) } else { Ok(()) }
}

fn is_constraint(tag: u8, value: &[u8]) -> bool {
    let text = str::from_utf8(value).ok().filter(|text| text.is_ascii());
    let domain = || text.is_some_and(|text| is_domain(text, true));
    match tag {
        0x81 => text.is_some_and(|text| text.contains('@')) || domain(),
        0x82 => domain(),
        0x86 => domain() && text.is_some_and(|text| text.parse::<std::net::IpAddr>().is_err()),
        0x87 => match value.len() {
            8 => is_mask(value.get(4..).unwrap_or_default()),
            32 => is_mask(value.get(16..).unwrap_or_default()),
            _ => false,
        },
        _ => true,
    }
}

/// Ones, then zeros.
fn is_mask(mask: &[u8]) -> bool {
    let mut rest = mask.iter().skip_while(|octet| **octet == 0xff);
    let turn = rest.next().copied().unwrap_or_default();
    turn.leading_ones() + turn.trailing_zeros() == 8 && rest.all(|octet| *octet == 0)
}

fn distribution_points(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "CRL distribution points";
    let mut list = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    while !list.is_empty() {
        let mut point = list.expect(SEQUENCE, WHAT)?.inner();
        if let Some(name) = point.optional(context(0), WHAT)? {
            let mut names = name.inner().expect(context(0), WHAT)?.inner();
            while names.optional(context_primitive(6), WHAT)?.is_some() {}
        }
    }
    Ok(())
}

fn information_access(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "authority information access";
    let mut list = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    while !list.is_empty() {
        let mut access = list.expect(SEQUENCE, WHAT)?.inner();
        identifier(access.expect(OBJECT_IDENTIFIER, WHAT)?.value, WHAT)?;
        access.optional(context_primitive(6), WHAT)?;
    }
    Ok(())
}

fn policies(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "certificate policies";
    let mut list = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    let mut seen = HashSet::new();
    while !list.is_empty() {
        let policy = list.expect(SEQUENCE, WHAT)?.inner().expect(OBJECT_IDENTIFIER, WHAT)?;
        if !seen.insert(policy.value) {
            return Err(Malformed::new("a certificate policy comes twice"));
        }
    }
    Ok(())
}

fn policy_mappings(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "policy mappings";
    let mut list = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    while !list.is_empty() {
        let mut mapping = list.expect(SEQUENCE, WHAT)?.inner();
        mapping.expect(OBJECT_IDENTIFIER, WHAT)?;
        mapping.expect(OBJECT_IDENTIFIER, WHAT)?;
    }
    Ok(())
}

fn policy_constraints(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "policy constraints";
    let mut fields = Walk::der(value).expect(SEQUENCE, WHAT)?.inner();
    for tag in [context_primitive(0), context_primitive(1)] {
        if let Some(certificates) = fields.optional(tag, WHAT)? {
            integer(certificates.value, WHAT)?;
            if certificates.value.len() > 8 {
                return Err(Malformed::new(WHAT));
            }
        }
    }
    Ok(())
}

fn inhibit_any_policy(value: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "inhibit any policy";
    let certificates = Walk::der(value).expect(INTEGER, WHAT)?.value;
    integer(certificates, WHAT)?;
    if certificates.len() > 8 { Err(Malformed::new(WHAT)) } else { Ok(()) }
}
