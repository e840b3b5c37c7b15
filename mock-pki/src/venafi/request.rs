//! `Certificates/Request` and `Renew`: from a request's fields to an [`Order`].

use std::{net::IpAddr, sync::Arc};

use ca::{AttributeType, GeneralName, KeyAlgorithm, Sans, SigningKey, Subject};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Value, json};
use x509::{Csr, SubjectAltName};

use crate::{
    sync::lock,
    venafi::{
        answer::{Answer, Refusal},
        dn::Dn,
        enrollment::{Enrollment, IN_ERROR, IN_PROCESS, Order, Stage},
        fields::Fields,
        issuing::{self, Context, Progress},
        metadata,
        policy::{Asked, CERTIFICATE_AUTHORITY, Policy, UPN},
        retrieve,
        tree::{Kind, Node},
    },
};

/// `Request`
pub(crate) fn request(context: &Context<'_>, fields: &Fields) -> Result<Answer, Refusal> {
    let folder = folder(fields)?;
    let policy = policy(context, &folder)?;
    let order = order(fields, &policy, context.now)?;
    let custom = metadata::custom_fields(fields)?;
    let name = fields.text("ObjectName")?.map(str::to_owned).or_else(|| order.common_name.clone());
    let name = name.ok_or_else(|| Refusal::bad("Need an object name (ObjectName) or a subject.\r\n"))?;
    let dn = folder
        .child(&name)
        .ok_or_else(|| Refusal::bad(format!("The object name {name} is not valid.\r\n")))?;

    if let Some(why) = context.refused(&order, &dn)? {
        return Err(Refusal::bad(format!("{why}\r\n")));
    }
    let (guid, is_new) = {
        let mut tree = lock(&context.state.tree);
        let is_new = tree.find(&dn).is_none();
        let (now, creator) = (context.now, context.caller.user.universal());
        let node = match tree.find(&dn) {
            Some(_) => tree.find_mut(&dn),
            None => Some(tree.add(dn.clone(), Kind::Certificate(Box::new(Enrollment::new(creator))), now)),
        };
        let Some(Node { kind: Kind::Certificate(enrollment), guid, .. }) = node else {
            return Err(Refusal::bad(format!("The object {dn} exists and is not a certificate.\r\n")));
        };
        if enrollment.is_disabled && !fields.flag("Reenable")? {
            return Err(Refusal::bad(format!("Certificate {dn} is disabled and cannot be processed.\r\n")));
        }
        enrollment.is_disabled = false;
        enrollment.custom.extend(custom);
        if let Some(origin) = fields.text("Origin")? {
            enrollment.attributes.insert("Origin".to_owned(), vec![origin.to_owned()]);
        }
        (guid.clone(), is_new)
    };
    let progress = start(context, &dn, &guid, order);
    if progress.is_err() && is_new {
        forget(context, &dn);
    }
    let progress = progress?;
    let mut body = json!({ "CertificateDN": dn.to_string(), "Guid": format!("{{{guid}}}") });
    if fields.number("WorkToDoTimeout")?.unwrap_or_default() == 0 {
        return Ok(Answer::ok(body));
    }
    // The product waits; here everything that does not wait for somebody is done already.
    if progress != Progress::Issued {
        put(&mut body, "Error", json!("Certificate processing took longer than WorkToDoTimeout..."));
        return Ok(Answer { status: StatusCode::ACCEPTED, ..Answer::ok(body) });
    }
    for (name, value) in retrieve::plain(context, &dn)? {
        put(&mut body, name, value);
    }
    Ok(Answer::ok(body))
}

