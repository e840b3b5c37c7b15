//! What a certificate is asked to say: from the request, the CSR and the role, checked against the role.

use std::net::IpAddr;

use ca::{AttributeType, GeneralName, Sans, Subject};
use x509::{Csr, SubjectAltName};

use crate::vault::{
    error::Refusal,
    fields::{Fields, quoted},
    pki::{
        names::{allows_common_name, as_dns_name, first_forbidden, glob},
        role::{Role, Rules},
    },
};

/// A checked wish: subject and names.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) subject: Subject,
    pub(crate) sans: Sans,
}

#[derive(Default)]
struct Names {
    dns: Vec<String>,
    emails: Vec<String>,
    ips: Vec<IpAddr>,
    uris: Vec<String>,
    others: Vec<GeneralName>,
}

/// Applies a role to a request, in the order of Vault's `generateCreationBundle`.
pub(crate) fn under_role(rules: &Rules, fields: &Fields, csr: Option<&Csr>) -> Result<Asked, Refusal> {
    let csr_names = csr.filter(|_| rules.use_csr_sans).map(from_csr).transpose()?;
    let common_name = common_name(rules, fields, csr)?;
    let mut names = Names::default();
    if let Some(csr_names) = &csr_names {
        names.dns.clone_from(&csr_names.dns);
        names.emails.clone_from(&csr_names.emails);
    }
    if !common_name.is_empty() && !fields.boolean("exclude_cn_from_sans", false)? {
        add_name(&mut names, &common_name)?;
    }
    if csr_names.is_none() {
        for name in fields.list("alt_names")? {
            add_name(&mut names, &name)?;
        }
    }
    if !common_name.is_empty() && !allows_common_name(rules, &common_name) {
        return Err(Refusal::bad(format!("common name {common_name} not allowed by this role")));
    }
    let serial_number = serial_number(rules, fields, csr)?;
    if let Some(bad) = first_forbidden(rules, &names.dns) {
        return Err(Refusal::bad(format!("subject alternate name {bad} not allowed by this role")));
    }
    if let Some(bad) = first_forbidden(rules, &names.emails) {
        return Err(Refusal::bad(format!("email address {bad} not allowed by this role")));
    }
    names.others = other_names(rules, fields, csr.filter(|_| rules.use_csr_sans))?;
    names.ips = addresses(rules, fields, csr_names.as_ref())?;
    names.uris = uris(rules, fields, csr_names.as_ref())?;
    let subject = subject(rules, &common_name, &serial_number)?;
    Ok(Asked { subject: Subject::Der(subject), sans: encode(&names)? })
}

/// The subject's `serialNumber`: the request's, else the CSR's.
fn serial_number(rules: &Rules, fields: &Fields, csr: Option<&Csr>) -> Result<String, Refusal> {
    let mut serial_number = fields.text("serial_number")?.into_owned();
    if serial_number.is_empty()
        && let Some(csr) = csr
    {
        let subject = csr.subject();
        let own = subject.attributes().rfind(|attribute| attribute.name() == "serialNumber");
        serial_number = own.map(|attribute| attribute.value.clone()).unwrap_or_default();
    }
    let fits = |pattern: &String| glob(pattern, &serial_number);
    if !serial_number.is_empty() && !rules.allowed_serial_numbers.iter().any(fits) {
        return Err(Refusal::bad(format!("serial_number {serial_number} not allowed by this role")));
    }
    Ok(serial_number)
}

fn common_name(rules: &Rules, fields: &Fields, csr: Option<&Csr>) -> Result<String, Refusal> {
    let own = csr.filter(|_| rules.use_csr_common_name).and_then(|csr| {
        let subject = csr.subject();
        subject.common_name().map(str::to_owned)
    });
    let name = match own.filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => fields.text("common_name")?.into_owned(),
    };
    if name.is_empty() && rules.require_cn {
        return Err(Refusal::bad(
            "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to \
             true, unless \"require_cn\" is set to false",
        ));
    }
    Ok(name)
}

