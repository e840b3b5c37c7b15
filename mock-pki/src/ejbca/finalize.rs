//! Enrolments that wait for approval: held, and fetched once somebody approved them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    approval::Decision,
    ejbca::{
        Context,
        answer::{Answer, Refusal, Waiting},
        certificate::{Format, certificate},
        enrol::{self, Enrolment},
        request::unfit,
    },
    sync::lock,
};

/// How long a request waits, as a new approval profile of EJBCA has it.
const EXPIRY: SignedDuration = SignedDuration::from_hours(8);

/// The most that are remembered; the oldest go first.
const MAX_HELD: usize = 100_000;

/// The names of forms that `finalize` knows.
const FORMATS: [&str; 6] = ["JKS", "P12", "PKCS12", "BCFKS", "PEM", "DER"];

/// All enrolments that had to be approved, by the approval's id.
#[derive(Default)]
pub(crate) struct Held(Mutex<BTreeMap<u64, Entry>>);

#[derive(Clone)]
struct Entry {
    enrolment: Arc<Enrolment>,
    asked_at: Timestamp,
    is_finalized: bool,
}

/// Keeps an enrolment until it is approved.
pub(crate) fn hold(context: &Context<'_>, enrolment: Enrolment, approved_after: Option<u64>) -> Refusal {
    let Context { epoch, state, now, .. } = *context;
    let id = epoch.approvals.hold("ejbca", enrolment.common_name.as_deref(), now, approved_after);
    let entry = Entry { enrolment: Arc::new(enrolment), asked_at: now, is_finalized: false };
    let mut held = lock(&state.held.0);
    if held.len() >= MAX_HELD {
        held.pop_first();
    }
    held.insert(id, entry);
    waiting(
        context,
        id,
        "Add Entity request has been added for approval by authorized administrators.".to_owned(),
    )
}

/// That a request waits. The link lacks the resource's path, as EJBCA's does.
fn waiting(context: &Context<'_>, request_id: u64, info_message: String) -> Refusal {
    let link = format!("{}/{request_id}/finalize", context.request.base);
    Refusal::Waiting(Waiting { status_code: 202, info_message, request_id, link })
}

/// `POST /v1/certificate/{request_id}/finalize`
pub(crate) fn finalize(context: &Context<'_>, id: &str) -> Result<Answer, Refusal> {
    // Ids are Java's int.
    let shown: i32 = id.parse().map_err(|_| unfit("PathParam", "request_id", id))?;
    let Context { epoch, state, now, .. } = *context;
    let fields = &context.request.fields;
    let (password, format) = (fields.full_text("password")?, fields.text("response_format")?);
    let id = u64::try_from(shown).unwrap_or_default();
    let entry = lock(&state.held.0).get(&id).cloned();
    let Some((entry, decision)) = entry.and_then(|entry| Some((entry, epoch.approvals.poll(id)?))) else {
        return Err(Refusal::bad(format!("Could not find request with Id '{shown}'")));
    };
    let format = format.filter(|format| FORMATS.contains(&format.as_str()));
    let format = format.ok_or_else(|| Refusal::bad("Invalid parameter: response_format"))?;
    match decision {
        Decision::Waiting if now.duration_since(entry.asked_at) >= EXPIRY => {
            return Err(Refusal::bad(format!("Request with Id '{id}' has expired")));
        }
        Decision::Waiting => {
            let message = format!("Request with Id '{id}' is still waiting for approval");
            return Err(waiting(context, id, message));
        }
        Decision::Rejected => {
            return Err(Refusal::bad(format!("Request with Id '{id}' has been rejected")));
        }
        Decision::Approved if entry.is_finalized => return Err(already(id)),
        Decision::Approved => {}
    }
    let format = match format.as_str() {
        "DER" => Format::Der,
        "PEM" => Format::Pem,
        _ => {
            return Err(Refusal::bad(
                "Invalid response format. Cannot create keystore for certificate request  with user generated keys",
            ));
        }
    };
    if entry.enrolment.password.is_some() && entry.enrolment.password != password {
        let username = &entry.enrolment.username;
        return Err(Refusal::denied(format!("Got request for user with invalid password: {username}.")));
    }
    if !state.held.take(id) {
        return Err(already(id));
    }
    match enrol::fulfil(context, &entry.enrolment, id.to_string()) {
        Ok(fulfilled) => Ok(certificate(&fulfilled.certificate, None, format)),
        Err(refusal) => {
            state.held.give_back(id);
            Err(refusal)
        }
    }
}

fn already(id: u64) -> Refusal {
    Refusal::bad(format!("Enrollment with Id '{id}' has already been finalized"))
}

impl Held {
    /// Marks one as finalized; tells whether it was not so before.
    fn take(&self, id: u64) -> bool {
        let mut held = lock(&self.0);
        held.get_mut(&id).is_some_and(|entry| !std::mem::replace(&mut entry.is_finalized, true))
    }

    fn give_back(&self, id: u64) {
        if let Some(entry) = lock(&self.0).get_mut(&id) {
            entry.is_finalized = false;
        }
    }
}
