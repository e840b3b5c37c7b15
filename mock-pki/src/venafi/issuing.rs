//! Doing what an object was set to work for: hold it, refuse it, or have the certificate made.

use ca::{KeyAlgorithm, LeafProfile, Requested};
use jiff::{SignedDuration, Timestamp};
use x509::{DistinguishedName, KeyType};

use crate::{
    approval::Decision,
    face::{Call, short_header},
    fault::Verdict,
    issue::{self, Made},
    store::Epoch,
    sync::lock,
    venafi::{
        State,
        answer::Refusal,
        auth::Caller,
        dn::Dn,
        encoding,
        enrollment::{Order, Stage, Version},
        fields::Fields,
    },
};

/// When nobody says how long.
const VALIDITY: SignedDuration = SignedDuration::from_hours(24 * 365);

/// A request that is being answered.
pub(crate) struct Context<'a> {
    pub(crate) epoch: &'a Epoch,
    pub(crate) state: &'a State,
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    /// `CADN`
    pub(crate) authority: Option<String>,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Issued,
    Held,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        epoch: &'a Epoch,
        call: &'a Call,
        caller: &'a Caller,
        fields: &Fields,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let authority = fields.text("CADN")?.map(str::to_owned);
        Ok(Self { epoch, state: &epoch.venafi, call, caller, now, authority })
    }
}

/// Goes on with an order whose object is [`Stage::InProcess`]: asks whether it may be made, and makes it.
pub(crate) fn proceed(context: &Context<'_>, dn: &Dn, guid: &str, order: Order) -> Result<Progress, Refusal> {
    let common_name = order.common_name.as_deref();
    match context.call.certificates().verdict(common_name, true) {
        None => make(context, dn, guid, order).map(|()| Progress::Issued),
        Some(Verdict::Refuse(why)) => {
            settle(context, dn, Stage::Idle);
            Err(Refusal::bad(format!("{why}\r\n")))
        }
        Some(Verdict::Hold { approved_after }) => {
            let approvals = &context.epoch.approvals;
            let approval = approvals.hold("venafi", common_name, context.now, approved_after);
            settle(context, dn, Stage::Waiting { approval, order });
            Ok(Progress::Held)
        }
    }
}

/// Its client comes back for an object: what was decided meanwhile takes effect.
pub(crate) fn come_back(context: &Context<'_>, dn: &Dn) -> Result<(), Refusal> {
    let (order, guid) = {
        let mut tree = lock(&context.state.tree);
        let guid = tree.find(dn).map(|node| node.guid.clone()).unwrap_or_default();
        let Some(enrollment) = tree.enrollment_mut(dn) else { return Ok(()) };
        let Stage::Waiting { approval, .. } = &enrollment.stage else { return Ok(()) };
        let decision = context.epoch.approvals.poll(*approval);
        let next = match decision {
            Some(Decision::Waiting) => return Ok(()),
            Some(Decision::Approved) => Stage::InProcess,
            // A request that is not remembered is nobody's to approve any more.
            Some(Decision::Rejected) | None => {
                let status =
                    "Post CSR failed with error: The request was rejected by an approver.".to_owned();
                Stage::Failed { status, order: None }
            }
        };
        let is_rejected = !matches!(next, Stage::InProcess);
        let Stage::Waiting { order, .. } = std::mem::replace(&mut enrollment.stage, next) else {
            return Ok(());
        };
        if is_rejected {
            if let Stage::Failed { order: kept, .. } = &mut enrollment.stage {
                *kept = Some(order);
            }
            return Ok(());
        }
        (order, guid)
    };
    make(context, dn, &guid, order)
}

fn settle(context: &Context<'_>, dn: &Dn, stage: Stage) {
    if let Some(enrollment) = lock(&context.state.tree).enrollment_mut(dn) {
        // A reset meanwhile wins.
        if matches!(enrollment.stage, Stage::InProcess) {
            enrollment.stage = stage;
        }
    }
}

