//! Making an ordered certificate: validity, faults, signature, ledger, answer.

use ca::{Extra, LeafProfile, Requested, Sans, SigningKey, Subject};
use x509::Csr;

use crate::{
    fault::Verdict,
    issue::{self, Made},
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
            validity::{minus, refuse_beyond_issuer},
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

        let (urls, request_id) = (self.urls(), random::uuid());
        let leaf = LeafProfile {
            serial: ledger.next_serial(),
            not_before: issue::whole(minus(now, order.rules.not_before_duration)),
            not_after: issue::whole(not_after),
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
        // Vault knows no approval.
        if let Some(Verdict::Refuse(why)) = context.certificates.verdict(order.common_name.as_deref(), false)
        {
            return Err(Refusal::bad(why));
        }
        let made = issue::issue(
            issue::Order {
                authority: order.issuer.authority.as_deref(),
                chain: &order.issuer.chain,
                leaf,
                requested: order.requested,
                extra: order.extra,
                common_name: order.common_name,
                csr: order.csr,
                kept: (!order.rules.no_store).then_some((&*self.archive, &order.issuer.id)),
            },
            issue::Asker {
                issued_by: format!("vault {mount}{path}"),
                request_id: request_id.clone(),
                user_agent: request.user_agent.clone(),
                idempotency_key: request.idempotency_key.clone(),
                faults: context.certificates,
                ledger,
                now,
            },
        )?;
        let Made { certificate, issuance, is_faulty } = made;
        let chain_pem = if is_faulty {
            issuance.chain.iter().map(output::pem).collect()
        } else {
            order.issuer.chain_pem.clone()
        };

        let sent = Sent {
            certificate: &certificate,
            chain: &issuance.chain,
            chain_pem,
            key: order.key,
            serial: output::serial(&certificate),
            without_roots: request.fields.boolean("remove_roots_from_chain", false)?,
        };
        let data = sent.data(format, &issuance)?;
        let mut answer = Answer::data_with(data, warnings);
        if let Answer::Envelope(envelope) = &mut answer {
            envelope.request_id = request_id;
            if order.rules.generate_lease {
                envelope.lease_id = format!("{mount}{path}/{}", random::base62());
                envelope.lease_duration = not_after.duration_since(now).as_secs();
            }
        }
        Ok(answer)
    }
}
