//! `/journal`

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{
    admin::{
        Asked, Shared, problem, read_body,
        wire::{Count, Journal, JournalFilter, NearMisses},
    },
    near_miss::{self, Expectation},
};

pub(crate) async fn list(State(world): Shared, Asked(filter): Asked<JournalFilter>) -> Json<Journal> {
    let epoch = world.epoch();
    let requests = epoch.journal.latest(|entry| filter.wants(entry), filter.limit);
    Json(Journal { requests, seen: epoch.journal.seen() })
}

pub(crate) async fn count(State(world): Shared, Asked(filter): Asked<JournalFilter>) -> Json<Count> {
    let count = world.epoch().journal.count(|entry| filter.wants(entry));
    Json(Count { count: filter.limit.map_or(count, |limit| count.min(limit)) })
}

pub(crate) async fn near_misses(State(world): Shared, body: Bytes) -> Response {
    let expected: Expectation = match read_body(&body, "expectation") {
        Ok(expected) => expected,
        Err(problem) => return *problem,
    };
    if let Err(error) = expected.check() {
        return problem(StatusCode::BAD_REQUEST, &error);
    }
    let near_misses = near_miss::nearest(world.epoch().journal.all(), &expected);
    Json(NearMisses { near_misses }).into_response()
}