fn make(context: &Context<'_>, dn: &Dn, guid: &str, order: Order) -> Result<(), Refusal> {
    let made = sign(context, dn, guid, &order);
    let version = match made {
        Ok(version) => version,
        Err(error) => {
            let status = format!("Post CSR failed with error: {error}");
            settle(context, dn, Stage::Failed { status, order: Some(order) });
            return Err(error.into());
        }
    };
    if let Some(enrollment) = lock(&context.state.tree).enrollment_mut(dn) {
        enrollment.versions.push(version);
        enrollment.last = Some(order);
    }
    settle(context, dn, Stage::Idle);
    Ok(())
}

fn sign(context: &Context<'_>, dn: &Dn, guid: &str, order: &Order) -> Result<Version, ca::CaError> {
    let Context { epoch, state, call, now, .. } = context;
    let ca = &state.ca;
    let chain = ca.authority.chain();
    let latest = chain.first().map_or(*now, x509::Certificate::not_after);
    let wanted = order.not_after.or_else(|| now.checked_add(VALIDITY).ok()).unwrap_or(latest);
    let (requested, key_type) = match (&order.csr, &order.key) {
        (Some(csr), _) => (Requested::from(csr), Some(csr.key_type())),
        (None, Some(key)) => {
            let requested = Requested { subject_der: &[], spki_der: key.spki_der(), subject_alt_names: None };
            (requested, key_type(key.algorithm()))
        }
        (None, None) => return Err(ca::CaError::UnusableKey),
    };
    let leaf = LeafProfile {
        usages: issue::usages(order.csr.as_ref(), key_type.is_some_and(|key| key.can_encipher_keys())),
        subject: order.subject.clone(),
        subject_alt_names: order.subject_alt_names.clone(),
        basic_constraints_on_leaf: false,
        ..LeafProfile::valid(epoch.ledger.next_serial(), issue::start(*now), issue::whole(wanted.min(latest)))
    };
    let folder = dn.parent().map(|folder| folder.to_string()).unwrap_or_default();
    let made = issue::issue(
        issue::Order {
            authority: Some(&ca.authority),
            chain,
            leaf,
            requested,
            extra: Vec::new(),
            common_name: order.common_name.clone(),
            csr: order.csr.as_ref(),
            kept: Some((&ca.archive, &ca.id)),
        },
        issue::Asker {
            issued_by: format!("venafi {folder}"),
            request_id: format!("{{{guid}}}"),
            user_agent: short_header(&call.head.headers, http::header::USER_AGENT),
            idempotency_key: None,
            faults: call.certificates(),
            ledger: &epoch.ledger,
            now: *now,
        },
    )?;
    let Made { certificate, issuance, .. } = made;
    let chain = match (issuance.send_chain, issuance.send_issuing_ca) {
        (true, _) => issuance.chain,
        (false, true) => issuance.issuing_ca.into_iter().collect(),
        (false, false) => Vec::new(),
    };
    let thumbprint = encoding::thumbprint(&certificate);
    Ok(Version { certificate, thumbprint, chain, key: order.key.clone(), issued: *now })
}

/// The kind of a key made here.
pub(crate) fn key_type(algorithm: KeyAlgorithm) -> Option<KeyType> {
    Some(match algorithm {
        KeyAlgorithm::EcdsaP256 => KeyType::EcP256,
        KeyAlgorithm::EcdsaP384 => KeyType::EcP384,
        KeyAlgorithm::EcdsaP521 => KeyType::EcP521,
        KeyAlgorithm::Rsa2048 => KeyType::Rsa { bits: 2048 },
        KeyAlgorithm::Rsa3072 => KeyType::Rsa { bits: 3072 },
        KeyAlgorithm::Rsa4096 => KeyType::Rsa { bits: 4096 },
        KeyAlgorithm::Ed25519 => return None,
    })
}

/// A subject in the form searches show: `CN=a, O=b`.
pub(crate) fn shown_name(name: &DistinguishedName) -> String {
    let parts = name.attributes().map(|part| format!("{}={}", part.name(), part.value));
    parts.collect::<Vec<_>>().join(", ")
}