/// `Renew`: with a new request, or with what the last certificate was made from.
pub(crate) fn renew(context: &Context<'_>, fields: &Fields) -> Result<Answer, Refusal> {
    let refused = |text: String| {
        let mut refusal = Refusal::bad("");
        refusal.0.body = Some(json!({ "Error": text, "Success": false }));
        refusal
    };
    let text = fields.needed("CertificateDN")?;
    let dn = Dn::parse(text).ok_or_else(|| Refusal::no_object("CertificateDN", text))?;
    let folder = dn.parent().ok_or_else(|| Refusal::no_object("CertificateDN", text))?;
    let (guid, last) = {
        let tree = lock(&context.state.tree);
        let node = tree.find(&dn);
        let (node, enrollment) = node
            .and_then(|node| Some((node, node.enrollment()?)))
            .ok_or_else(|| Refusal::no_object("CertificateDN", text))?;
        if enrollment.is_disabled && !fields.flag("Reenable")? {
            return Err(refused(format!("Certificate {dn} is disabled and cannot be renewed.")));
        }
        if let Some((status, _)) = enrollment.processing() {
            return Err(refused(format!("Certificate {dn} cannot be renewed now. Status: {status}")));
        }
        (node.guid.clone(), enrollment.last.clone())
    };
    let policy = policy(context, &folder)?;
    let order = if fields.has("PKCS10") {
        self::order(fields, &policy, context.now)?
    } else {
        again(last, &policy).map_err(refused)?
    };
    if let Some(why) = context.refused(&order, &dn)? {
        return Err(refused(why));
    }
    if let Some(enrollment) = lock(&context.state.tree).enrollment_mut(&dn) {
        enrollment.is_disabled = false;
    }
    start(context, &dn, &guid, order)?;
    Ok(Answer::ok(json!({ "Success": true })))
}

/// An order like the last: the client's request once more if keys may be used again, a new key if it was made here.
fn again(last: Option<Order>, policy: &Policy) -> Result<Order, String> {
    let last = last.ok_or("The certificate has never been issued and cannot be renewed.")?;
    if last.csr.is_some() {
        if !policy.allows_key_reuse() {
            return Err(
                "The policy does not allow the private key to be reused; a PKCS10 is needed.".to_owned()
            );
        }
        return Ok(Order { not_after: None, ..last });
    }
    let algorithm = last.key.as_ref().map_or(KeyAlgorithm::Rsa2048, |key| key.algorithm());
    let key = SigningKey::generate(algorithm).map_err(|error| error.to_string())?;
    Ok(Order { key: Some(Arc::new(key)), not_after: None, ..last })
}

/// Sets an object to work.
fn start(context: &Context<'_>, dn: &Dn, guid: &str, order: Order) -> Result<Progress, Refusal> {
    {
        let mut tree = lock(&context.state.tree);
        let Some(enrollment) = tree.enrollment_mut(dn) else { return Ok(Progress::Held) };
        let status = match &enrollment.stage {
            Stage::Idle => None,
            Stage::InProcess | Stage::Waiting { .. } => Some(IN_PROCESS),
            Stage::Failed { .. } => Some(IN_ERROR),
        };
        if let Some(status) = status {
            enrollment.stage = Stage::Failed { status: status.to_owned(), order: Some(order) };
            return Ok(Progress::Held);
        }
        enrollment.stage = Stage::InProcess;
    }
    issuing::proceed(context, dn, guid, order)
}

/// What was refused leaves no object behind; what failed does.
fn forget(context: &Context<'_>, dn: &Dn) {
    let mut tree = lock(&context.state.tree);
    if tree.enrollment_mut(dn).is_some_and(|own| matches!(own.stage, Stage::Idle) && own.versions.is_empty())
    {
        tree.remove(dn);
    }
}

fn put(body: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = body {
        map.insert(name.to_owned(), value);
    }
}

fn folder(fields: &Fields) -> Result<Dn, Refusal> {
    let text = fields.needed("PolicyDN")?;
    Dn::parse(text).ok_or_else(|| Refusal::bad(format!("PolicyDN: {text} does not exist")))
}

fn policy(context: &Context<'_>, folder: &Dn) -> Result<Policy, Refusal> {
    let tree = lock(&context.state.tree);
    Policy::of(&tree, folder).ok_or_else(|| Refusal::bad(format!("PolicyDN: {folder} does not exist")))
}

