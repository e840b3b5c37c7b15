//! A client of the API server whose calls end.
//!
//! The client library bounds how long a connection takes and how long a watch may be silent, but not how long an answer
//! takes to begin. An API server or a load balancer that takes a request and says nothing would hold whoever reads for
//! ever: a watch that is being opened would stay deaf, and a request that is being read would never be worked on again.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;

/// How long an answer may take: a whole one, or the head of a watch. The API server's own limit on a request is a
/// minute.
pub const TIMEOUT: Duration = Duration::from_secs(65);

/// The same client, whose calls come back with an error after [`TIMEOUT`].
#[must_use]
pub fn bounded(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            match tokio::time::timeout(TIMEOUT, answer(&client, request)).await {
                Ok(answer) => answer,
                Err(_) => Err(kube::Error::Service(
                    format!("no answer within {} seconds", TIMEOUT.as_secs()).into(),
                )),
            }
        }
    });
    Client::new(service, namespace)
}

async fn answer(client: &Client, request: Request<Body>) -> kube::Result<Response<Body>> {
    let goes_on =
        request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    let answer = client.send(request).await?;
    if goes_on {
        // A watch that falls silent later is noticed by whoever follows it.
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let whole = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, Body::from(whole)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use kube::api::{ListParams, WatchParams};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_is_not_answered_is_told_so_in_time() {
        let silent = tower::service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let api: Api<ConfigMap> = Api::all(bounded(Client::new(silent, "default")));
        let begun = tokio::time::Instant::now();
        let error = api.list(&ListParams::default()).await.unwrap_err();
        assert_eq!(
            (error.to_string().contains("no answer within 65 seconds"), begun.elapsed()),
            (true, TIMEOUT)
        );
        assert!(api.watch(&WatchParams::default(), "0").await.is_err());
        assert_eq!(begun.elapsed(), 2 * TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_still_a_refusal() {
        let forbids = tower::service_fn(|_: Request<Body>| async {
            let body =
                r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}"#;
            let mut answer = Response::new(Body::from(body.as_bytes().to_vec()));
            *answer.status_mut() = http::StatusCode::FORBIDDEN;
            Ok::<_, Infallible>(answer)
        });
        let api: Api<ConfigMap> = Api::all(bounded(Client::new(forbids, "default")));
        let error = api.list(&ListParams::default()).await.unwrap_err();
        assert!(matches!(error, kube::Error::Api(status) if status.code == 403));
    }
}
