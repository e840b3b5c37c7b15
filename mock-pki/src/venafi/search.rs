//! `GET Certificates` with its filters, the details of one certificate, and `PUT` of its attributes.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use x509::{Certificate, SubjectAltName};

use crate::{
    sync::lock,
    venafi::{
        State,
        answer::{Answer, Refusal},
        dn::Dn,
        enrollment::{Enrollment, Version},
        fields::Fields,
        issuing::shown_name,
        metadata,
        policy::CERTIFICATE_AUTHORITY,
        request::date,
        tree::{Kind, Node, Tree},
    },
};

/// So many are answered unless told otherwise.
const LIMIT: usize = 100;

/// A condition on certificates. Values of one filter are alternatives.
enum Filter {
    CommonName(Vec<String>),
    Dns(Vec<String>),
    Serial(Vec<String>),
    Thumbprint(Vec<String>),
    Parent(Vec<Dn>),
    ParentRecursive(Vec<Dn>),
    ValidToGreater(Timestamp),
    ValidToLess(Timestamp),
    Disabled(bool),
}

impl Filter {
    /// Nothing for a name that is no filter here.
    fn read(name: &str, value: &str) -> Result<Option<Self>, Refusal> {
        let values = || value.split(',').map(|value| value.trim().to_lowercase()).collect::<Vec<_>>();
        let hex = || values().iter().map(|value| value.replace([':', ' '], "")).collect::<Vec<_>>();
        let at = || {
            date(value).ok_or_else(|| {
                Refusal::bad(format!(
                    "Invalid DateTime format. The value [{value}] for the parameter [{name}] is not a date."
                ))
            })
        };
        let dns = || value.split(',').filter_map(Dn::parse).collect::<Vec<_>>();
        Ok(Some(match name.to_ascii_lowercase().as_str() {
            "cn" => Self::CommonName(values()),
            "san-dns" => Self::Dns(values()),
            "serial" => Self::Serial(hex()),
            "thumbprint" => Self::Thumbprint(hex()),
            "parentdn" => Self::Parent(dns()),
            "parentdnrecursive" => Self::ParentRecursive(dns()),
            "validtogreater" => Self::ValidToGreater(at()?),
            "validtoless" => Self::ValidToLess(at()?),
            "disabled" => Self::Disabled(match value {
                "1" => true,
                "0" => false,
                _ => {
                    return Err(Refusal::bad(format!(
                        "Invalid Boolean value. The value [{value}] for the parameter [{name}] contained spaces, a \
                         non-numeric, or a number other than zero or one."
                    )));
                }
            }),
            _ => return Ok(None),
        }))
    }

    fn fits(&self, node: &Node, enrollment: &Enrollment, version: &Version) -> bool {
        let certificate = &version.certificate;
        match self {
            Self::CommonName(names) => {
                let subject = certificate.subject();
                subject.common_name().is_some_and(|own| names.contains(&own.to_lowercase()))
            }
            Self::Dns(names) => certificate
                .subject_alt_names()
                .iter()
                .any(|own| matches!(own, SubjectAltName::Dns(own) if names.contains(&own.to_lowercase()))),
            Self::Serial(serials) => serials.contains(&certificate.serial_hex()),
            Self::Thumbprint(prints) => prints.contains(&version.thumbprint.to_lowercase()),
            Self::Parent(dns) => {
                let own = node.dn.parent().map(|parent| parent.key());
                dns.iter().any(|dn| Some(dn.key()) == own)
            }
            Self::ParentRecursive(dns) => dns.iter().any(|dn| node.dn.is_within(dn)),
            Self::ValidToGreater(at) => certificate.not_after() >= *at,
            Self::ValidToLess(at) => certificate.not_after() <= *at,
            Self::Disabled(wanted) => enrollment.is_disabled == *wanted,
        }
    }
}

