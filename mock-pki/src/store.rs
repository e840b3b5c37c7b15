//! What the faces share: clock, ledger, journal, faults and the CA hierarchy.

use std::sync::{Arc, RwLock};

use ::ca::{CaError, KeyAlgorithm};

use crate::{
    ca::Hierarchy,
    clock::Clock,
    fault::Faults,
    journal::Journal,
    ledger::Ledger,
    sync::{read, write},
    vault,
};

/// One PKI. Everything in it lives in memory.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) hierarchy: Hierarchy,
    root_token: String,
    vault: RwLock<Arc<vault::State>>,
}

impl World {
    pub(crate) fn new(
        algorithm: KeyAlgorithm,
        root_token: String,
        ledger_capacity: usize,
        journal_capacity: usize,
    ) -> Result<Self, CaError> {
        let clock = Clock::default();
        let hierarchy = Hierarchy::generate(algorithm, clock.now())?;
        let vault = RwLock::new(Arc::new(vault::State::new(&hierarchy, &root_token, clock.now())?));
        Ok(Self {
            clock,
            ledger: Ledger::new(ledger_capacity),
            journal: Journal::new(journal_capacity),
            faults: Faults::default(),
            hierarchy,
            root_token,
            vault,
        })
    }

    pub(crate) fn vault(&self) -> Arc<vault::State> {
        Arc::clone(&read(&self.vault))
    }

    /// Back to how it started: same CAs, same root token, nothing else.
    pub(crate) fn reset(&self) -> Result<(), CaError> {
        self.clock.reset();
        let fresh = vault::State::new(&self.hierarchy, &self.root_token, self.clock.now())?;
        *write(&self.vault) = Arc::new(fresh);
        self.faults.clear();
        self.ledger.clear();
        self.journal.clear();
        Ok(())
    }
}
