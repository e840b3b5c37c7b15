//! The face of Venafi's Trust Protection Platform, today `CyberArk` Certificate Manager, Self-Hosted.
//!
//! ```text
//! bytes ──> path, whatever its case ──> /vedauth? ──> token or API key, scope ──> route ──> Answer
//!                                                        Request ──> policy ──> Order ──> certificate object
//! ```
//!
//! A request for a certificate makes an object in a tree, and the certificate is fetched from there: `enrollment` says
//! how the one leads to the other.

mod answer;
mod auth;
mod check;
mod config;
mod dn;
mod encoding;
mod enrollment;
mod fields;
mod identity;
mod issuing;
mod metadata;
mod policy;
mod request;
mod retrieve;
mod revoke;
mod scope;
mod search;
mod session;
mod tree;

use std::sync::Mutex;

use http::{Method, StatusCode, request::Parts};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    ca::{Ca, Cas},
    face::{Answered, Call, Face},
    store::Epoch,
};
use answer::{Answer, Refusal};
use auth::Caller;
use dn::Dn;
use fields::Fields;
use issuing::Context;
use session::Sessions;
use tree::{Attribute, Attributes, Kind, Tree};

/// A release from before 25.1, in which keys came to be named by object identifiers. Those are taken all the same.
const VERSION: &str = "24.1.2.2183";

/// The `WebSDK` and the authorization server.
pub(crate) const FACE: Face = Face {
    name: "venafi",
    port: 8444,
    needs_tls: true,
    // IIS's own limit, about: 30,000,000 bytes.
    max_body: 1024 * 1024,
    answer: |epoch, call| answered(answer(epoch, call).unwrap_or_else(|Refusal(answer)| answer)),
    too_large: || answered(Answer { status: StatusCode::PAYLOAD_TOO_LARGE, ..Answer::nothing() }),
    error: |_, text| ("application/json; charset=utf-8", json!({ "Error": text }).to_string()),
    computes: |head| {
        let path = head.uri.path().to_ascii_lowercase();
        ["/request", "/renew", "/retrieve", "/reset"]
            .iter()
            .any(|end| path.trim_end_matches('/').ends_with(end))
    },
    common_name: |_, body| request::common_name(body),
    state: None,
};

/// Everything this face remembers. Without `Debug`: most of it is secret.
pub(crate) struct State {
    sessions: Sessions,
    tree: Mutex<Tree>,
    ca: Ca,
}

/// Where the certificate authority is in the tree.
const AUTHORITY: &str = "\\VED\\Policy\\CAs\\Mock PKI";

