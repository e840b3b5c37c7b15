//! The face of a PKI that a company made itself: JSON at `/sign`, forms, and a CGI of old at `/cgi/pki.cgi`.
//!
//! ```text
//! body ──> Parameters ──> Wanted (subject, names, key, days) ──> certificate ──> JSON, PEM or Base64
//! ```
//!
//! JSON, forms with `&` and bodies with `;` say the same things at all signing paths. What differs is the answer: `/sign`
//! speaks JSON and says what is wrong in JSON, the CGI speaks PEM and plain text, and remembers by common name.

mod parameters;
mod sign;
mod subject;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    ca::{Ca, Cas},
    face::{Answered, Call, Face},
    store::Epoch,
    sync::lock,
};
use parameters::Parameters;
use sign::{Format, Signed, Wanted};

/// As much as a request with many names needs, and some.
const MAX_BODY: usize = 1024 * 1024;

/// The most certificates the CGI remembers.
const MAX_REMEMBERED: usize = 10_000;

/// The made-up PKI.
pub(crate) const FACE: Face = Face {
    name: "custom",
    port: 8085,
    needs_tls: false,
    max_body: MAX_BODY,
    answer: |epoch, call| Answered { response: answer(epoch, call), request_id: None },
    too_large: || {
        let problem =
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "READ_ERROR", "The request body is too large");
        Answered { response: problem.json(), request_id: None }
    },
    error: |status, text| (JSON, json!({ "error": text, "code": status.as_str() }).to_string()),
    computes: |head| is_signing(head.uri.path()) || head.uri.path() == CGI,
    common_name: |head, body| {
        let asked = Parameters::read(head.uri.query(), body).ok()?;
        Wanted::read(&asked).ok()?.common_name
    },
    state: None,
};

const JSON: &str = "application/json";
const PEM: &str = "application/x-pem-file";
const CGI: &str = "/cgi/pki.cgi";

fn is_signing(path: &str) -> bool {
    matches!(path, "/sign" | "/api/v1/sign" | "/api/v1/certificate/sign")
}

/// Everything this face remembers. Without `Debug`: keys are in it.
pub(crate) struct State {
    ca: Ca,
    started: Timestamp,
    /// How many were signed.
    signed: AtomicU64,
    /// What the CGI issued, by common name.
    issued: Mutex<BTreeMap<String, Signed>>,
}

impl State {
    pub(crate) fn new(cas: &Cas, now: Timestamp) -> Self {
        Self { ca: cas.issuing.clone(), started: now, signed: AtomicU64::new(0), issued: Mutex::default() }
    }

    /// PEM of the root.
    fn root(&self) -> String {
        self.ca.authority.chain().last().map(x509::Certificate::to_pem).unwrap_or_default()
    }

    fn remember(&self, common_name: &str, signed: Signed) {
        let mut issued = lock(&self.issued);
        if issued.len() >= MAX_REMEMBERED && !issued.contains_key(common_name) {
            issued.pop_first();
        }
        issued.insert(common_name.to_owned(), signed);
    }
}

/// What stands in the way of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    error: String,
    details: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self { status, code, error: error.into(), details: None }
    }

    fn bad(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }

    fn because(self, details: &impl ToString) -> Self {
        Self { details: Some(details.to_string()), ..self }
    }

    fn json(&self) -> Response<Bytes> {
        let mut body = json!({ "error": self.error, "code": self.code });
        if let (Value::Object(map), Some(details)) = (&mut body, &self.details) {
            map.insert("details".to_owned(), json!(details));
        }
        response(self.status, JSON, format!("{body}\n"))
    }

    fn text(&self) -> Response<Bytes> {
        response(self.status, "text/plain; charset=utf-8", format!("{}\n", self.error))
    }
}

