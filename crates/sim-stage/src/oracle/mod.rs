//! The oracle: whether a run kept the promises I1 to I20, by what could be seen from outside the controller.
//!
//! It reads [`Evidence`] and nothing else: the store's history, the calls to the API server and to the PKI, the PKI's
//! ledger and the log. What it cannot see there it does not claim: [`INVARIANTS`] says for each what is judged, and for
//! what is not, which test does that instead.

mod attempts;
mod end_state;
mod facts;
mod leaders;
mod secrecy;
mod signing;
mod statuses;

use std::fmt;

use jiff::Timestamp;

use self::facts::Facts;
use crate::record::Evidence;

pub use self::end_state::shape;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise: `I1`.
    pub invariant: &'static str,
    /// What it was broken on.
    pub object: String,
    /// When.
    pub at: Timestamp,
    /// What shows it.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken on {} at {}: {}", self.invariant, self.object, self.at, self.evidence)
    }
}

/// A promise, and who judges it.
#[derive(Clone, Copy)]
pub struct Invariant {
    /// `I1`.
    pub name: &'static str,
    /// What is promised.
    pub sentence: &'static str,
    /// What of it cannot be seen here, and which test sees it.
    pub elsewhere: Option<&'static str>,
    judge: fn(&Facts<'_>, &mut Found),
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.sentence)
    }
}

/// Where a judge says what it found.
pub(crate) struct Found {
    invariant: &'static str,
    violations: Vec<Violation>,
}

impl Found {
    fn add(&mut self, object: impl Into<String>, at: Timestamp, evidence: impl Into<String>) {
        let (object, evidence) = (object.into(), evidence.into());
        self.violations.push(Violation { invariant: self.invariant, object, at, evidence });
    }
}

/// The promises.
pub const INVARIANTS: [Invariant; 20] = [
    Invariant {
        name: "I1",
        sentence: "Of the certificates that the PKI issued for a request at most one is published, and every other is \
                   explained by something that went wrong.",
        elsewhere: None,
        judge: signing::i1,
    },
    Invariant {
        name: "I2",
        sentence: "What is published has the key and the names that were asked for, lives no longer than asked, and \
                   chains up to what is published as its CA.",
        elsewhere: Some("every other difference: crates/x509/tests/it/judging.rs"),
        judge: signing::i2,
    },
    Invariant {
        name: "I3",
        sentence: "The PKI is asked only for requests that are approved and not denied.",
        elsewhere: None,
        judge: signing::i3,
    },
    Invariant {
        name: "I4",
        sentence: "A certificate is written once, a finished request stays as it is, and failureTime comes with \
                   Failed or Denied.",
        elsewhere: None,
        judge: statuses::i4,
    },
    Invariant {
        name: "I5",
        sentence: "A certificate lands only on the request it was asked for, and the PKI is not asked for what is \
                   finished.",
        elsewhere: None,
        judge: signing::i5,
    },
    Invariant {
        name: "I6",
        sentence: "Every write of a status carries the resourceVersion that it was decided on.",
        elsewhere: None,
        judge: statuses::i6,
    },
    Invariant {
        name: "I7",
        sentence: "Who asks the PKI holds the Lease by what it last wrote, and no longer than that lasts.",
        elsewhere: Some("every interleaving of the Lease alone: src/lease/model.rs"),
        judge: leaders::i7,
    },
    Invariant {
        name: "I8",
        sentence: "The Secret always holds a certificate and its key, and never an older one than before.",
        elsewhere: Some(
            "that it is always valid, through a month of outages: crates/sim-stage/tests/it/month.rs",
        ),
        judge: end_state::i8,
    },
    Invariant {
        name: "I9",
        sentence: "Once all is well, every approved request comes to an end, and every issuer is Ready.",
        elsewhere: None,
        judge: end_state::i9,
    },
    Invariant {
        name: "I10",
        sentence: "What may pass does not fail a request; what will not pass does.",
        elsewhere: Some("the deadline of retries: src/decide/tests.rs"),
        judge: statuses::i10,
    },
    Invariant {
        name: "I11",
        sentence: "Nothing is tried in a hot loop, and a PKI that says when to come back is left alone until then.",
        elsewhere: None,
        judge: attempts::i11,
    },
    Invariant {
        name: "I12",
        sentence: "No credential and no private key is in a log, an event, a status or a URL.",
        elsewhere: Some("labels of metrics, which need a scrape: e2e's scenarios scan /metrics"),
        judge: secrecy::i12,
    },
    Invariant {
        name: "I13",
        sentence: "Nothing panics, nothing is held by a finalizer, and a namespace that is deleted goes.",
        elsewhere: None,
        judge: end_state::i13,
    },
    Invariant {
        name: "I14",
        sentence: "The PKI is called with the credential that the issuer's Secret holds or held a moment ago.",
        elsewhere: None,
        judge: secrecy::i14,
    },
    Invariant {
        name: "I15",
        sentence: "Only Secrets and ConfigMaps that an issuer names are read, and only where it may name them.",
        elsewhere: None,
        judge: secrecy::i15,
    },
    Invariant {
        name: "I16",
        sentence: "An event that is refused fails nothing.",
        elsewhere: None,
        judge: end_state::i16,
    },
    Invariant {
        name: "I17",
        sentence: "The store ends as it would have ended without a crash.",
        elsewhere: Some(
            "the comparison needs a second run: crates/sim-stage/tests/it/faults.rs compares each with one",
        ),
        judge: nothing,
    },
    Invariant {
        name: "I18",
        sentence: "A watch that ends is opened again.",
        elsewhere: None,
        judge: attempts::i18,
    },
    Invariant {
        name: "I19",
        sentence: "Nothing is done before everything was listed, nothing is begun after the word to stop, and the end \
                   comes in time.",
        elsewhere: Some("the readiness endpoint, which needs a socket: src/admin.rs"),
        judge: leaders::i19,
    },
    Invariant {
        name: "I20",
        sentence: "A wrong clock makes no certificate that lives longer than asked, and no loop of renewals.",
        elsewhere: None,
        judge: attempts::i20,
    },
];

fn nothing(_: &Facts<'_>, _: &mut Found) {}

/// The promises that were broken, in their order.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    let facts = Facts::of(evidence);
    let judged = INVARIANTS.iter().flat_map(|invariant| {
        let mut found = Found { invariant: invariant.name, violations: Vec::new() };
        (invariant.judge)(&facts, &mut found);
        found.violations
    });
    judged.collect()
}
