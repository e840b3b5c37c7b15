//! A network without sockets: addresses of PKIs, and of lines to them.
//!
//! An address is `127.0.0.1:<number>`, as it would be on one machine. Whoever calls an address that is nobody's is
//! refused.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use external_issuer::signer::http::Transport;
use futures::future::BoxFuture;
use http::{Request, Response};
use mock_pki::client::{self, NoAnswer};
use mock_pki::in_process::MockPki;
use tokio::sync::watch;

use crate::Result;
use crate::pki;

type Answer = std::result::Result<Response<Bytes>, io::ErrorKind>;

/// Who is where; clones are the same network.
#[derive(Clone, Default)]
pub(super) struct Network(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    last: u16,
    all: BTreeMap<String, Place>,
}

#[derive(Clone)]
enum Place {
    Pki(MockPki),
    Line { to: String, by: Duration, carries: watch::Receiver<bool> },
}

impl Network {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, place: Place) -> Address {
        let mut places = self.places();
        places.last += 1;
        let address = format!("127.0.0.1:{}", places.last);
        places.all.insert(address.clone(), place);
        Address { network: self.clone(), address }
    }

    /// Gives a PKI an address.
    pub(super) fn add(&self, pki: MockPki) -> Address {
        self.settle(Place::Pki(pki))
    }

    /// A line to an address.
    pub(super) fn line(&self, to: &str, by: Duration) -> Line {
        let (carries, told) = watch::channel(true);
        let place = Place::Line { to: to.trim_start_matches("http://").to_owned(), by, carries: told };
        Line { address: self.settle(place), carries }
    }

    fn send(&self, to: &str, request: Request<Bytes>) -> BoxFuture<'static, Answer> {
        let place = self.places().all.get(to).cloned();
        match place {
            None => Box::pin(async { Err(io::ErrorKind::ConnectionRefused) }),
            Some(Place::Pki(pki)) => Box::pin(async move { pki.vault(request).await }),
            Some(Place::Line { carries, .. }) if !*carries.borrow() => {
                Box::pin(async { Err(io::ErrorKind::ConnectionRefused) })
            }
            Some(Place::Line { to, by, mut carries }) => {
                let answer = self.send(&to, request);
                Box::pin(async move {
                    let later = async {
                        let answer = answer.await;
                        tokio::time::sleep(by).await;
                        answer
                    };
                    tokio::select! {
                        biased;
                        // Cut, or gone for good.
                        _ = carries.wait_for(|carries| !carries) => Err(io::ErrorKind::ConnectionReset),
                        answer = later => answer,
                    }
                })
            }
        }
    }
}

/// The suite's own way to PKIs.
impl client::Transport for Network {
    fn send(&self, request: Request<Bytes>) -> client::Answer {
        let to = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let answer = Self::send(self, &to, request);
        Box::pin(async move { answer.await.map_err(|kind| NoAnswer::new(io::Error::from(kind))) })
    }
}

/// A place on the network, which is free when this is dropped.
pub(super) struct Address {
    network: Network,
    address: String,
}

impl Address {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.network.places().all.remove(&self.address);
    }
}

/// A line, as long as this lives.
pub(super) struct Line {
    address: Address,
    carries: watch::Sender<bool>,
}

impl pki::Line for Line {
    fn url(&self) -> String {
        self.address.url()
    }

    fn cut(&mut self) -> BoxFuture<'_, ()> {
        self.carries.send_replace(false);
        Box::pin(async {})
    }

    fn mend(&mut self) -> BoxFuture<'_, Result> {
        self.carries.send_replace(true);
        Box::pin(async { Ok(()) })
    }
}

/// One process's way to PKIs: nothing leaves it any more once it has ended.
pub(super) struct Outlet {
    pub(super) network: Network,
    pub(super) ended: Arc<AtomicBool>,
}

impl Transport for Outlet {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Answer> {
        if self.ended.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let to = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        self.network.send(&to, request)
    }
}
