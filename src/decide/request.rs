//! What to do about a `CertificateRequest`: a staircase of early returns, each step with its effect.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use x509::{Csr, Usages};

use super::earlier::{Precaution, precaution, since};
use super::patch::{Keep, Notice, StatusPatch, handle_on, reason, retrying_since};
use super::retry::LONGEST_WAIT;
use super::snapshot::{IssuerView, RequestSnapshot, Terms};
use crate::api::certificate_request::{APPROVED, DEFAULT_DURATION, DENIED, READY};
use crate::api::conditions::{Condition, ConditionStatus};
use crate::api::{CertificateRequest, GoDuration, IssuerKey};
use crate::signer::outcome::Handle;
use crate::signer::{Order, RequestIdentity};

/// How long a request may wait under our eyes for its approval before an event tells what to do. cert-manager's approver
/// answers within milliseconds.
const APPROVAL_GRACE: SignedDuration = SignedDuration::from_secs(20);

/// What to do next.
#[derive(Clone, Debug)]
pub enum Action {
    /// Nothing, now and later.
    Ignore(Ignored),
    /// Nothing now: a watch or the clock wakes the request.
    Wait {
        /// Look again then, if the watch is silent; `None` leaves it to the watch.
        until: Option<Timestamp>,
        /// Tell people that nobody approved it.
        notice: Option<Notice>,
    },
    /// Write this status.
    Write {
        /// The status.
        patch: StatusPatch,
        /// The event that goes with it.
        notice: Notice,
    },
    /// Call the PKI.
    Sign(Box<Step>),
}

/// Why a request is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Another issuer's.
    NotOurs,
    /// It is being deleted.
    Deleting,
    /// It has its certificate, or has failed, or was denied.
    Finished,
}

/// A call to the PKI.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is asked for.
    pub order: Order,
    /// Poll with this, or submit.
    pub handle: Option<Handle>,
    /// What to do before.
    pub precaution: Precaution,
    /// No certificate for this request begins before.
    pub since: Timestamp,
    /// What the issuer granted when the call was decided.
    pub terms: Terms,
}

/// Decides about a request.
#[must_use]
pub fn decide(snapshot: &RequestSnapshot<'_>) -> Action {
    let request = snapshot.request;
    let issuer = match standing(snapshot) {
        Ok(issuer) => issuer,
        Err(action) => return action,
    };
    if !Condition::is_true(request.conditions(), APPROVED) {
        return await_approval(snapshot, &issuer);
    }
    if matches!(snapshot.issuer, IssuerView::Unchecked) {
        // The end of the check wakes the request. To write Pending before it would be two writes for one, on
        // every waiting request, whenever a new leader takes over.
        return Action::Wait { until: None, notice: None };
    }
    let terms = match issuer_ready(&snapshot.issuer, &issuer) {
        Ok(terms) => terms,
        Err(message) => return pending(snapshot, &message),
    };
    if let Some(until) = not_before(snapshot, terms) {
        return Action::Wait { until: Some(until), notice: None };
    }
    let order = match order(request) {
        Ok(order) => order,
        Err(problem) => return invalid(snapshot, &problem),
    };
    let handle = handle_on(request);
    let precaution = precaution(snapshot, terms, handle.is_some());
    Action::Sign(Box::new(Step {
        order,
        handle,
        precaution,
        since: since(snapshot, terms),
        terms: terms.clone(),
    }))
}

/// The steps that hold before and after a call to the PKI alike: whose it is, and whether it is finished.
#[expect(clippy::result_large_err, reason = "an early return of the staircase, once for each decision")]
pub(super) fn standing(snapshot: &RequestSnapshot<'_>) -> Result<IssuerKey, Action> {
    let request = snapshot.request;
    let Some(issuer) = snapshot.issuer_key() else {
        return Err(Action::Ignore(Ignored::NotOurs));
    };
    if request.metadata.deletion_timestamp.is_some() {
        return Err(Action::Ignore(Ignored::Deleting));
    }
    if is_finished(request) {
        return Err(Action::Ignore(Ignored::Finished));
    }
    if Condition::is_true(request.conditions(), DENIED) {
        let patch = StatusPatch::denied(request, snapshot.now);
        let message = "an approval controller denied the request; it will not be signed".to_owned();
        return Err(Action::Write { patch, notice: Notice::new(true, reason::DENIED, &message) });
    }
    Ok(issuer)
}

/// Whether nothing can happen to the request any more (cert-manager
/// `pkg/controller/certificaterequests/sync.go`): it has a certificate, or a terminal `Ready`.
#[must_use]
pub fn is_finished(request: &CertificateRequest) -> bool {
    let has_certificate =
        request.status.as_ref().and_then(|s| s.certificate.as_ref()).is_some_and(|bytes| !bytes.0.is_empty());
    let terminal = request.condition(READY).is_some_and(|ready| {
        ready.status == ConditionStatus::True
            || matches!(ready.reason.as_deref(), Some(reason::FAILED | reason::DENIED | reason::ISSUED))
    });
    has_certificate || terminal
}

