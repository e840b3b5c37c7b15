//! The routes of the control port, in one table: the router, the OpenAPI document and the README's table come from it,
//! so that none of them knows a route that the others do not.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, patch, post, put},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::{
    admin::{
        MAX_STATE, approvals, clock, console, faults, journal, ledger, snapshots, state, status,
        wire::{
            ApprovalList, CertificateDetails, Count, Created, ExportOptions, FaultKinds, FaultList,
            IssuedCertificate, Journal, JournalFilter, Ledger, LedgerFilter, NearMisses, SnapshotInfo,
            SnapshotList, Version,
        },
    },
    clock::{ClockChange, ClockState},
    fault::Fault,
    near_miss::Expectation,
    store::World,
};

/// Makes the schema of a type.
pub(crate) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What is answered when all went well.
#[derive(Clone, Copy)]
pub(crate) enum Good {
    /// 200 with JSON.
    Json(Shape),
    /// 201 with JSON.
    Created(Shape),
    /// 200 with a text of this content type.
    Text(&'static str),
    /// 204.
    Nothing,
}

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// What it does, for people.
    pub(crate) about: &'static str,
    /// The parameters of the query, as an object.
    pub(crate) query: Option<Shape>,
    /// The body, JSON.
    pub(crate) body: Option<Shape>,
    pub(crate) good: Good,
    /// Statuses of failures.
    pub(crate) bad: &'static [u16],
    handler: fn() -> MethodRouter<Arc<World>>,
}

const fn shape<T: JsonSchema>() -> Shape {
    |generator| generator.subschema_for::<T>()
}

/// The schema of a document that says itself what it is.
fn document(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}

const fn route(
    method: &'static str,
    path: &'static str,
    about: &'static str,
    good: Good,
    handler: fn() -> MethodRouter<Arc<World>>,
) -> Route {
    Route { method, path, about, query: None, body: None, good, bad: &[], handler }
}

impl Route {
    const fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(shape::<T>()), bad: &[400], ..self }
    }

    const fn body(self, body: Shape) -> Self {
        Self { body: Some(body), bad: &[400], ..self }
    }

    const fn or(self, bad: &'static [u16]) -> Self {
        Self { bad, ..self }
    }
}