impl Context<'_> {
    /// Why the request may not be made, if so: no authority, or the policy.
    fn refused(&self, order: &Order, dn: &Dn) -> Result<Option<String>, Refusal> {
        let Some(folder) = dn.parent() else { return Ok(None) };
        let policy = policy(self, &folder)?;
        let authority = match self.authority.as_deref() {
            Some(authority) => Some(authority),
            None => policy.value(CERTIFICATE_AUTHORITY),
        };
        let Some(authority) = authority else {
            return Ok(Some("Need a certificate authority (CADN).".to_owned()));
        };
        let is_ca = Dn::parse(authority).is_some_and(|dn| {
            lock(&self.state.tree).find(&dn).is_some_and(|node| matches!(node.kind, Kind::Ca))
        });
        if !is_ca {
            return Ok(Some(format!("CADN: {authority} does not exist.")));
        }
        match (policy.demands_csr(), order.csr.is_some()) {
            (Some(true), false) => return Ok(Some("The policy demands a PKCS10.".to_owned())),
            (Some(false), true) => {
                return Ok(Some("The policy demands that the CSR is generated by the service.".to_owned()));
            }
            _ => {}
        }
        let violated = policy.violations(&asked(order));
        let texts: Vec<String> =
            violated.iter().map(|what| format!("{what} value violates policy and cannot be used.")).collect();
        Ok((!texts.is_empty()).then(|| texts.join("\r\n")))
    }
}

fn asked(order: &Order) -> Asked {
    let mut asked = order.csr.as_ref().map_or_else(Asked::default, Asked::of);
    asked.common_name.clone_from(&order.common_name);
    if let Subject::Der(name) = &order.subject {
        let name = x509::DistinguishedName::from_der(name).unwrap_or_default();
        asked.subject = name.attributes().map(|part| (part.name(), part.value.clone())).collect();
    }
    asked.names.extend(order.names.iter().cloned());
    if let Some(key) = &order.key {
        asked.key = issuing::key_type(key.algorithm());
    }
    asked
}

/// What is to be made. Names in the request count where the CSR has none.
fn order(fields: &Fields, policy: &Policy, now: Timestamp) -> Result<Order, Refusal> {
    let names = subject_alt_names(fields)?;
    let not_after = end(fields, now)?;
    let Some(pem) = fields.text("PKCS10")? else {
        return generated(fields, policy, &names, not_after);
    };
    let csr = read_csr(pem)?;
    let has_names = csr.extension("2.5.29.17").is_some();
    let subject_alt_names =
        if has_names || names.is_empty() { Sans::FromCsr } else { Sans::Der(encoded(&names)?) };
    Ok(Order {
        common_name: csr.subject().common_name().map(str::to_owned),
        subject: Subject::FromCsr,
        names: if matches!(subject_alt_names, Sans::FromCsr) { Vec::new() } else { judged(&names) },
        subject_alt_names,
        not_after,
        key: None,
        csr: Some(csr),
    })
}

/// A CSR, in PEM or the Base64 within, as clients send both.
pub(crate) fn read_csr(text: &str) -> Result<Csr, Refusal> {
    let whole = if text.contains("-----BEGIN") {
        text.to_owned()
    } else {
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", text.trim())
    };
    let csr = Csr::from_pem(whole.as_bytes())
        .map_err(|error| Refusal::bad(format!("PKCS10 data is not valid: {error}\r\n")))?;
    csr.verify().map_err(|error| Refusal::bad(format!("PKCS10 data is not valid: {error}\r\n")))?;
    Ok(csr)
}