fn await_approval(snapshot: &RequestSnapshot<'_>, issuer: &IssuerKey) -> Action {
    if snapshot.memory.approval_reported {
        return Action::Wait { until: None, notice: None };
    }
    // By our own clock alone: the API server's may be behind it.
    let seen = snapshot.memory.first_seen.unwrap_or(snapshot.now);
    let report_at = seen.saturating_add(APPROVAL_GRACE).unwrap_or(snapshot.now);
    if report_at > snapshot.now {
        return Action::Wait { until: Some(report_at), notice: None };
    }
    Action::Wait {
        until: None,
        notice: Some(Notice {
            warning: false,
            reason: "WaitingForApproval",
            message: format!(
                "Not signing CertificateRequest until it is Approved. If nobody approves it: run `cmctl approve`, \
                 or let cert-manager approve requests for {} with a ClusterRole that grants verb approve on \
                 signers.cert-manager.io with resourceName {}, bound to cert-manager's ServiceAccount",
                issuer.kind.as_str(),
                signer_name(issuer),
            ),
        }),
    }
}

/// The name cert-manager checks for permission to approve (`certificaterequest_approval.go`).
fn signer_name(issuer: &IssuerKey) -> String {
    let plural = format!("{}s.{}", issuer.kind.as_str().to_ascii_lowercase(), crate::api::GROUP);
    match &issuer.namespace {
        Some(namespace) => format!("{plural}/{namespace}.{}", issuer.name),
        None => format!("{plural}/{}", issuer.name),
    }
}

/// Until when the PKI is left alone. A pause that is still to begin, or that ends further off than any wait, was
/// planned by a clock that was ahead, and does not hold.
fn not_before(snapshot: &RequestSnapshot<'_>, terms: &Terms) -> Option<Timestamp> {
    let furthest = super::retry::after(snapshot.now, LONGEST_WAIT.max(terms.patience.poll_interval));
    let pause = snapshot.memory.pause.filter(|pause| pause.since <= snapshot.now)?;
    Some(pause.until).filter(|until| *until > snapshot.now && *until <= furthest)
}

/// Promise 6: Ready, at the generation that is there now.
fn issuer_ready<'a>(view: &'a IssuerView, issuer: &IssuerKey) -> Result<&'a Terms, String> {
    match view {
        IssuerView::Missing => Err(format!("{issuer} does not exist; waiting for it to be created")),
        IssuerView::Unchecked => Err(format!("{issuer} is being checked")),
        IssuerView::NotReady { message } => Err(format!("{issuer} is not ready: {message}")),
        IssuerView::Ready { generation, checked_generation, .. } if generation != checked_generation => {
            Err(format!("{issuer} is not ready: its new settings are being checked"))
        }
        IssuerView::Ready { terms, .. } => Ok(terms),
    }
}

fn pending(snapshot: &RequestSnapshot<'_>, message: &str) -> Action {
    // While the issuer is not ready nothing is tried and nothing can fail. But retries that had begun go on
    // afterwards: an issuer that comes and goes does not give them for ever.
    let keep = Keep::what_is_on(snapshot.request);
    let patch = StatusPatch::pending(snapshot.request, snapshot.now, message, &keep);
    if patch.is_already_in(snapshot.request) {
        return Action::Wait { until: None, notice: None };
    }
    Action::Write { patch, notice: Notice::new(false, reason::PENDING, message) }
}

fn invalid(snapshot: &RequestSnapshot<'_>, problem: &str) -> Action {
    let message = format!("the request can never be signed: {problem}");
    let patch = StatusPatch::failed(snapshot.request, snapshot.now, &message, true);
    Action::Write { patch, notice: Notice::new(true, reason::FAILED, &message) }
}

/// Reads what is asked for. The error says what is wrong with it, in bounded length.
pub(super) fn order(request: &CertificateRequest) -> Result<Order, String> {
    let spec = &request.spec;
    let csr = Csr::from_pem(&spec.request.0).map_err(|error| format!("spec.request: {error}"))?;
    csr.verify().map_err(|error| format!("spec.request: {error}"))?;
    // Names that cannot be read are the requester's fault, and no certificate could ever be judged by them.
    csr.subject_alt_names().map_err(|error| format!("spec.request: {error}"))?;
    let duration = match &spec.duration {
        None => DEFAULT_DURATION,
        Some(text) => text.parse::<GoDuration>().map_err(|error| format!("spec.duration: {error}"))?,
    };
    if duration.0 < Duration::from_secs(1) {
        return Err(format!("spec.duration: {duration} is no lifetime for a certificate"));
    }
    let mut usages = if spec.usages.is_empty() {
        Usages::default_for_leaf()
    } else {
        Usages::from_cert_manager(&spec.usages).map_err(|error| format!("spec.usages: {error}"))?
    };
    if spec.is_ca {
        usages = usages.with(x509::usage::KeyUsage::CertSign);
    }
    let metadata = &request.metadata;
    Ok(Order {
        csr,
        duration: duration.0,
        usages,
        is_ca: spec.is_ca,
        request: RequestIdentity {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        },
    })
}

/// When retries must end: `max_retry` after the first one, or after `now` if this is the first.
pub(super) fn retry_deadline(snapshot: &RequestSnapshot<'_>, max_retry: Duration) -> Timestamp {
    let since =
        retrying_since(snapshot.request).unwrap_or_else(|| crate::api::conditions::truncated(snapshot.now));
    super::retry::after(since, max_retry)
}
