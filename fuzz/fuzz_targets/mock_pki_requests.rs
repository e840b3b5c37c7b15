//! Any bytes as a request to every face of mock-pki, from clients that may do everything: each is answered, and only
//! downloads are long.
#![no_main]

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use libfuzzer_sys::fuzz_target;
use mock_pki::{
    in_process::MockPki,
    server::{self, Config, EJBCA_CLIENT_ID, EJBCA_TOKEN_PATH},
};
use tokio::runtime::{Builder, Runtime};

/// After so many requests everything is forgotten: what is issued stays in memory.
const RESET_AFTER: u32 = 500;

static SENT: AtomicU32 = AtomicU32::new(0);

struct Server {
    runtime: Runtime,
    pki: MockPki,
    /// A token for the EJBCA face, which never expires, since the clock stands still.
    bearer: HeaderValue,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let clock = Arc::new(|| "2030-01-01T00:00:00Z".parse().expect("a time"));
    let pki = MockPki::new(&Config::default(), clock).expect("a PKI");
    let form = format!("grant_type=client_credentials&client_id={EJBCA_CLIENT_ID}&client_secret=root");
    let request = Request::post(EJBCA_TOKEN_PATH).body(Bytes::from(form)).expect("a request");
    let answer = runtime.block_on(pki.face("ejbca", request)).expect("an answer");
    let text = String::from_utf8_lossy(answer.body());
    let token = text.split('"').nth(3).expect("a token");
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
    Server { runtime, pki, bearer }
});

fuzz_target!(|data: &[u8]| {
    let Some(request) = read(data) else { return };
    let server = &*SERVER;
    for (face, _) in server::faces() {
        let answer = send(server, face, request.clone());
        assert!(answer.body().len() < 1 << 20, "{face}: {} bytes", answer.body().len());
    }
    if SENT.fetch_add(1, Ordering::Relaxed) % RESET_AFTER == RESET_AFTER - 1 {
        let reset = Request::post("/reset").body(Bytes::new()).expect("a request");
        server.runtime.block_on(server.pki.control(reset));
    }
});

fn send(server: &Server, face: &str, mut request: Request<Bytes>) -> Response<Bytes> {
    let credentials = [
        (HeaderName::from_static("x-vault-token"), HeaderValue::from_static("root")),
        (header::AUTHORIZATION, server.bearer.clone()),
    ];
    for (name, value) in credentials {
        request.headers_mut().entry(name).or_insert(value);
    }
    server.runtime.block_on(server.pki.face(face, request)).expect("no fault cuts the connection")
}

/// `METHOD target`, lines with headers, an empty line, the body.
fn read(data: &[u8]) -> Option<Request<Bytes>> {
    let split = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let mut lines = std::str::from_utf8(&data[..split]).ok()?.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let body = data.get(split + 2..).unwrap_or_default().to_vec();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = target.parse::<Uri>().ok().filter(|target| target.path().starts_with('/'))?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(value.trim()).ok()?);
        request.headers_mut().append(name, value);
    }
    Some(request)
}