/// A request whose key is made here.
fn generated(
    fields: &Fields,
    policy: &Policy,
    names: &[GeneralName],
    not_after: Option<Timestamp>,
) -> Result<Order, Refusal> {
    let common_name = fields.text("Subject")?.map(|name| name.strip_prefix("CN=").unwrap_or(name).to_owned());
    let common_name = common_name.ok_or_else(|| Refusal::bad("Need a PKCS10 or a Subject.\r\n"))?;
    let key = Arc::new(SigningKey::generate(key_algorithm(fields, policy)?)?);
    let mut rdns = vec![vec![(AttributeType::CommonName, common_name.clone())]];
    for (field, attribute, kind) in [
        ("OrganizationalUnit", "Organizational Unit", AttributeType::OrganizationalUnit),
        ("Organization", "Organization", AttributeType::Organization),
        ("City", "City", AttributeType::Locality),
        ("State", "State", AttributeType::Province),
        ("Country", "Country", AttributeType::Country),
    ] {
        let given = fields.list(field)?;
        let values = if given.is_empty() { policy.values(attribute).to_vec() } else { given };
        rdns.extend(values.into_iter().filter(|value| !value.is_empty()).map(|value| vec![(kind, value)]));
    }
    Ok(Order {
        csr: None,
        key: Some(key),
        common_name: Some(common_name),
        subject: Subject::Der(ca::distinguished_name(&rdns)?),
        subject_alt_names: if names.is_empty() { Sans::None } else { Sans::Der(encoded(names)?) },
        names: judged(names),
        not_after,
    })
}

/// Of the fields of old, of their successor's object identifiers (25.1), or of the policy.
fn key_algorithm(fields: &Fields, policy: &Policy) -> Result<KeyAlgorithm, Refusal> {
    let (mut kind, mut bits, mut curve) = (
        fields.text("KeyAlgorithm")?.unwrap_or_else(|| policy.key_algorithm()).to_ascii_uppercase(),
        fields.number("KeyBitSize")?.unwrap_or_else(|| u64::from(policy.key_size())),
        fields.text("EllipticCurve")?.unwrap_or_else(|| policy.curve()).to_ascii_uppercase(),
    );
    if let Some(set) = fields.text("PkixParameterSet")? {
        if let Some(size) = set.strip_prefix("1.3.6.1.4.1.28783.10.1.1.") {
            "RSA".clone_into(&mut kind);
            bits = size.parse().unwrap_or_default();
        } else if let Some(size) = set.strip_prefix("1.3.6.1.4.1.28783.10.2.1.") {
            "ECC".clone_into(&mut kind);
            curve = format!("P{size}");
        }
    }
    Ok(match (kind.as_str(), bits, curve.as_str()) {
        ("RSA", 2048, _) => KeyAlgorithm::Rsa2048,
        ("RSA", 3072, _) => KeyAlgorithm::Rsa3072,
        ("RSA", 4096, _) => KeyAlgorithm::Rsa4096,
        ("ECC", _, "P256") => KeyAlgorithm::EcdsaP256,
        ("ECC", _, "P384") => KeyAlgorithm::EcdsaP384,
        ("ECC", _, "P521") => KeyAlgorithm::EcdsaP521,
        ("RSA", bits, _) => {
            return Err(Refusal::bad(format!("RSA keys of {bits} bits are not made here.\r\n")));
        }
        (kind, _, curve) => {
            return Err(Refusal::bad(format!("Keys of type {kind} {curve} are not made here.\r\n")));
        }
    })
}

/// `SubjectAltNames`: 0 for a principal's name, 1 mail, 2 DNS, 6 URI, 7 address.
fn subject_alt_names(fields: &Fields) -> Result<Vec<GeneralName>, Refusal> {
    let mut names = Vec::new();
    for item in fields.objects("SubjectAltNames") {
        let kind = match item.number("Type")? {
            None => item.number("TypeName")?,
            kind => kind,
        };
        let name = item.needed("Name")?.to_owned();
        names.push(match kind {
            Some(0) => GeneralName::OtherName { type_id: UPN.to_owned(), value: name },
            Some(1) => GeneralName::Email(name),
            Some(2) => GeneralName::Dns(name),
            Some(6) => GeneralName::Uri(name),
            Some(7) => GeneralName::Ip(name.parse::<IpAddr>().map_err(|_| {
                Refusal::bad(format!("The subject alternative name {name} is not an IP address.\r\n"))
            })?),
            _ => return Err(Refusal::bad("The type of a subject alternative name is not known.\r\n")),
        });
    }
    Ok(names)
}

