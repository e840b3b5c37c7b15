//! The controller's log, caught on the thread that its tasks run on.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once, PoisonError};

use external_issuer::telemetry;
use tracing::subscriber::DefaultGuard;

use crate::Result;

/// What is said at the same time by others of the stage is not the controller's log.
const FILTER: &str =
    "info,external_issuer=debug,mock_pki=off,sim_kube=off,sim_cert_manager=off,sim_stage=off";

thread_local! {
    /// Where a panic on this thread is told of as well.
    static HERE: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// Lines of JSON; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// From now on what this thread logs, and whether it panics, is caught, until the guard is dropped.
    pub(super) fn catch(&self) -> Result<Caught> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                HERE.with_borrow(|log| {
                    if let Some(log) = log {
                        log.add(format!("{panic}\n").as_bytes());
                    }
                });
                before(panic);
            }));
        });
        HERE.set(Some(self.clone()));
        let log = self.clone();
        let subscriber = telemetry::json(FILTER, move || log.clone())?;
        Ok(Caught { _guard: tracing::subscriber::set_default(subscriber) })
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As long as this lives, the thread's log is caught.
pub(super) struct Caught {
    _guard: DefaultGuard,
}

impl Drop for Caught {
    fn drop(&mut self) {
        HERE.set(None);
    }
}
