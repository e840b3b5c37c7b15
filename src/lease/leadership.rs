//! What the rest of the process asks: do we lead, and until when?

use std::future::{self, Future};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where the elector stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Counts the times that leadership was won: two terms with nothing between still are two.
    pub(super) term: u64,
    /// While leading: until when the last renewal is good.
    pub(super) valid_until: Option<Instant>,
    /// How long a renewal is good for.
    pub(super) validity: Duration,
}

impl State {
    fn leads(&self) -> bool {
        self.valid_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether there is time for something that takes this long. Half of what a renewal gives is enough for anything:
    /// more is never left for long, and renewals go on meanwhile.
    fn has_time_for(&self, most: Duration) -> bool {
        let enough = most.min(self.validity / 2);
        self.valid_until.is_some_and(|until| Instant::now() + enough < until)
    }
}

/// A view of this process's leadership. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership(View);

#[derive(Clone, Debug)]
enum View {
    Always,
    Elected(watch::Receiver<State>),
}

impl Leadership {
    /// Without an election: this process leads, always.
    #[must_use]
    pub fn always() -> Self {
        Self(View::Always)
    }

    pub(super) fn of(state: watch::Receiver<State>) -> Self {
        Self(View::Elected(state))
    }

    /// Whether this process leads at this instant. Asks the clock: a process that was paused past its lease
    /// knows it at once.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        match &self.0 {
            View::Always => true,
            View::Elected(state) => state.borrow().leads(),
        }
    }

    /// Until when nobody else can lead, if nothing more is renewed; `None` while not leading, and without an
    /// election.
    #[cfg(test)]
    pub(super) fn valid_until(&self) -> Option<Instant> {
        let View::Elected(state) = &self.0 else { return None };
        let state = *state.borrow();
        state.valid_until.filter(|_| state.leads())
    }

    /// Waits until this process leads.
    pub async fn acquired(&self) {
        if let View::Elected(state) = &self.0
            && state.clone().wait_for(State::leads).await.is_err()
        {
            // The elector is gone, and with it every prospect.
            future::pending::<()>().await;
        }
    }

    /// Waits until the leadership of this instant has ended: at once if there is none.
    pub async fn lost(&self) {
        let View::Elected(state) = &self.0 else { return future::pending().await };
        let mut state = state.clone();
        let term = state.borrow().term;
        loop {
            let now = *state.borrow_and_update();
            let Some(until) = now.valid_until.filter(|_| now.term == term && now.leads()) else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                Ok(()) = state.changed() => {}
            }
        }
    }

    /// Does `work`, which takes `most` at most, while this process leads: `None`, and the work is dropped where it
    /// stands, once leadership has ended; `None` at once if there is none.
    ///
    /// It is begun only with time left for it; if the last renewal is too long ago, after the next one. Renewals extend the
    /// time, so a call to the PKI may take longer than a lease.
    pub async fn while_leading<F: Future>(&self, most: Duration, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.lost() => None,
            done = async {
                self.with_time_for(most).await;
                work.await
            } => Some(done),
        }
    }

    async fn with_time_for(&self, most: Duration) {
        if let View::Elected(state) = &self.0
            && state.clone().wait_for(|state| state.has_time_for(most)).await.is_err()
        {
            // The elector is gone: what is left is no time to begin anything.
            future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn elected() -> (watch::Sender<State>, Leadership) {
        let (sender, receiver) = watch::channel(State::default());
        (sender, Leadership::of(receiver))
    }

    fn leading(term: u64, seconds: u32) -> State {
        State { term, valid_until: Some(Instant::now() + SECOND * seconds), validity: SECOND * 10 }
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_election_this_process_leads_for_ever() {
        let leadership = Leadership::always();
        leadership.acquired().await;
        assert!(leadership.is_leader());
        assert!(timeout(SECOND * 3600, leadership.lost()).await.is_err());
        assert_eq!(leadership.while_leading(SECOND, async { 7 }).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_ends_by_the_clock_even_if_the_elector_sleeps() {
        let (sender, leadership) = elected();
        assert!(!leadership.is_leader());
        sender.send_replace(leading(1, 10));
        leadership.acquired().await;
        assert_eq!(leadership.valid_until(), Some(Instant::now() + SECOND * 10));

        advance(SECOND * 10).await;
        assert!(!leadership.is_leader());
        assert_eq!(leadership.valid_until(), None);
        leadership.lost().await;
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_extend_work_and_a_loss_drops_it() {
        let (sender, leadership) = elected();
        sender.send_replace(leading(1, 10));
        let work = tokio::spawn({
            let leadership = leadership.clone();
            async move { leadership.while_leading(SECOND, tokio::time::sleep(SECOND * 15)).await }
        });
        tokio::time::sleep(SECOND * 8).await;
        sender.send_replace(leading(1, 10));
        assert_eq!(work.await.unwrap(), Some(()));

        assert_eq!(leadership.while_leading(SECOND, tokio::time::sleep(SECOND * 30)).await, None);
        assert_eq!(leadership.while_leading(SECOND, async { 7 }).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn work_begins_with_time_left_for_it_or_after_the_next_renewal() {
        let (sender, leadership) = elected();
        sender.send_replace(leading(1, 10));
        advance(SECOND * 7).await;
        let begun = Instant::now();
        assert_eq!(leadership.while_leading(SECOND * 2, async { 1 }).await, Some(1));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let long = tokio::spawn({
            let leadership = leadership.clone();
            async move { leadership.while_leading(SECOND * 60, async { Instant::now() }).await }
        });
        tokio::time::sleep(SECOND * 2).await;
        sender.send_replace(leading(1, 10));
        assert_eq!(long.await.unwrap(), Some(begun + SECOND * 2));

        // No renewal comes: it is never begun.
        advance(SECOND * 9).await;
        assert_eq!(leadership.while_leading(SECOND * 2, async { 1 }).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_term_ends_what_the_old_one_began() {
        let (sender, leadership) = elected();
        sender.send_replace(leading(1, 10));
        let work =
            tokio::spawn(
                async move { leadership.while_leading(SECOND, tokio::time::sleep(SECOND * 5)).await },
            );
        tokio::task::yield_now().await;
        sender.send_replace(State { term: 1, ..State::default() });
        sender.send_replace(leading(2, 10));
        assert_eq!(work.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_elector_that_is_gone_leaves_the_lease_to_run_out() {
        let (sender, leadership) = elected();
        sender.send_replace(leading(1, 10));
        drop(sender);
        let begun = Instant::now();
        leadership.lost().await;
        assert_eq!(begun.elapsed(), SECOND * 10);
        assert!(timeout(SECOND * 3600, leadership.acquired()).await.is_err());
    }
}
