//! What is about the whole: health, version, metrics, the CA, sealing, reset.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::admin::{Shared, problem, wire::Version};

pub(crate) async fn health() -> &'static str {
    "ok\n"
}

pub(crate) async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION").to_owned() })
}

pub(crate) async fn metrics(State(world): Shared) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], world.metrics.text(&world))
}

pub(crate) async fn root_ca(State(world): Shared) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], world.root_ca())
}

pub(crate) async fn seal(State(world): Shared) -> StatusCode {
    world.epoch().vault.set_sealed(true);
    StatusCode::NO_CONTENT
}

pub(crate) async fn unseal(State(world): Shared) -> StatusCode {
    world.epoch().vault.set_sealed(false);
    StatusCode::NO_CONTENT
}

pub(crate) async fn reset(State(world): Shared) -> Response {
    match world.reset() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
