//! A real OpenBao in its development mode: in memory, unsealed, with a root token.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::server::Server;

/// The process; killed when dropped.
pub(crate) struct OpenBao {
    child: Child,
    pub(crate) server: Server,
}

/// Starts one, or says why there is none. The binary comes from `mock-pki/tests/install-openbao.sh`.
#[expect(
    clippy::disallowed_methods,
    reason = "a test finds its tools by the environment; there are no flags"
)]
pub(crate) fn start() -> Result<OpenBao, String> {
    let cache = std::env::var("XDG_CACHE_HOME").ok().filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(std::env::var("HOME").unwrap_or_default()).join(".cache"));
    let binary = cache.join("external-issuer/tools/openbao/bin/bao");
    if !binary.exists() {
        let absent = format!("{} is missing: run mock-pki/tests/install-openbao.sh", binary.display());
        assert!(std::env::var("EXTERNAL_ISSUER_REQUIRE_OPENBAO").as_deref() != Ok("1"), "{absent}");
        return Err(absent);
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap().port();
    let mut child = Command::new(binary)
        .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root", "-log-level=error"])
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It says so when it listens; the end of its output means that it failed.
    let started = lines.any(|line| line.unwrap().contains("Development mode should NOT be used"));
    // Nobody reads on, so what it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let server = Server::new(&format!("http://127.0.0.1:{port}"), "root", None);
    let bao = OpenBao { child, server };
    assert!(started, "bao ended before it listened");
    Ok(bao)
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
