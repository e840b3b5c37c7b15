//! `/snapshots`

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{
    admin::{
        Shared, problem,
        wire::{SnapshotInfo, SnapshotList},
    },
    state::Document,
    sync::lock,
};

/// The most that are kept: each is a copy of everything.
const MOST: usize = 16;

/// The snapshots, by name. They are kept through resets and restores.
#[derive(Default)]
pub(crate) struct Snapshots(Mutex<BTreeMap<String, Arc<Document>>>);

pub(crate) async fn list(State(world): Shared) -> Json<SnapshotList> {
    let all = lock(&world.snapshots.0);
    Json(SnapshotList { snapshots: all.iter().map(|(name, document)| info(name, document)).collect() })
}

pub(crate) async fn take(State(world): Shared, Path(name): Path<String>) -> Response {
    let document = match world.export(true) {
        Ok(document) => Arc::new(document),
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &error),
    };
    let mut all = lock(&world.snapshots.0);
    if all.len() >= MOST && !all.contains_key(&name) {
        return problem(StatusCode::CONFLICT, &format!("{MOST} snapshots are kept; forget some first"));
    }
    let shown = info(&name, &document);
    all.insert(name, document);
    Json(shown).into_response()
}

pub(crate) async fn restore(State(world): Shared, Path(name): Path<String>) -> Response {
    let found = lock(&world.snapshots.0).get(&name).map(Arc::clone);
    let Some(document) = found else { return absent(&name) };
    match world.import(&document) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

pub(crate) async fn forget(State(world): Shared, Path(name): Path<String>) -> Response {
    match lock(&world.snapshots.0).remove(&name) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => absent(&name),
    }
}

fn absent(name: &str) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("no snapshot {name:?} is kept"))
}

fn info(name: &str, document: &Document) -> SnapshotInfo {
    SnapshotInfo { name: name.to_owned(), taken_at: document.taken_at, issued: document.ledger.issued.len() }
}
