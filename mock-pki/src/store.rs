//! What the faces share: ledger, journal, faults and the CA hierarchy.

use std::sync::{Arc, RwLock};

use ::ca::CaError;
use jiff::Timestamp;

use crate::{
    approval::Approvals,
    ca::Hierarchy,
    clock::SharedClock,
    custom,
    fault::Faults,
    journal::Journal,
    ledger::Ledger,
    random::Serials,
    server::Config,
    sync::{read, write},
    vault, venafi,
};

/// One PKI. Everything in it lives in memory.
pub(crate) struct World {
    pub(crate) faults: Faults,
    pub(crate) hierarchy: Hierarchy,
    settings: Settings,
    epoch: RwLock<Arc<Epoch>>,
}

/// What lasts from one reset to the next. A request belongs to the epoch in which it arrived, so that one in
/// flight during a reset leaves no trace in what comes after.
pub(crate) struct Epoch {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) approvals: Approvals,
    pub(crate) vault: vault::State,
    pub(crate) venafi: venafi::State,
    pub(crate) custom: custom::State,
    clock: SharedClock,
}

/// What every epoch starts with.
struct Settings {
    root_token: String,
    ledger_capacity: usize,
    journal_capacity: usize,
    clock: SharedClock,
    /// Of all epochs: a serial number must not come again because of a reset.
    serials: Arc<Serials>,
}

impl World {
    pub(crate) fn new(config: &Config, clock: SharedClock) -> Result<Self, CaError> {
        let hierarchy = Hierarchy::generate(config.ca_key_algorithm, clock())?;
        let settings = Settings {
            root_token: config.root_token.clone(),
            ledger_capacity: config.ledger_capacity.max(1),
            journal_capacity: config.journal_capacity.max(1),
            clock,
            serials: Arc::new(Serials::new(config.serial_seed)),
        };
        let epoch = RwLock::new(Arc::new(Epoch::new(&settings, &hierarchy)?));
        Ok(Self { faults: Faults::default(), hierarchy, settings, epoch })
    }

    pub(crate) fn epoch(&self) -> Arc<Epoch> {
        Arc::clone(&read(&self.epoch))
    }

    /// Back to how it started: same CAs, same root token, nothing else.
    pub(crate) fn reset(&self) -> Result<(), CaError> {
        let fresh = Arc::new(Epoch::new(&self.settings, &self.hierarchy)?);
        self.faults.clear();
        *write(&self.epoch) = fresh;
        Ok(())
    }
}

impl Epoch {
    fn new(settings: &Settings, hierarchy: &Hierarchy) -> Result<Self, CaError> {
        let cas = hierarchy.cas()?;
        Ok(Self {
            ledger: Ledger::new(settings.ledger_capacity, Arc::clone(&settings.serials)),
            journal: Journal::new(settings.journal_capacity),
            approvals: Approvals::default(),
            vault: vault::State::new(&cas, &settings.root_token, (settings.clock)()),
            venafi: venafi::State::new(&cas, (settings.clock)()),
            custom: custom::State::new(&cas, (settings.clock)()),
            clock: Arc::clone(&settings.clock),
        })
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, journal::Entry};

    #[test]
    fn a_request_in_flight_during_a_reset_leaves_no_trace_in_what_comes_after() {
        let world = World::new(&Config::default(), clock::machine()).unwrap();
        let arrived = world.epoch();
        world.reset().unwrap();
        arrived.journal.record(Entry {
            number: 0,
            at: arrived.now(),
            face: "vault".to_owned(),
            method: "GET".to_owned(),
            path: "/v1/sys/health".to_owned(),
            status: Some(200),
            request_id: None,
            fault: None,
            microseconds: 1,
            user_agent: None,
        });
        assert_eq!((arrived.journal.all().len(), world.epoch().journal.all().len()), (1, 0));
        assert_eq!(world.epoch().journal.seen(), 0);
    }
}
