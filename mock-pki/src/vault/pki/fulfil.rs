//! Making an ordered certificate: validity, faults, signature, ledger, answer.

use aws_lc_rs::digest::{SHA256, digest};
use ca::{Extra, LeafProfile, Requested, Sans, SigningKey, Subject};
use x509::Csr;

use crate::{
    fault::Issuance,
    ledger::Issued,
    random,
    vault::{
        envelope::Answer,
        error::Refusal,
        pki::{
            Context, Pki,
            asked::Asked,
            issuer::Issuer,
            output::{self, Format},
            role::Rules,
            sent::Sent,
            validity::{minus, refuse_beyond_issuer, whole},
        },
    },
};

/// What is known about a certificate before it is made.
pub(crate) struct Order<'a> {
    pub(crate) issuer: &'a Issuer,
    pub(crate) rules: &'a Rules,
    pub(crate) requested: Requested<'a>,
    pub(crate) csr: Option<&'a Csr>,
    pub(crate) common_name: Option<String>,
    pub(crate) asked: Asked,
    pub(crate) usages: x509::Usages,
    pub(crate) extra: Vec<Extra>,
    pub(crate) key: Option<&'a SigningKey>,
    pub(crate) fields_known: &'static [&'static str],
    pub(crate) warnings: Vec<String>,
}

impl<'a> Order<'a> {
    /// For a CSR whose names and usages are still to be decided.
    pub(crate) fn for_csr(issuer: &'a Issuer, rules: &'a Rules, csr: &'a Csr) -> Self {
        Self {
            issuer,
            rules,
            requested: Requested::from(csr),
            csr: Some(csr),
            common_name: csr.subject().common_name().map(str::to_owned),
            asked: Asked { subject: Subject::FromCsr, sans: Sans::None },
            usages: x509::Usages::unrestricted(),
            extra: Vec::new(),
            key: None,
            fields_known: &[],
            warnings: Vec::new(),
        }
    }
}

impl Pki {
    /// Makes the certificate, remembers it and answers.
    pub(crate) fn fulfil(
        &self,
        context: Context<'_>,
        order: Order<'_>,
        format: Format,
    ) -> Result<Answer, Refusal> {
        let Context { ledger, request, mount, path, now, .. } = context;
        let mut warnings = order.warnings;
        let not_after = self.not_after(order.rules, &request.fields, now, &mut warnings)?;
        refuse_beyond_issuer(not_after, order.issuer)?;
        warnings.extend(request.fields.unknown(order.fields_known));
        warnings.extend(request.fields.replaced(&["role"]));

        let urls = self.urls();
        let leaf = LeafProfile {
            serial: ledger.next_serial(),
            not_before: whole(minus(now, order.rules.not_before_duration)),
            not_after: whole(not_after),
            is_ca: false,
            path_len: None,
            usages: order.usages,
            subject: order.asked.subject,
            subject_alt_names: order.asked.sans,
            crl_distribution_points: urls.crl_distribution_points.clone(),
            ocsp: urls.ocsp_servers.clone(),
            ca_issuers: urls.issuing_certificates.clone(),
            basic_constraints_on_leaf: order.rules.basic_constraints_valid_for_non_ca,
        };
        let mut issuance = Issuance::new(leaf, order.requested, order.extra, &order.issuer.chain);
        let faulty = context.certificates.apply(&mut issuance, order.common_name.as_deref(), now)?;
        let certificate = issuance.issue(order.issuer.authority.as_ref())?;
        let chain_pem = if faulty {
            issuance.chain.iter().map(output::pem).collect()
        } else {
            order.issuer.chain_pem.clone()
        };

        let serial = output::serial(&certificate);
        if !order.rules.no_store {
            self.store(&serial, &certificate, &order.issuer.id);
        }
        let sent = Sent {
            certificate: &certificate,
            chain: &issuance.chain,
            chain_pem,
            key: order.key,
            serial,
            without_roots: request.fields.boolean("remove_roots_from_chain", false)?,
        };
        let data = sent.data(format, &issuance)?;
        let mut answer = Answer::data_with(data, warnings);
        if let Answer::Envelope(envelope) = &mut answer {
            if order.rules.generate_lease {
                envelope.lease_id = format!("{mount}{path}/{}", random::base62());
                envelope.lease_duration = not_after.duration_since(now).as_secs();
            }
            ledger.record(Issued {
                serial: certificate.serial_hex(),
                request_id: envelope.request_id.clone(),
                issued_by: format!("vault {mount}{path}"),
                common_name: order.common_name,
                subject_alt_names: certificate.subject_alt_names().iter().map(ToString::to_string).collect(),
                spki_sha256: sha256(certificate.spki_der()),
                csr_sha256: order.csr.map(|csr| random::hex(&csr.sha256())),
                certificate_sha256: sha256(certificate.der()),
                issued_at: now,
                not_after: certificate.not_after(),
                revoked_at: None,
                user_agent: request.user_agent.clone(),
                idempotency_key: request.idempotency_key.clone(),
            });
        }
        Ok(answer)
    }
}

fn sha256(bytes: &[u8]) -> String {
    random::hex(digest(&SHA256, bytes).as_ref())
}