/// `GET Certificates/?…`; with `only_count` nothing but the number.
pub(crate) fn search(state: &State, query: &str, only_count: bool) -> Result<Answer, Refusal> {
    let (mut filters, mut limit, mut offset) = (Vec::new(), LIMIT, 0_usize);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let number = || {
            value.parse::<usize>().map_err(|_| {
                Refusal::bad(format!(
                    "Invalid value. The value [{value}] for the parameter [{name}] is not a number."
                ))
            })
        };
        match name.to_ascii_lowercase().as_str() {
            "limit" => limit = number()?,
            "offset" => offset = number()?,
            _ => filters.push(Filter::read(&name, &value)?.ok_or_else(|| {
                Refusal::bad(format!("Invalid search parameter. The parameter [{name}] is not known here."))
            })?),
        }
    }
    let tree = lock(&state.tree);
    let found = tree.all().filter_map(|node| {
        let enrollment = node.enrollment()?;
        let version = enrollment.current()?;
        filters.iter().all(|filter| filter.fits(node, enrollment, version)).then_some((node, version))
    });
    let found: Vec<(&Node, &Version)> = found.collect();
    let total = found.len();
    if only_count {
        return Ok(Answer { count: Some(total), ..Answer::nothing() });
    }
    let page: Vec<Value> =
        found.iter().skip(offset).take(limit).map(|(node, version)| listed(node, version)).collect();
    let range = format!(
        "Certificates {} - {}",
        offset.saturating_add(1).min(total),
        offset.saturating_add(page.len()).min(total)
    );
    let body = json!({ "Certificates": page, "DataRange": range, "TotalCount": total });
    Ok(Answer { count: Some(total), ..Answer::ok(body) })
}

fn listed(node: &Node, version: &Version) -> Value {
    let certificate = &version.certificate;
    json!({
        "CreatedOn": node.created.to_string(),
        "DN": node.dn.to_string(),
        "Guid": node.braced(),
        "Name": node.dn.name(),
        "ParentDn": node.dn.parent().map(|parent| parent.to_string()),
        "SchemaClass": node.class(),
        "X509": {
            "CN": certificate.subject().common_name().unwrap_or_default(),
            "SANS": names(&certificate.subject_alt_names()),
            "Serial": certificate.serial_hex().to_uppercase(),
            "Thumbprint": version.thumbprint,
            "ValidFrom": certificate.not_before().to_string(),
            "ValidTo": certificate.not_after().to_string(),
        },
        "_links": [{ "Details": format!("/vedsdk/certificates/%7b{}%7d", node.guid) }],
    })
}

fn names(all: &[SubjectAltName]) -> Value {
    let mut kinds = Map::new();
    for name in all {
        let (kind, text) = match name {
            SubjectAltName::Dns(name) => ("DNS", name.clone()),
            SubjectAltName::Email(name) => ("Email", name.clone()),
            SubjectAltName::Uri(name) => ("URI", name.clone()),
            SubjectAltName::Ip(address) => ("IP", address.to_string()),
            SubjectAltName::Other(_) => continue,
        };
        if let Value::Array(texts) = kinds.entry(kind).or_insert_with(|| json!([])) {
            texts.push(Value::String(text));
        }
    }
    Value::Object(kinds)
}

/// `GET Certificates/{guid}`
pub(crate) fn details(state: &State, guid: &str) -> Result<Answer, Refusal> {
    let tree = lock(&state.tree);
    let found = tree.with_guid(guid).and_then(|node| Some((node, node.enrollment()?)));
    let (node, enrollment) = found.ok_or_else(|| unknown(guid))?;
    Ok(Answer::ok(describe(&tree, node, enrollment)))
}

fn unknown(guid: &str) -> Refusal {
    Refusal::bad(format!(
        "Certificate with the GUID {guid} does not exist or you do not have sufficient rights."
    ))
}

