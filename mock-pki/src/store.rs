//! What the faces share: ledger, journal, faults and the CA hierarchy.

use std::sync::{Arc, RwLock};

use jiff::Timestamp;

use crate::{
    admin::Snapshots,
    approval::Approvals,
    ca::{Cas, Hierarchy},
    clock::{Clock, SharedClock},
    custom, ejbca,
    fault::{Fault, Faults},
    journal::Journal,
    ledger::Ledger,
    metrics::Metrics,
    random::Source,
    server::{Config, StartError},
    state::Document,
    sync::{read, write},
    vault, venafi,
};

/// One PKI. Everything in it lives in memory.
pub(crate) struct World {
    pub(crate) faults: Faults,
    pub(crate) metrics: Metrics,
    pub(crate) snapshots: Snapshots,
    /// The clock of all faces.
    pub(crate) clock: Arc<Clock>,
    /// Of all epochs: neither an identifier nor a serial number may come again because of a reset.
    pub(crate) source: Arc<Source>,
    hierarchy: RwLock<Arc<Hierarchy>>,
    settings: Settings,
    epoch: RwLock<Arc<Epoch>>,
}

/// What lasts from one reset to the next. A request belongs to the epoch in which it arrived, so that one in
/// flight during a reset leaves no trace in what comes after.
pub(crate) struct Epoch {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) approvals: Approvals,
    /// The CAs that faces share.
    pub(crate) cas: Cas,
    pub(crate) vault: vault::State,
    pub(crate) ejbca: ejbca::State,
    pub(crate) venafi: venafi::State,
    pub(crate) custom: custom::State,
    clock: Arc<Clock>,
}

/// What every epoch starts with.
struct Settings {
    root_token: String,
    ledger_capacity: usize,
    journal_capacity: usize,
    faults: Vec<Fault>,
}

impl World {
    pub(crate) fn new(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        Self::of(config, clock, None)
    }

    /// With the state of a document, if there is one.
    pub(crate) fn of(
        config: &Config,
        clock: SharedClock,
        document: Option<&Document>,
    ) -> Result<Self, StartError> {
        let (clock, source) = (Arc::new(Clock::new(clock)), Source::new(config.seed));
        let hierarchy = match document {
            Some(document) => document.hierarchy(None).map_err(StartError::State)?,
            None => source.scope(|| Hierarchy::generate(config.ca_key_algorithm, clock.now()))?,
        };
        let settings = Settings {
            root_token: config.root_token.clone(),
            ledger_capacity: config.ledger_capacity.max(1),
            journal_capacity: config.journal_capacity.max(1),
            faults: config.faults.clone(),
        };
        let cas = source.scope(|| hierarchy.cas())?;
        let epoch = source.scope(|| Epoch::new(&settings, cas, &clock, &source));
        let faults = Faults::new(source.dice());
        faults.reset(&settings.faults).map_err(StartError::Fault)?;
        let world = Self {
            faults,
            metrics: Metrics::new(),
            snapshots: Snapshots::default(),
            clock,
            source,
            hierarchy: RwLock::new(Arc::new(hierarchy)),
            settings,
            epoch: RwLock::new(Arc::new(epoch)),
        };
        if let Some(document) = document {
            world.import(document).map_err(StartError::State)?;
            world.faults.install_missing(&world.settings.faults).map_err(StartError::Fault)?;
        }
        Ok(world)
    }

    pub(crate) fn epoch(&self) -> Arc<Epoch> {
        Arc::clone(&read(&self.epoch))
    }

    pub(crate) fn hierarchy(&self) -> Arc<Hierarchy> {
        Arc::clone(&read(&self.hierarchy))
    }

    /// The root of everything that is issued, PEM.
    pub(crate) fn root_ca(&self) -> String {
        self.hierarchy().root.certificates.iter().map(x509::Certificate::to_pem).collect()
    }

    /// Back to how it started: same CAs, same root token, the faults of the start, the clock below; nothing else.
    pub(crate) fn reset(&self) -> Result<(), StartError> {
        self.clock.release();
        let cas = self.source.scope(|| self.hierarchy().cas())?;
        let fresh = self.fresh(cas);
        self.faults.reset(&self.settings.faults).map_err(StartError::Fault)?;
        *write(&self.epoch) = Arc::new(fresh);
        Ok(())
    }

    /// An epoch that begins now.
    pub(crate) fn fresh(&self, cas: Cas) -> Epoch {
        self.source.scope(|| Epoch::new(&self.settings, cas, &self.clock, &self.source))
    }

    /// Makes this the state.
    pub(crate) fn put(&self, hierarchy: Hierarchy, epoch: Epoch) {
        *write(&self.hierarchy) = Arc::new(hierarchy);
        *write(&self.epoch) = Arc::new(epoch);
    }
}

impl Epoch {
    fn new(settings: &Settings, cas: Cas, clock: &Arc<Clock>, source: &Arc<Source>) -> Self {
        Self {
            ledger: Ledger::new(settings.ledger_capacity, Arc::clone(source)),
            journal: Journal::new(settings.journal_capacity),
            approvals: Approvals::default(),
            vault: vault::State::new(&cas, &settings.root_token, clock.now()),
            ejbca: ejbca::State::new(&cas, &settings.root_token),
            venafi: venafi::State::new(&cas, clock.now()),
            custom: custom::State::new(&cas, clock.now()),
            cas,
            clock: Arc::clone(clock),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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
