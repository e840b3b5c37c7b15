//! A small CA for tests: a request and a certificate from the same plain description, so that a test can ask for
//! one thing and issue another.

use std::{net::IpAddr, sync::LazyLock, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SubjectPublicKeyInfo,
};
use x509::{Asked, Certificate, Csr, Usages, bundle::read_certificates};

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// When the tests play.
pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// What is asked for, or what is issued.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) ed25519: bool,
    pub(crate) common_name: Option<String>,
    pub(crate) organisation: Option<String>,
    pub(crate) dns: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) uris: Vec<String>,
    pub(crate) emails: Vec<String>,
    /// In cert-manager's words.
    pub(crate) usages: Vec<String>,
    pub(crate) is_ca: bool,
    pub(crate) not_before: Timestamp,
    pub(crate) lifetime: SignedDuration,
}

impl Content {
    pub(crate) fn csr(&self) -> Csr {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.subject();
        params.subject_alt_names = self.alt_names();
        let request = params.serialize_request(self.key()).unwrap();
        Csr::from_der(request.der()).unwrap()
    }

    pub(crate) fn asked<'a>(&self, csr: &'a Csr) -> Asked<'a> {
        let usages = Usages::from_cert_manager(&self.usages).unwrap();
        let duration = self.lifetime.try_into().unwrap();
        Asked { csr, duration, usages, is_ca: self.is_ca, now: now() }
    }

    /// The leaf and its issuer.
    pub(crate) fn issued(&self) -> Vec<Certificate> {
        let leaf = self.params().signed_by(self.key(), &CA.0).unwrap();
        read_certificates(format!("{}{}", leaf.pem(), CA.1).as_bytes()).unwrap()
    }

    /// The leaf, an intermediate that was changed, and the root. Unchanged, the intermediate is as it should be.
    pub(crate) fn issued_below(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<Certificate> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("issuing CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let intermediate = params.signed_by(&key, &CA.0).unwrap();
        let leaf = self.params().signed_by(self.key(), &Issuer::from_params(&params, key)).unwrap();
        let pem = [leaf.pem(), intermediate.pem(), CA.1.clone()].concat();
        read_certificates(pem.as_bytes()).unwrap()
    }

    /// The leaf for the key of any request, and its issuer.
    pub(crate) fn issued_for(&self, csr: &Csr) -> Vec<Certificate> {
        let key = SubjectPublicKeyInfo::from_der(csr.spki_der()).unwrap();
        let leaf = self.params().signed_by(&key, &CA.0).unwrap();
        read_certificates(format!("{}{}", leaf.pem(), CA.1).as_bytes()).unwrap()
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.subject();
        params.subject_alt_names = self.alt_names();
        let path = if self.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.is_ca = path;
        params.key_usages = self.usages.iter().filter_map(|word| key_usage(word)).collect();
        params.extended_key_usages = self.usages.iter().filter_map(|word| extended(word)).collect();
        params.use_authority_key_identifier_extension = true;
        valid_from(&mut params, self.not_before);
        valid_until(&mut params, self.not_before + self.lifetime);
        params
    }

    fn key(&self) -> &'static KeyPair {
        static P256: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());
        static ED25519: LazyLock<KeyPair> =
            LazyLock::new(|| KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
        if self.ed25519 { &ED25519 } else { &P256 }
    }

    fn subject(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        if let Some(organisation) = &self.organisation {
            name.push(DnType::OrganizationName, organisation);
        }
        if let Some(common) = &self.common_name {
            name.push(DnType::CommonName, common);
        }
        name
    }

    fn alt_names(&self) -> Vec<SanType> {
        let dns = self.dns.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
        let ips = self.ips.iter().map(|address| SanType::IpAddress(*address));
        let uris = self.uris.iter().map(|name| SanType::URI(name.as_str().try_into().unwrap()));
        let emails = self.emails.iter().map(|name| SanType::Rfc822Name(name.as_str().try_into().unwrap()));
        dns.chain(ips).chain(uris).chain(emails).collect()
    }
}

/// The leaf of a chain in which all have one name, and its issuers, the root last.
pub(crate) fn namesakes(length: usize) -> Vec<Certificate> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("namesake");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut key = KeyPair::generate().unwrap();
    let mut pems = vec![params.self_signed(&key).unwrap().pem()];
    for _ in 1..length {
        let next = KeyPair::generate().unwrap();
        pems.push(params.signed_by(&next, &Issuer::from_params(&params, key)).unwrap().pem());
        key = next;
    }
    pems.reverse();
    read_certificates(pems.concat().as_bytes()).unwrap()
}

/// Sets notBefore.
pub(crate) fn valid_from(params: &mut CertificateParams, time: Timestamp) {
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(time);
}

/// Sets notAfter.
pub(crate) fn valid_until(params: &mut CertificateParams, time: Timestamp) {
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(time);
}

fn since_epoch(time: Timestamp) -> Duration {
    Duration::from_secs(time.as_second().try_into().unwrap())
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// The issuer, and its certificate in PEM.
static CA: LazyLock<(Issuer<'static, KeyPair>, String)> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = named("test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
});

fn key_usage(word: &str) -> Option<KeyUsagePurpose> {
    Some(match word {
        "digital signature" => KeyUsagePurpose::DigitalSignature,
        "content commitment" => KeyUsagePurpose::ContentCommitment,
        "key encipherment" => KeyUsagePurpose::KeyEncipherment,
        "key agreement" => KeyUsagePurpose::KeyAgreement,
        "data encipherment" => KeyUsagePurpose::DataEncipherment,
        "cert sign" => KeyUsagePurpose::KeyCertSign,
        "crl sign" => KeyUsagePurpose::CrlSign,
        "encipher only" => KeyUsagePurpose::EncipherOnly,
        "decipher only" => KeyUsagePurpose::DecipherOnly,
        _ => return None,
    })
}

fn extended(word: &str) -> Option<ExtendedKeyUsagePurpose> {
    Some(match word {
        "any" => ExtendedKeyUsagePurpose::Any,
        "server auth" => ExtendedKeyUsagePurpose::ServerAuth,
        "client auth" => ExtendedKeyUsagePurpose::ClientAuth,
        "code signing" => ExtendedKeyUsagePurpose::CodeSigning,
        "email protection" => ExtendedKeyUsagePurpose::EmailProtection,
        "timestamping" => ExtendedKeyUsagePurpose::TimeStamping,
        "ocsp signing" => ExtendedKeyUsagePurpose::OcspSigning,
        _ => return None,
    })
}
