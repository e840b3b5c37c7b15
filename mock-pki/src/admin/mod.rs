//! The control port: what tests see and do, on a listener of its own.

mod approvals;
mod clock;
mod console;
mod faults;
mod journal;
mod ledger;
mod openapi;
mod routes;
mod snapshots;
mod state;
mod status;
mod tree;
pub mod wire;

pub(crate) use snapshots::Snapshots;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, Request, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use crate::{fault::Body, store::World};

type Shared = State<Arc<World>>;

/// All but a state is small.
const MAX_BODY: usize = 1024 * 1024;
/// A whole state may come in.
const MAX_STATE: usize = 512 * 1024 * 1024;

pub(crate) fn router(world: Arc<World>) -> Router {
    routes::router()
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "there is no such path; GET / lists those that are")
        })
        .layer(axum::middleware::from_fn(only_local_pages))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(world)
}

/// A web page somewhere must not be able to drive this port, or to read it, through the browser of whoever runs it. Its
/// requests carry its origin, or else the name by which it leads here. This port's own page may.
async fn only_local_pages(
    headers: HeaderMap,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    let is_own = |origin: &str| host.is_some_and(|host| origin == format!("http://{host}"));
    // Within this process there is no host.
    if !host.is_none_or(is_ours) || !origin.is_none_or(is_own) {
        return problem(
            StatusCode::FORBIDDEN,
            "requests of other web pages than this port's, and to names that anybody could lead here, are not answered: \
             use an address, localhost, or a name without a public domain",
        );
    }
    next.run(request).await
}

/// Whether nobody else can have a page under this authority: it is an address, or a name that the public DNS does not give.
fn is_ours(authority: &str) -> bool {
    const PRIVATE: [&str; 5] = ["localhost", "local", "internal", "svc", "test"];
    let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
    let host = authority.host();
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    is_address || host.rsplit_once('.').is_none_or(|(_, last)| PRIVATE.contains(&last))
}

/// An error of this port: a text that says what to do.
pub(crate) fn problem(status: StatusCode, text: &str) -> axum::response::Response {
    (status, Json(wire::Problem { error: text.to_owned() })).into_response()
}

/// The parameters of the query; what is wrong with them is said as everything here is.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(problem(StatusCode::BAD_REQUEST, &error.body_text())),
        }
    }
}

/// Reads a body whatever its content type says, for people with curl; or says what is wrong with it.
pub(crate) fn read_body<T: DeserializeOwned>(
    body: &[u8],
    what: &str,
) -> Result<T, Box<axum::response::Response>> {
    let failed =
        |error| Box::new(problem(StatusCode::BAD_REQUEST, &format!("the {what} cannot be read: {error}")));
    serde_json::from_slice(body).map_err(failed)
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
