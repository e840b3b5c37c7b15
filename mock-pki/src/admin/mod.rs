//! The control port: what tests see and do, on a listener of its own.

mod approvals;
mod faults;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, Request, Response, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{fault::Body, store::World};

type Shared = State<Arc<World>>;

/// Requests at this port are small.
const MAX_BODY: usize = 1024 * 1024;

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/version", get(|| async { Json(json!({ "version": env!("CARGO_PKG_VERSION") })) }))
        .route("/ledger", get(ledger))
        .route("/journal", get(journal))
        .route("/reset", post(reset))
        .route("/ca", get(root_ca))
        .merge(faults::routes())
        .merge(approvals::routes())
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is no such path; see mock-pki's README") })
        .layer(axum::middleware::from_fn(only_local_pages))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(world)
}

/// A web page somewhere must not be able to drive this port through the browser of whoever runs it; the
/// requests by which it could change anything carry an Origin.
async fn only_local_pages(
    headers: HeaderMap,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    if headers.contains_key(header::ORIGIN) {
        return problem(StatusCode::FORBIDDEN, "requests from web pages are not answered");
    }
    next.run(request).await
}

/// An error of this port: a text that says what to do.
pub(crate) fn problem(status: StatusCode, text: &str) -> axum::response::Response {
    (status, Json(json!({ "error": text }))).into_response()
}

async fn ledger(State(world): Shared) -> Json<Value> {
    let epoch = world.epoch();
    Json(json!({ "issued": epoch.ledger.all(), "forgotten": epoch.ledger.forgotten() }))
}

#[derive(Debug, Default, Deserialize)]
struct JournalFilter {
    /// Only requests whose path contains this.
    path: Option<String>,
    method: Option<String>,
    status: Option<u16>,
}

async fn journal(State(world): Shared, Query(filter): Query<JournalFilter>) -> Json<Value> {
    let epoch = world.epoch();
    let mut entries = epoch.journal.all();
    entries.retain(|entry| {
        filter.path.as_ref().is_none_or(|part| entry.path.contains(part.as_str()))
            && filter.method.as_ref().is_none_or(|method| entry.method.eq_ignore_ascii_case(method))
            && filter.status.is_none_or(|status| entry.status == Some(status))
    });
    Json(json!({ "requests": entries, "seen": epoch.journal.seen() }))
}

async fn reset(State(world): Shared) -> axum::response::Response {
    match world.reset() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn root_ca(State(world): Shared) -> axum::response::Response {
    let pem: String = world.hierarchy.root.certificates.iter().map(x509::Certificate::to_pem).collect();
    ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

/// The router with the bodies of this crate's connections.
#[derive(Clone)]
pub(crate) struct Boxed(Router);

impl Boxed {
    pub(crate) fn new(router: Router) -> Self {
        Self(router)
    }
}

impl tower_service::Service<Request<hyper::body::Incoming>> for Boxed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Self::Future {
        let answer = tower_service::Service::call(&mut self.0, request);
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            // Bodies of this router are complete: none of them can fail half-way.
            let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Ok(Response::from_parts(head, crate::fault::full(bytes)))
        })
    }
}
