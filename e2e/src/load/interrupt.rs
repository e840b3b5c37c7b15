//! Ctrl-C and SIGTERM: none is lost, wherever the work is when it comes.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many came so far. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        let mut signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let (tell, count) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let [interrupt, terminate] = &mut signals;
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                tell.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(count))
    }

    /// Waits for the first, which may have come already.
    pub async fn first(&self) {
        self.beyond(0).await;
    }

    /// Waits for one that has not come yet.
    pub async fn next(&self) {
        let so_far = *self.0.borrow();
        self.beyond(so_far).await;
    }

    async fn beyond(&self, so_far: u32) {
        // The listener lasts as long as the runtime.
        let _ = self.0.clone().wait_for(|count| *count > so_far).await;
    }
}