fn describe(tree: &Tree, node: &Node, enrollment: &Enrollment) -> Value {
    let parent = node.dn.parent();
    let policy = parent.as_ref().and_then(|parent| tree.effective(parent)).unwrap_or_default();
    let authority = policy.get(CERTIFICATE_AUTHORITY).and_then(|(own, _)| own.values.first());
    let of = |name: &str| enrollment.attributes.get(name).and_then(|values| values.first());
    json!({
        "CertificateAuthorityDN": authority,
        "CertificateDetails": enrollment.current().map_or_else(|| json!({}), certificate_details),
        "Consumers": [],
        "Contact": [enrollment.created_by],
        "CreatedBy": [enrollment.created_by],
        "CreatedOn": node.created.to_string(),
        "CustomFields": metadata::shown(&enrollment.custom),
        "DN": node.dn.to_string(),
        "Disabled": enrollment.is_disabled,
        "Guid": node.braced(),
        "ManagementType": "Enrollment",
        "Name": node.dn.name(),
        "Origin": of("Origin"),
        "ParentDn": parent.map(|parent| parent.to_string()),
        "ProcessingDetails": enrollment.describe_processing(),
        "SchemaClass": node.class(),
    })
}

fn certificate_details(version: &Version) -> Value {
    let certificate: &Certificate = &version.certificate;
    let subject = certificate.subject();
    let all = |name: &str| {
        let values = subject.attributes().filter(|part| part.name() == name).map(|part| part.value.clone());
        values.collect::<Vec<_>>()
    };
    let key_id = |id: Option<&[u8]>| id.map(|id| x509::hex(id).to_uppercase());
    let (algorithm, size) = match certificate.key_type() {
        x509::KeyType::Rsa { bits } => ("RSA", bits),
        x509::KeyType::EcP256 => ("ECC", 256),
        x509::KeyType::EcP384 => ("ECC", 384),
        x509::KeyType::EcP521 => ("ECC", 521),
        x509::KeyType::Ed25519 | x509::KeyType::Other(_) => ("Unknown", 0),
    };
    let mut details = json!({
        "AIAKeyIdentifier": key_id(certificate.authority_key_id()),
        "CN": subject.common_name(),
        "Issuer": shown_name(&certificate.issuer()),
        "KeyAlgorithm": algorithm,
        "KeySize": size,
        "SKIKeyIdentifier": key_id(certificate.subject_key_id()),
        "Serial": certificate.serial_hex().to_uppercase(),
        "StoreAdded": version.issued.to_string(),
        "Subject": shown_name(&subject),
        "SubjectAltName": names(&certificate.subject_alt_names()),
        "Thumbprint": version.thumbprint,
        "ValidFrom": certificate.not_before().to_string(),
        "ValidTo": certificate.not_after().to_string(),
    });
    if let Value::Object(map) = &mut details {
        for (shown, name) in [("C", "C"), ("L", "L"), ("O", "O"), ("S", "ST")] {
            if let Some(value) = all(name).into_iter().next() {
                map.insert(shown.to_owned(), Value::String(value));
            }
        }
        let units = all("OU");
        if !units.is_empty() {
            map.insert("OU".to_owned(), json!(units));
        }
    }
    details
}

/// `PUT Certificates/{guid}`: sets attributes; one without values is taken away.
pub(crate) fn update(state: &State, guid: &str, fields: &Fields) -> Result<Answer, Refusal> {
    let mut tree = lock(&state.tree);
    let dn = tree.with_guid(guid).map(|node| node.dn.clone()).ok_or_else(|| unknown(guid))?;
    let node = tree.find_mut(&dn);
    let Some(Node { kind: Kind::Certificate(enrollment), .. }) = node else { return Err(unknown(guid)) };
    for attribute in fields.objects("AttributeData") {
        let (name, values) = (attribute.needed("Name")?.to_owned(), attribute.list("Value")?);
        if name == "Disabled" {
            enrollment.is_disabled = values.first().is_some_and(|value| value == "1");
        } else if values.is_empty() {
            enrollment.attributes.remove(&name);
        } else {
            enrollment.attributes.insert(name, values);
        }
    }
    Ok(Answer::ok(json!({})))
}