fn judged(names: &[GeneralName]) -> Vec<SubjectAltName> {
    let judged = names.iter().map(|name| match name {
        GeneralName::Email(name) => SubjectAltName::Email(name.clone()),
        GeneralName::Dns(name) => SubjectAltName::Dns(name.clone()),
        GeneralName::Uri(name) => SubjectAltName::Uri(name.clone()),
        GeneralName::Ip(address) => SubjectAltName::Ip(*address),
        GeneralName::OtherName { .. } => SubjectAltName::Other(Vec::new()),
    });
    judged.collect()
}

fn encoded(names: &[GeneralName]) -> Result<Vec<u8>, Refusal> {
    ca::general_names(names).map_err(|error| Refusal::bad(format!("{error}\r\n")))
}

/// The end that `CASpecificAttributes` ask for: a date under one of the authorities' names for it, or days.
fn end(fields: &Fields, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let mut end = None;
    for attribute in fields.objects("CASpecificAttributes") {
        let (name, value) = (attribute.text("Name")?.unwrap_or_default(), attribute.text("Value")?);
        let Some(value) = value else { continue };
        let wrong = || Refusal::bad(format!("The value {value} for {name} is not valid.\r\n"));
        if name.ends_with("Specific End Date") {
            end = Some(date(value).ok_or_else(wrong)?);
        } else if name.ends_with("Validity Period") {
            let days: i64 =
                value.trim().parse().ok().filter(|days| (1..=36_500).contains(days)).ok_or_else(wrong)?;
            end = now.checked_add(SignedDuration::from_hours(24 * days)).ok();
        }
    }
    if end.is_some_and(|end| end <= now) {
        return Err(Refusal::bad("The end date lies in the past.\r\n"));
    }
    Ok(end)
}

/// RFC 3339, or the same without a zone, which then is UTC.
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let zoned = text.parse::<Timestamp>().ok();
    zoned.or_else(|| {
        text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// The common name a body asks for, for faults: the CSR's, or the subject's.
pub(crate) fn common_name(body: &[u8]) -> Option<String> {
    let fields = Fields::read(body).ok()?;
    if let Ok(Some(pem)) = fields.text("PKCS10") {
        return read_csr(pem).ok()?.subject().common_name().map(str::to_owned);
    }
    if let Ok(Some(subject)) = fields.text("Subject") {
        return Some(subject.strip_prefix("CN=").unwrap_or(subject).to_owned());
    }
    Some(Dn::parse(fields.text("CertificateDN").ok()??)?.name().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_with_and_without_a_zone() {
        let at: Timestamp = "2027-03-01T10:00:00Z".parse().unwrap();
        for text in ["2027-03-01T11:00:00+01:00", "2027-03-01 10:00:00", " 2027-03-01T10:00:00Z"] {
            assert_eq!(date(text), Some(at), "{text}");
        }
        assert_eq!((date("tomorrow"), date("")), (None, None));
    }

    proptest! {
        #[test]
        fn no_request_is_too_strange(
            subject in ".{0,20}", kind in 0_u8..10, name in ".{0,20}", value in ".{0,20}",
        ) {
            let body = json!({
                "Subject": subject,
                "KeyAlgorithm": "ECC",
                "SubjectAltNames": [{ "Type": kind, "Name": name }],
                "CASpecificAttributes": [{ "Name": "Validity Period", "Value": value }],
            });
            let fields = Fields::read(body.to_string().as_bytes()).map_err(|_| TestCaseError::reject("a body"))?;
            let _ = (subject_alt_names(&fields).map(|names| encoded(&names)), end(&fields, Timestamp::UNIX_EPOCH));
            let _ = (common_name(body.to_string().as_bytes()), read_csr(&value), date(&value));
        }
    }
}
