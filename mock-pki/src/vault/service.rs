//! One request to the Vault face, from bytes to bytes: faults, limits and the journal are here, so that the
//! routes know nothing of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::{
    connection::{CutShort, Ending},
    fault::{Body, Plan, Reply, full},
    journal::{Entry, redacted},
    store::{Epoch, World},
    vault::{self, Answered, body::MAX_BODY, pki, request::common_name},
};

/// A client that sends no complete body in this time is let go.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Answers one request, or cuts the connection.
pub(crate) async fn serve(
    world: Arc<World>,
    ending: Ending,
    request: Request<Incoming>,
) -> Result<Response<Body>, CutShort> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    let body = match body {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(vault::refuse(vault::too_large())),
        // The client is gone, or too slow.
        Ok(Err(_)) | Err(_) => return Err(CutShort),
    };
    respond(&world, &ending, head, body).await
}

/// The same once the body is there, or is an answer of its own.
pub(crate) async fn respond(
    world: &World,
    ending: &Ending,
    head: http::request::Parts,
    body: Result<Bytes, Answered>,
) -> Result<Response<Body>, CutShort> {
    let (started, epoch) = (Instant::now(), world.epoch());
    let (at, head) = (epoch.now(), Arc::new(head));
    let plan = match &body {
        Ok(body) => world.faults.plan(head.uri.path(), || common_name(&head.headers, body)),
        Err(_) => Plan::default(),
    };
    let delay: Duration = plan.http.iter().map(|fault| fault.behaviour.delay()).sum();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let plan = Arc::new(plan);
    let answered = match body {
        Err(answered) => answered,
        Ok(_) if !plan.http.iter().all(|fault| fault.behaviour.lets_through()) => Answered::empty(),
        Ok(body) => answer(&epoch, &head, body, &plan).await,
    };
    let Answered { response, request_id } = answered;
    let mut reply = Reply::Answer(response.map(full));
    for fault in &plan.http {
        reply = fault.behaviour.spoil(reply, &head.uri);
    }
    let status = match &reply {
        Reply::Answer(answer) => Some(answer.status().as_u16()),
        Reply::Cut(_) => None,
    };
    let fault =
        plan.http.first().map(|fault| fault.name().to_owned()).or_else(|| plan.certificates.applied());
    let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let path = redacted(head.uri.path());
    tracing::info!(method = %head.method, path, status, fault, microseconds, "answered");
    epoch.journal.record(Entry {
        number: 0,
        at,
        face: "vault".to_owned(),
        method: head.method.as_str().chars().take(16).collect(),
        path,
        status,
        request_id,
        fault,
        microseconds,
        user_agent: head
            .headers
            .get(http::header::USER_AGENT)
            .map(|agent| String::from_utf8_lossy(agent.as_bytes()).chars().take(200).collect()),
    });
    match reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::Cut(how) => Err(ending.cut(how)),
    }
}

async fn answer(
    epoch: &Arc<Epoch>,
    head: &Arc<http::request::Parts>,
    body: Bytes,
    plan: &Arc<Plan>,
) -> Answered {
    let sealed = plan.http.iter().any(|fault| fault.behaviour.seals());
    let (epoch, head, plan) = (Arc::clone(epoch), Arc::clone(head), Arc::clone(plan));
    let slow = pki::may_compute(head.uri.path());
    let work = move || {
        vault::handle(&epoch, &head.method, &head.uri, &head.headers, &body, sealed, &plan.certificates)
    };
    if !slow {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        vault::refuse(vault::error::Refusal::with(StatusCode::INTERNAL_SERVER_ERROR, "internal error"))
    })
}
