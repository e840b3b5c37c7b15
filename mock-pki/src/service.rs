//! One request to a face, from bytes to bytes: faults, limits and the journal are here, so that the faces know
//! nothing of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::{
    clock,
    connection::{Connection, CutShort},
    face::{Answered, Call, Face, short_header},
    fault::{Asked, Body, Plan, Reply, Seen, full},
    journal::{Entry, redacted},
    store::{Epoch, World},
};

/// A client that sends no complete body in this time is let go.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Answers one request, or cuts the connection.
pub(crate) async fn serve(
    face: &'static Face,
    world: Arc<World>,
    connection: Connection,
    request: Request<Incoming>,
) -> Result<Response<Body>, CutShort> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, face.max_body).collect()).await;
    let body = match body {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err((face.too_large)()),
        // The client is gone, or too slow.
        Ok(Err(_)) | Err(_) => return Err(CutShort),
    };
    respond(face, &world, &connection, head, body).await
}

/// The same once the body is there, or is an answer of its own.
pub(crate) async fn respond(
    face: &'static Face,
    world: &World,
    connection: &Connection,
    head: Parts,
    body: Result<Bytes, Answered>,
) -> Result<Response<Body>, CutShort> {
    let (started, epoch) = (Instant::now(), world.epoch());
    let (at, head) = (epoch.now(), Arc::new(head));
    let plan = match &body {
        Ok(body) => {
            let (method, path, headers) = (&head.method, head.uri.path(), &head.headers);
            let seen = Seen { face, method, path, headers };
            world.faults.plan(seen, || (face.common_name)(&head, body))
        }
        Err(_) => Plan::default(),
    };
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let plan = Arc::new(plan);
    let answered = match body {
        Err(answered) => answered,
        Ok(_) if plan.any(|fault| !fault.lets_through()) => Answered::empty(),
        Ok(body) => {
            let call = Call {
                head: Arc::clone(&head),
                body,
                client: Arc::clone(&connection.client),
                plan: Arc::clone(&plan),
            };
            answer(face, world, &epoch, call).await
        }
    };
    let Answered { response, request_id } = answered;
    let whole = response.body().clone();
    let mut reply = Reply::Answer(response.map(full));
    for fault in &plan.http {
        let asked = Asked { face, uri: &head.uri, body: &whole, now: at, chance: &fault.chance };
        reply = fault.behaviour().spoil(reply, &asked);
    }
    let status = match &reply {
        Reply::Answer(answer) => Some(answer.status().as_u16()),
        Reply::Cut(_) => None,
    };
    let fault =
        plan.http.first().map(|fault| fault.name().to_owned()).or_else(|| plan.certificates.applied());
    let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let path = redacted(head.uri.path());
    tracing::info!(face = face.name, method = %head.method, path, status, fault, microseconds, "answered");
    let method = head.method.as_str();
    world.metrics.record(face.name, method, status, fault.as_deref(), started.elapsed());
    epoch.journal.record(Entry {
        number: 0,
        at,
        face: face.name.to_owned(),
        method: head.method.as_str().chars().take(16).collect(),
        path,
        status,
        request_id,
        fault,
        microseconds,
        user_agent: short_header(&head.headers, header::USER_AGENT),
    });
    match reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::Cut(how) => Err(connection.ending.cut(how)),
    }
}

async fn answer(face: &'static Face, world: &World, epoch: &Arc<Epoch>, call: Call) -> Answered {
    let (epoch, source) = (Arc::clone(epoch), Arc::clone(&world.source));
    let computes = (face.computes)(&call.head);
    let work = move || source.scope(|| clock::skewed(call.plan.skew, || (face.answer)(&epoch, &call)));
    if !computes {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let (content_type, body) = (face.error)(StatusCode::INTERNAL_SERVER_ERROR, "internal error");
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        Answered { response, request_id: None }
    })
}