/// All of them, as the README has them.
pub(crate) const ALL: &[Route] = &[
    route(
        "GET",
        "/",
        "the console for a browser, this table for everybody else",
        Good::Text("text/plain; charset=utf-8"),
        || get(index),
    ),
    route("GET", "/healthz", "whether it lives", Good::Text("text/plain; charset=utf-8"), || {
        get(status::health)
    }),
    route("GET", "/version", "which version it is", Good::Json(shape::<Version>()), || get(status::version)),
    route(
        "GET",
        "/metrics",
        "what Prometheus reads",
        Good::Text("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        || get(status::metrics),
    ),
    route("GET", "/openapi.json", "this port as an OpenAPI document", Good::Json(document), || get(openapi)),
    route("GET", "/ca", "the root of all that is issued, PEM", Good::Text("application/x-pem-file"), || {
        get(status::root_ca)
    }),
    route(
        "GET",
        "/ledger",
        "issued certificates: serial, request id, names, hashes of key and CSR, times",
        Good::Json(shape::<Ledger>()),
        || get(ledger::list),
    )
    .query::<LedgerFilter>(),
    route(
        "GET",
        "/ledger/{serial}",
        "one of them, with its PEM; the serial number in hexadecimal, with or without colons",
        Good::Json(shape::<IssuedCertificate>()),
        || get(ledger::one),
    )
    .or(&[404]),
    route(
        "GET",
        "/ledger/{serial}/details",
        "the same, and what the certificate says, as a tree",
        Good::Json(shape::<CertificateDetails>()),
        || get(ledger::details),
    )
    .or(&[404]),
    route(
        "GET",
        "/journal",
        "requests, without bodies and secrets; the last 10,000 unless told otherwise",
        Good::Json(shape::<Journal>()),
        || get(journal::list),
    )
    .query::<JournalFilter>(),
    route("GET", "/journal/count", "how many there are that match", Good::Json(shape::<Count>()), || {
        get(journal::count)
    })
    .query::<JournalFilter>(),
    route(
        "POST",
        "/journal/near-misses",
        "the requests closest to an expected one, and in what they differ",
        Good::Json(shape::<NearMisses>()),
        || post(journal::near_misses),
    )
    .body(shape::<Expectation>()),
    route(
        "GET",
        "/faults",
        "the faults in force, and how often they applied",
        Good::Json(shape::<FaultList>()),
        || get(faults::list),
    ),
    route("POST", "/faults", "installs a fault", Good::Created(shape::<Created>()), || post(faults::install))
        .body(shape::<Fault>()),
    route("DELETE", "/faults", "removes all faults", Good::Nothing, || delete(faults::clear)),
    route("DELETE", "/faults/{id}", "removes one", Good::Nothing, || delete(faults::remove)).or(&[404]),
    route(
        "GET",
        "/faults/kinds",
        "all kinds, with their parameters",
        Good::Json(shape::<FaultKinds>()),
        || get(faults::kinds),
    ),
    route(
        "GET",
        "/approvals",
        "requests that had to be approved, with what was decided",
        Good::Json(shape::<ApprovalList>()),
        || get(approvals::list),
    ),
    route("POST", "/approvals/{id}/approve", "lets one be issued", Good::Nothing, || {
        post(approvals::approve)
    })
    .or(&[404, 409]),
    route("POST", "/approvals/{id}/reject", "refuses one", Good::Nothing, || post(approvals::reject))
        .or(&[404, 409]),
    route("GET", "/clock", "the time of all faces", Good::Json(shape::<ClockState>()), || get(clock::show)),
    route("PATCH", "/clock", "sets, advances, stops or starts it", Good::Json(shape::<ClockState>()), || {
        patch(clock::change)
    })
    .body(shape::<ClockChange>()),
    route(
        "DELETE",
        "/clock",
        "lets it follow the machine's again",
        Good::Json(shape::<ClockState>()),
        || delete(clock::release),
    ),
    route("POST", "/seal", "seals the Vault face", Good::Nothing, || post(status::seal)),
    route("POST", "/unseal", "unseals it", Good::Nothing, || post(status::unseal)),
    route(
        "GET",
        "/snapshots",
        "the snapshots that are kept in memory",
        Good::Json(shape::<SnapshotList>()),
        || get(snapshots::list),
    ),
    route(
        "PUT",
        "/snapshots/{name}",
        "takes one, in place of one of that name",
        Good::Json(shape::<SnapshotInfo>()),
        || put(snapshots::take),
    )
    .or(&[409]),
    route("POST", "/snapshots/{name}/restore", "brings that state back", Good::Nothing, || {
        post(snapshots::restore)
    })
    .or(&[404]),
    route("DELETE", "/snapshots/{name}", "forgets it", Good::Nothing, || delete(snapshots::forget))
        .or(&[404]),
    route(
        "GET",
        "/state",
        "everything as one JSON document; with `?secrets=true` keys, tokens and passwords too",
        Good::Json(document),
        || get(state::export),
    )
    .query::<ExportOptions>(),
    route("PUT", "/state", "makes everything what such a document says", Good::Nothing, || {
        put(state::import).layer(DefaultBodyLimit::max(MAX_STATE))
    })
    .body(document),
    route(
        "POST",
        "/reset",
        "back to how it started; CAs, root token and the faults of the start stay, snapshots too",
        Good::Nothing,
        || post(status::reset),
    ),
];

pub(crate) fn router() -> Router<Arc<World>> {
    ALL.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}

// A type with a name: that of an `async fn` would follow from the table that it is in.
#[expect(clippy::needless_pass_by_value, reason = "how axum gives it")]
fn index(headers: HeaderMap) -> Ready<Response> {
    if console::is_wanted(&headers) {
        return ready(console::page());
    }
    let line = |route: &Route| format!("{:6} {:27} {}\n", route.method, route.path, route.about);
    let lines: String = ALL.iter().map(line).collect();
    ready(format!("mock-pki's control port\n\n{lines}").into_response())
}

fn openapi() -> Ready<Json<Value>> {
    ready(Json(super::openapi::document()))
}

/// The names of the parameters in a path.
pub(crate) fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// A route's statuses with what they mean.
pub(crate) fn bad(status: u16) -> (&'static str, Value) {
    let about = match status {
        400 => "what was sent is wrong",
        404 => "there is no such thing",
        _ => "not in this state",
    };
    (about, json!({ "$ref": "#/components/schemas/Problem" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_route_with_what_it_does() {
        let readme = include_str!("../../README.md");
        let rows: Vec<String> = ALL
            .iter()
            .map(|route| format!("| `{} {}` | {} |", route.method, route.path, route.about))
            .collect();
        let rows = rows.join("\n");
        assert!(readme.contains(&rows), "README.md lacks these rows, or has others between them:\n{rows}");
    }

    #[test]
    fn paths_and_methods_are_there_once() {
        let mut all: Vec<_> = ALL.iter().map(|route| (route.path, route.method)).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(names_in("/approvals/{id}/approve").collect::<Vec<_>>(), ["id"]);
    }
}