impl From<ca::CaError> for Problem {
    fn from(error: ca::CaError) -> Self {
        let failed = "Failed to create certificate";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "SIGNING_ERROR", failed).because(&error)
    }
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn answer(epoch: &Epoch, call: &Call) -> Response<Bytes> {
    let Parts { method, uri, .. } = call.head.as_ref();
    let path = uri.path();
    if is_signing(path) {
        return sign_json(epoch, call).unwrap_or_else(|problem| problem.json());
    }
    if path == CGI {
        return cgi(epoch, call).unwrap_or_else(|problem| problem.text());
    }
    let is_get = method == Method::GET || method == Method::HEAD;
    match path {
        "/ca" if is_get => response(StatusCode::OK, PEM, epoch.custom.root()),
        "/health" | "/healthz" | "/readyz" if is_get => health(epoch),
        "/ca" | "/health" | "/healthz" | "/readyz" => {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Only GET method is supported")
                .json()
        }
        _ => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "404 page not found").text(),
    }
}

fn health(epoch: &Epoch) -> Response<Bytes> {
    let state = &epoch.custom;
    let issuer = state.ca.authority.chain().first();
    let body = json!({
        "status": "healthy",
        "version": env!("CARGO_PKG_VERSION"),
        "ca_subject": issuer.map(|issuer| issuer.subject().to_string()),
        "ca_expires": issuer.map(|issuer| issuer.not_after().to_string()),
        "certificates_signed": state.signed.load(Ordering::Relaxed),
        "uptime": format!("{}s", epoch.now().duration_since(state.started).as_secs()),
    });
    response(StatusCode::OK, JSON, format!("{body}\n"))
}

/// The parameters of a POST, or of a GET that has any.
fn parameters(call: &Call) -> Result<Parameters, Problem> {
    let Parts { method, uri, .. } = call.head.as_ref();
    let query = uri.query().filter(|query| !query.is_empty());
    if method != Method::POST && (method != Method::GET || query.is_none()) {
        let text = "Only POST method is supported";
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", text));
    }
    Parameters::read(query, &call.body)
}

/// `/sign`: needs a CSR, answers with JSON unless `format` says otherwise.
fn sign_json(epoch: &Epoch, call: &Call) -> Result<Response<Bytes>, Problem> {
    let asked = parameters(call)?;
    if asked.get("csr").is_none() {
        return Err(Problem::bad("MISSING_CSR", "No CSR provided in request"));
    }
    let format = Format::read(asked.get("format"), Format::Json)?;
    Ok(sign::sign(epoch, call, Wanted::read(&asked)?)?.send(format))
}

/// `/cgi/pki.cgi`: `new=1` gives what is there already, `renew=1` makes it anew; `getCERT`, `getKEY` and `getCSR` give
/// one part of what is there.
fn cgi(epoch: &Epoch, call: &Call) -> Result<Response<Bytes>, Problem> {
    let asked = parameters(call)?;
    let state = &epoch.custom;
    let wanted = Wanted::read(&asked)?;
    if asked.get("subject").is_none() && !wanted.has_csr() {
        return Err(Problem::bad("MISSING_SUBJECT", "subject parameter is required"));
    }
    let name = wanted.common_name.clone();
    let name = name.ok_or_else(|| Problem::bad("MISSING_CN", "subject must contain CN"))?;
    let absent = |what: &str| Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("{what} not found"));
    for (parameter, what) in [("getCERT", "Certificate"), ("getKEY", "Key"), ("getCSR", "CSR")] {
        if asked.has(parameter) {
            let part = lock(&state.issued).get(&name).and_then(|signed| match what {
                "Certificate" => Some(signed.certificate.to_pem()),
                "Key" => signed.key_pem(),
                _ => signed.csr_pem(),
            });
            return Ok(response(StatusCode::OK, PEM, part.ok_or_else(|| absent(what))?));
        }
    }
    let (is_new, is_renewal) = (asked.get("new") == Some("1"), asked.get("renew") == Some("1"));
    let format = Format::read(asked.get("format"), Format::Pem)?;
    if is_new && !is_renewal {
        let issued = lock(&state.issued);
        let kept = issued.get(&name).filter(|kept| {
            kept.certificate.not_after() > epoch.now()
                && wanted.key_is_that_of(&kept.certificate)
                && state.ca.archive.find(kept.certificate.serial()).is_none_or(|kept| kept.revoked.is_none())
        });
        if let Some(kept) = kept {
            return Ok(kept.send(format));
        }
    }
    let signed = sign::sign(epoch, call, wanted)?;
    let answer = signed.send(format);
    state.remember(&name, signed);
    Ok(answer)
}
