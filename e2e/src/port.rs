//! Ports for servers that cannot be asked for any free one, or that must find theirs again.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's range for outgoing connections, any of which may take a port that was free a moment ago. The
/// control plane draws its own from this range as well, once, before anything here.
const RANGE: Range<u16> = 24_000..32_000;
/// Nothing that is given out is given out again soon. Each process begins elsewhere.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nobody listens on, nor on the one above it.
pub fn free() -> io::Result<u16> {
    let begin = u16::try_from(std::process::id() % u32::from(RANGE.end - RANGE.start)).unwrap_or_default();
    for _ in RANGE {
        let step = NEXT.fetch_add(2, Ordering::Relaxed);
        let port = RANGE.start + begin.wrapping_add(step) % (RANGE.end - RANGE.start);
        if is_free(port) && is_free(port + 1) {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_given_out() {
        let first = free().unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert!(!is_free(first));
        for _ in 0..10 {
            let other = free().unwrap();
            assert!(other != first && RANGE.contains(&other), "{other}");
        }
    }
}
