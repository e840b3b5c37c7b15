//! The face of EJBCA: its REST interface, and beside it the token endpoint of an identity provider.
//!
//! ```text
//! bytes ──> Request (resource, method, types, JSON) ──> who asks ──> handler ──> Answer | Refusal
//! ```
//!
//! The order is the product's, because it decides which of two mistakes a client hears about: JSON that cannot be read is
//! refused before a missing certificate, and that before a profile that does not exist.

mod answer;
mod auth;
mod authorities;
mod certificate;
mod dates;
mod end_entities;
mod end_entity_routes;
mod enrol;
mod fields;
mod finalize;
mod names;
mod oauth;
mod profiles;
mod records;
mod request;
mod revoke;
mod search;
mod shape;

use aws_lc_rs::hmac;
use http::{StatusCode, request::Parts};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    ca::Cas,
    face::{Answered, Call, Face},
    store::Epoch,
};
use answer::{Answer, Refusal};
use authorities::Shown;
use end_entities::EndEntities;
use finalize::Held;
use records::Records;
use request::{Request, Resource};

pub use auth::ClientCertificate;
pub use oauth::{CLIENT_ID, TOKEN_PATH};

/// EJBCA's REST interface.
pub(crate) const FACE: Face = Face {
    name: "ejbca",
    port: 8443,
    needs_tls: true,
    // The application server's `max-post-size`.
    max_body: 1024 * 1024,
    answer: handle,
    too_large: || {
        let message = "UT000020: Connection terminated as request was larger than 10485760";
        answered(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, message))
    },
    error: |status, text| {
        let body = Answer::error(status, text).body;
        ("application/json", String::from_utf8_lossy(&body).into_owned())
    },
    computes: |head| !head.uri.path().ends_with("/status"),
    common_name: |head, body| may_enrol(head).then(|| enrol::common_name(body)).flatten(),
    state: None,
};

/// The version this is like.
const REVISION: &str = "EJBCA 9.3.7 Community";

/// Everything this face remembers. Without `Debug`: passwords and the client's secret are in it.
pub(crate) struct State {
    cas: Vec<Shown>,
    records: Records,
    end_entities: EndEntities,
    held: Held,
    secret: String,
    oauth_key: hmac::Key,
}

/// A request, and what it is about.
struct Context<'a> {
    epoch: &'a Epoch,
    state: &'a State,
    call: &'a Call,
    request: &'a Request,
    now: Timestamp,
}

#[derive(Serialize)]
struct Told {
    status: &'static str,
    version: &'static str,
    revision: &'static str,
}

impl State {
    /// A server as its installation leaves it, over the shared CAs; `secret` is that of OAuth clients.
    pub(crate) fn new(cas: &Cas, secret: &str) -> Self {
        Self {
            cas: Shown::all(cas),
            records: Records::default(),
            end_entities: EndEntities::default(),
            held: Held::default(),
            secret: secret.to_owned(),
            oauth_key: oauth::key(secret),
        }
    }

    fn ca_named(&self, name: &str) -> Option<&Shown> {
        self.cas.iter().find(|ca| ca.name == name)
    }

    fn ca_with_dn(&self, dn: &str) -> Option<&Shown> {
        let normal = authorities::normal(dn);
        self.cas.iter().find(|ca| ca.dn == normal)
    }
}

fn may_enrol(head: &Parts) -> bool {
    head.uri.path().ends_with("/pkcs10enroll") || head.uri.path().ends_with("/certificaterequest")
}

fn handle(epoch: &Epoch, call: &Call) -> Answered {
    let (state, now) = (&epoch.ejbca, epoch.now());
    if call.head.uri.path() == TOKEN_PATH {
        return answered(oauth::token(&state.secret, &call.head, &call.body, now));
    }
    let request = match Request::read(&call.head, &call.body) {
        Ok(request) => request,
        Err(answer) => return answered(answer),
    };
    match route(&Context { epoch, state, call, request: &request, now }) {
        Ok(answer) => answered(answer),
        Err(refusal) => {
            let request_id = if let Refusal::Waiting(waiting) = &refusal {
                Some(waiting.request_id.to_string())
            } else {
                None
            };
            Answered { request_id, ..answered(refusal.into()) }
        }
    }
}

fn answered(answer: Answer) -> Answered {
    Answered { response: answer.into_response(), request_id: None }
}

fn route(context: &Context<'_>) -> Result<Answer, Refusal> {
    if let Resource::Status(version) = context.request.resource {
        let told = Told { status: "OK", version, revision: REVISION };
        return Ok(Answer::json(StatusCode::OK, &told));
    }
    auth::authenticate(context)?;
    match &context.request.resource {
        Resource::Status(_) => Err(Refusal::general()),
        Resource::Enrol => enrol::enrol(context),
        Resource::CertificateRequest => enrol::certificate_request(context),
        Resource::Finalize(id) => finalize::finalize(context, id),
        Resource::Search => search::search(context),
        Resource::SearchV2 => search::search_v2(context),
        Resource::Expire => search::expiring(context),
        Resource::Revoke { issuer_dn, serial_number } => revoke::revoke(context, issuer_dn, serial_number),
        Resource::RevocationStatus { issuer_dn, serial_number } => {
            revoke::status(context, issuer_dn, serial_number)
        }
        Resource::ListCas => Ok(authorities::list(context)),
        Resource::DownloadCa(dn) => authorities::download(context, dn),
        Resource::LatestCrl(dn) => authorities::latest_crl(context, dn),
        Resource::CreateCrl(dn) => authorities::create_crl(context, dn),
        Resource::AddEndEntity => end_entity_routes::add(context),
        Resource::SearchEndEntities => end_entity_routes::search(context),
        Resource::DeleteEndEntity(name) => end_entity_routes::delete(context, name),
        Resource::RevokeEndEntity(name) => end_entity_routes::revoke(context, name),
        Resource::SetEndEntityStatus(name) => end_entity_routes::set_status(context, name),
    }
}