/// An attribute of a folder there is at start: name, values, whether it is locked.
type Given = (&'static str, &'static [&'static str], bool);

impl State {
    /// `\VED\Policy\Certificates`, which allows everything, and `\VED\Policy\Restricted`, which does not.
    pub(crate) fn new(cas: &Cas, now: Timestamp) -> Self {
        let mut tree = Tree::default();
        let attribute = |values: &[&str], locked| Attribute {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            locked,
        };
        let open: &[Given] = &[(policy::CERTIFICATE_AUTHORITY, &[AUTHORITY], false)];
        let restricted: &[Given] = &[
            (policy::CERTIFICATE_AUTHORITY, &[AUTHORITY], true),
            ("Domain Suffix Whitelist", &["example.com"], true),
            ("Key Algorithm", &["RSA"], true),
            ("Key Bit Strength", &["2048"], true),
            ("Organization", &["Example Inc"], true),
            ("Organizational Unit", &["Engineering"], true),
            ("Prohibit Wildcard", &["1"], true),
            ("Prohibited SAN Types", &["IP", "Email", "URI", "UPN"], true),
        ];
        let folders: [(&str, &[Given]); 4] = [
            ("\\VED\\Policy", &[]),
            ("\\VED\\Policy\\CAs", &[]),
            ("\\VED\\Policy\\Certificates", open),
            ("\\VED\\Policy\\Restricted", restricted),
        ];
        for (dn, attributes) in folders {
            let attributes: Attributes = attributes
                .iter()
                .map(|(name, values, locked)| ((*name).to_owned(), attribute(values, *locked)))
                .collect();
            if let Some(dn) = Dn::parse(dn) {
                tree.add(dn, Kind::Folder(attributes), now);
            }
        }
        if let Some(dn) = Dn::parse(AUTHORITY) {
            tree.add(dn, Kind::Ca, now);
        }
        Self { sessions: Sessions::default(), tree: Mutex::new(tree), ca: cas.issuing.clone() }
    }
}

fn answered(answer: Answer) -> Answered {
    Answered { response: answer.render(), request_id: None }
}

/// What a route needs of its caller.
enum Needs {
    /// A scope, such as `certificate:manage`.
    Scope(&'static str),
    /// Any valid token or key.
    Login,
}

/// What is done to certificates by POST; no certificate's GUID.
const OPERATIONS: [&str; 6] = ["checkpolicy", "renew", "request", "reset", "retrieve", "revoke"];

/// What the paths of the `WebSDK` need, by method. Nothing for a path that is not there.
fn route(method: &Method, path: &[&str]) -> Option<Needs> {
    match *method {
        Method::GET | Method::HEAD => match path {
            ["certificates", guid] if OPERATIONS.contains(guid) => None,
            ["certificates"] | ["certificates", _] => Some(Needs::Scope("certificate")),
            ["metadata", "items"] | ["identity", "self"] | ["systemstatus", "version"] => Some(Needs::Login),
            _ => None,
        },
        Method::PUT => match path {
            ["certificates", guid] if OPERATIONS.contains(guid) => None,
            ["certificates", _] => Some(Needs::Scope("certificate:manage")),
            _ => None,
        },
        Method::POST => match path {
            ["certificates", "revoke"] => Some(Needs::Scope("certificate:revoke")),
            ["certificates", operation] if OPERATIONS.contains(operation) => {
                Some(Needs::Scope("certificate:manage"))
            }
            ["config", "create" | "writepolicy" | "clearpolicyattribute"] => {
                Some(Needs::Scope("configuration:manage"))
            }
            [
                "config",
                "dntoguid" | "guidtodn" | "isvalid" | "readdn" | "readpolicy" | "findpolicy"
                | "findobjectsofclass",
            ]
            | ["metadata", "get" | "getitems" | "set"]
            | ["identity", "browse" | "validate"]
            | ["log"] => Some(Needs::Login),
            _ => None,
        },
        _ => None,
    }
}

fn answer(epoch: &Epoch, call: &Call) -> Result<Answer, Refusal> {
    let (state, now) = (&epoch.venafi, epoch.now());
    let Parts { method, uri, headers, .. } = call.head.as_ref();
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().to_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_post = method == Method::POST;
    let is_get = method == Method::GET || method == Method::HEAD;
    let caller = || Caller::of(state, headers, now);
    let (first, rest) = segments.split_first().ok_or_else(Refusal::absent)?;
    match (*first, rest) {
        ("vedauth", rest) => match rest {
            ["authorize", "isauthserver"] if is_get => {
                return Ok(Answer::with(StatusCode::ACCEPTED, "Venafi Authentication Server", None));
            }
            ["authorize", "oauth"] if is_post => {
                return auth::password(state, &Fields::read(&call.body)?, now);
            }
            ["authorize", "certificate"] if is_post => {
                return auth::certificate(state, call, &Fields::read(&call.body)?, now);
            }
            ["authorize", "token"] if is_post => {
                return auth::refresh(state, &Fields::read(&call.body)?, now);
            }
            ["authorize", "verify"] if is_get => return auth::verify(&caller()?, now),
            ["revoke", "token"] if is_get => return auth::revoke(state, &caller()?),
            ["authorize", "oauth" | "certificate" | "token" | "verify" | "isauthserver"]
            | ["revoke", "token"] => return Err(Refusal::wrong_method()),
            _ => return Err(Refusal::absent()),
        },
        ("vedsdk", []) if is_get => return Ok(Answer::nothing()),
        ("vedsdk", ["authorize"]) if is_post => return auth::api_key(state, &Fields::read(&call.body)?, now),
        ("vedsdk", ["authorize", "checkvalid"]) if is_get => return auth::check_valid(state, headers, now),
        ("vedsdk", _) => {}
        _ => return Err(Refusal::absent()),
    }
    let needs = route(method, rest).ok_or_else(|| {
        let other = [Method::GET, Method::POST, Method::PUT];
        let elsewhere = other.iter().any(|method| route(method, rest).is_some());
        if elsewhere { Refusal::wrong_method() } else { Refusal::absent() }
    })?;
    let caller = caller()?;
    if let Needs::Scope(needed) = needs {
        caller.may(needed)?;
    }
    let fields = if is_get { Fields::default() } else { Fields::read(&call.body)? };
    let context = Context::new(epoch, call, &caller, &fields, now)?;
    match rest {
        ["certificates"] => search::search(state, uri.query().unwrap_or_default(), method == Method::HEAD),
        ["certificates", "checkpolicy"] => check::check_policy(state, &fields),
        ["certificates", "request"] => request::request(&context, &fields),
        ["certificates", "renew"] => request::renew(&context, &fields),
        ["certificates", "retrieve"] => retrieve::retrieve(&context, &fields),
        ["certificates", "reset"] => revoke::reset(&context, &fields),
        ["certificates", "revoke"] => revoke::revoke(&context, &fields),
        ["certificates", guid] if is_get => search::details(state, guid),
        ["certificates", guid] => search::update(state, guid, &fields),
        ["config", "create"] => config::create(state, &fields, now),
        ["config", "writepolicy"] => config::write_policy(state, &fields),
        ["config", "clearpolicyattribute"] => config::clear_policy_attribute(state, &fields),
        ["config", "dntoguid"] => config::dn_to_guid(state, &fields),
        ["config", "guidtodn"] => config::guid_to_dn(state, &fields),
        ["config", "isvalid"] => config::is_valid(state, &fields),
        ["config", "readdn"] => config::read_dn(state, &fields),
        ["config", "readpolicy"] => config::read_policy(state, &fields),
        ["config", "findpolicy"] => config::find_policy(state, &fields),
        ["config", "findobjectsofclass"] => config::find_objects_of_class(state, &fields),
        ["metadata", "items" | "getitems"] => Ok(metadata::items()),
        ["metadata", "get"] => metadata::get(state, &fields),
        ["metadata", "set"] => metadata::set(state, &fields),
        ["identity", "self"] => Ok(identity::own(caller.user)),
        ["identity", "browse"] => identity::browse(&fields),
        ["identity", "validate"] => identity::validate(&fields),
        ["systemstatus", "version"] => Ok(Answer::ok(json!({ "Version": VERSION }))),
        ["log"] => Ok(Answer::ok(json!({ "LogResult": 0 }))),
        _ => Err(Refusal::absent()),
    }
}