fn add_name(names: &mut Names, name: &str) -> Result<(), Refusal> {
    let (list, name) = if name.contains('@') {
        (&mut names.emails, Some(name.to_owned()))
    } else {
        (&mut names.dns, as_dns_name(name)?)
    };
    if let Some(name) = name.filter(|name| !list.contains(name)) {
        list.push(name);
    }
    Ok(())
}

fn from_csr(csr: &Csr) -> Result<Names, Refusal> {
    let mut names = Names::default();
    let parsed = csr
        .subject_alt_names()
        .map_err(|error| Refusal::bad(format!("certificate request could not be parsed: {error}")))?;
    for name in parsed {
        match name {
            SubjectAltName::Dns(name) => names.dns.push(name),
            SubjectAltName::Email(name) => names.emails.push(name),
            SubjectAltName::Uri(name) => names.uris.push(name),
            SubjectAltName::Ip(address) => names.ips.push(address),
            // Those that are otherNames come later, see `other_names`; the rest Vault drops.
            SubjectAltName::Other(_) => {}
        }
    }
    Ok(names)
}

fn addresses(rules: &Rules, fields: &Fields, csr: Option<&Names>) -> Result<Vec<IpAddr>, Refusal> {
    let forbidden = "IP Subject Alternative Names are not allowed in this role, but was provided via";
    if let Some(csr) = csr {
        if !csr.ips.is_empty() && !rules.allow_ip_sans {
            return Err(Refusal::bad(format!("{forbidden} CSR")));
        }
        return Ok(csr.ips.clone());
    }
    let given = fields.list("ip_sans")?;
    if !given.is_empty() && !rules.allow_ip_sans {
        return Err(Refusal::bad(format!("{forbidden} the API")));
    }
    let parsed = given.iter().map(|text| {
        text.parse().map_err(|_| Refusal::bad(format!("the value \"{text}\" is not a valid IP address")))
    });
    parsed.collect()
}

fn uris(rules: &Rules, fields: &Fields, csr: Option<&Names>) -> Result<Vec<String>, Refusal> {
    let (uris, source) = match csr {
        Some(csr) => (csr.uris.clone(), "CSR"),
        None => (fields.list("uri_sans")?, "the API"),
    };
    if uris.is_empty() {
        return Ok(uris);
    }
    if rules.allowed_uri_sans.is_empty() {
        return Err(Refusal::bad(format!(
            "URI Subject Alternative Names are not allowed in this role, but were provided via {source}"
        )));
    }
    let fits = |uri: &String| rules.allowed_uri_sans.iter().any(|pattern| glob(pattern, uri));
    if !uris.iter().all(fits) {
        return Err(Refusal::bad(format!(
            "URI Subject Alternative Names were provided via {source} which are not valid for this role"
        )));
    }
    Ok(uris)
}

/// The CSR's names as `sign-verbatim` writes them: the extension itself, unless an otherName makes OpenBao write it
/// anew.
pub(crate) fn verbatim_names(csr: &Csr) -> Result<Sans, Refusal> {
    let mut names = from_csr(csr)?;
    let everything = Role::allowing_everything()?;
    names.others = other_names(&everything.rules, &Fields::default(), Some(csr))?;
    if names.others.is_empty() { Ok(Sans::FromCsr) } else { encode(&names) }
}

/// The CSR's, and those beside it as `<oid>;UTF8:<value>`. One that is in both is there twice, as with Vault.
fn other_names(rules: &Rules, fields: &Fields, csr: Option<&Csr>) -> Result<Vec<GeneralName>, Refusal> {
    let mut names = Vec::new();
    for name in csr.and_then(|csr| csr.subject_alt_names().ok()).unwrap_or_default() {
        if let Some((type_id, text)) = name.other_name() {
            let value = text.ok_or_else(|| unreadable("no UTF-8 string found in OtherName"))?;
            names.push((type_id.to_string(), value.to_owned()));
        }
    }
    for text in fields.list("other_sans")? {
        let (type_id, typed) = text
            .split_once(';')
            .ok_or_else(|| unreadable(&format!("expected a semicolon in other SAN {}", quoted(&text))))?;
        let (kind, value) = typed.split_once(':').unwrap_or((typed, ""));
        if !matches!(kind.to_ascii_lowercase().as_str(), "utf8" | "utf-8") {
            return Err(unreadable(&format!(
                "only utf8 other SANs are supported; found non-supported type in other SAN {}",
                quoted(&text)
            )));
        }
        names.push((type_id.to_owned(), value.to_owned()));
    }
    names
        .into_iter()
        .map(|(type_id, value)| {
            allow_other_name(rules, &type_id, &value)?;
            Ok(GeneralName::OtherName { type_id, value })
        })
        .collect()
}

