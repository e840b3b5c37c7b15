//! Any requests to the simulated API server: each is answered, an error is a Status with the answer's code, and revisions
//! only grow.
//!
//! ```text
//! PATCH /api/v1/namespaces/default/configmaps/a?fieldManager=m application/apply-patch+yaml
//! <body>
//! ---
//! GET /api/v1/configmaps?watch=1
//! ```
#![no_main]

use bytes::Bytes;
use http::{Method, Request, Uri, header};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sim_kube::{Answer, Cluster, Identity, Options};

/// The most requests of one input: what is sought is in few of them.
const REQUESTS: usize = 16;

fuzz_target!(|data: &[u8]| {
    let mut now = Timestamp::UNIX_EPOCH;
    let mut cluster = Cluster::new(Options::default(), now);
    let (identity, mut watches) = (Identity::admin(), Vec::new());
    for request in split(data, b"\n---\n").into_iter().take(REQUESTS) {
        let Some(request) = read(request) else { continue };
        let revision = cluster.store().revision();
        match cluster.handle(now, &request, &identity) {
            Answer::Watch(_, id) => watches.push(id),
            Answer::Response(response) => {
                let code = response.status();
                let is_json = response.headers().get("content-type").is_some_and(|kind| kind == "application/json");
                if request.method() != Method::HEAD && !code.is_success() && is_json {
                    let status: Value = serde_json::from_slice(response.body()).expect("JSON");
                    assert_eq!(status["kind"], "Status");
                    assert_eq!(status["code"], code.as_u16());
                }
            }
        }
        assert!(cluster.store().revision() >= revision);
        now += SignedDuration::from_secs(1);
        cluster.tick(now);
        for &id in &watches {
            for line in cluster.poll_watch(id, now).lines {
                serde_json::from_slice::<Value>(&line).expect("an event is JSON");
            }
        }
    }
});

fn read(request: &[u8]) -> Option<Request<Bytes>> {
    let (head, body) = match request.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&request[..end], &request[end + 1..]),
        None => (request, &[][..]),
    };
    let head = std::str::from_utf8(head).ok()?;
    let mut words = head.splitn(3, ' ');
    let method: Method = words.next()?.parse().ok()?;
    let uri: Uri = words.next()?.parse().ok()?;
    let mut request = Request::builder().method(method).uri(uri).header(header::ACCEPT, "application/json");
    if let Some(content_type) = words.next() {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

fn split<'a>(data: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(by.len()).position(|window| window == by) {
        parts.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    parts.push(rest);
    parts
}