fn unreadable(why: &str) -> Refusal {
    Refusal::bad(format!("could not parse requested other SAN: {why}"))
}

fn allow_other_name(rules: &Rules, type_id: &str, value: &str) -> Result<(), Refusal> {
    let allowed = &rules.allowed_other_sans;
    if allowed.iter().any(|allowed| allowed == "*") {
        return Ok(());
    }
    let same_type = |allowed: &&String| allowed.split_once(';').is_some_and(|(oid, _)| oid == type_id);
    let mut patterns = allowed.iter().filter(same_type).filter_map(|allowed| {
        let (_, typed) = allowed.split_once(';')?;
        Some(typed.split_once(':').map_or(typed, |(_, pattern)| pattern))
    });
    let Some(first) = patterns.next() else {
        return Err(Refusal::bad(format!("other SAN OID {type_id} not allowed by this role")));
    };
    if std::iter::once(first).chain(patterns).any(|pattern| glob(pattern, value)) {
        return Ok(());
    }
    Err(Refusal::bad(format!("other SAN {value} not allowed for OID {type_id} by this role")))
}

/// The subject in the order of Go's `pkix.Name`, one RDN for each kind of attribute.
fn subject(rules: &Rules, common_name: &str, serial_number: &str) -> Result<Vec<u8>, Refusal> {
    Ok(distinguished_name(
        [
            (AttributeType::Country, rules.country.as_slice()),
            (AttributeType::Organization, &rules.organization),
            (AttributeType::OrganizationalUnit, &rules.ou),
            (AttributeType::Locality, &rules.locality),
            (AttributeType::Province, &rules.province),
            (AttributeType::StreetAddress, &rules.street_address),
            (AttributeType::PostalCode, &rules.postal_code),
        ],
        common_name,
        serial_number,
    )?)
}

/// As Go writes a `pkix.Name`.
pub(crate) fn distinguished_name<'a>(
    lists: impl IntoIterator<Item = (AttributeType, &'a [String])>,
    common_name: &str,
    serial_number: &str,
) -> Result<Vec<u8>, ca::CaError> {
    let mut rdns: Vec<ca::Rdn> = lists
        .into_iter()
        .map(|(kind, values)| values.iter().map(|value| (kind, value.clone())).collect())
        .collect();
    for (kind, value) in
        [(AttributeType::CommonName, common_name), (AttributeType::SerialNumber, serial_number)]
    {
        if !value.is_empty() {
            rdns.push(vec![(kind, value.to_owned())]);
        }
    }
    ca::distinguished_name(&rdns)
}

/// The names of a CA: its common name, when that is a host's, and those it is given.
pub(crate) fn ca_names(fields: &Fields) -> Result<Sans, Refusal> {
    let mut names = Names::default();
    let common_name = fields.text("common_name")?;
    if !common_name.is_empty() && !fields.boolean("exclude_cn_from_sans", false)? {
        add_name(&mut names, &common_name)?;
    }
    for name in fields.list("alt_names")? {
        add_name(&mut names, &name)?;
    }
    encode(&names)
}

/// In the order of Go's `crypto/x509`.
fn encode(names: &Names) -> Result<Sans, Refusal> {
    let others = names.others.iter().cloned();
    let dns = names.dns.iter().cloned().map(GeneralName::Dns);
    let emails = names.emails.iter().cloned().map(GeneralName::Email);
    let ips = names.ips.iter().copied().map(GeneralName::Ip);
    let uris = names.uris.iter().cloned().map(GeneralName::Uri);
    let all: Vec<GeneralName> = others.chain(dns).chain(emails).chain(ips).chain(uris).collect();
    if all.is_empty() {
        return Ok(Sans::None);
    }
    let encoded = ca::general_names(&all).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(Sans::Der(encoded))
}
