//! That no Secret is ever without a valid pair of key and certificate: at every write, and at every moment between two.
//!
//! Every write of a Secret is read from the cluster's history with the time at which it was done. The pair that it
//! leaves must belong together and be valid at that time, and the pair that it replaces must have been valid until
//! then; so there is no moment without one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sim_kube::GroupResource;
use sim_stage::Stage;
use x509::Certificate;

use crate::common::leaf;

/// Well within what the cluster remembers.
const LOOK_EVERY: Duration = Duration::from_mins(30);

/// Looks after the Secrets of a stage.
pub(crate) struct Custody<'a> {
    stage: &'a Stage,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Up to this revision.
    revision: u64,
    pairs: BTreeMap<String, Certificate>,
    serials: BTreeSet<String>,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) secrets: usize,
    /// Different certificates in them.
    pub(crate) certificates: usize,
}

impl<'a> Custody<'a> {
    pub(crate) fn of(stage: &'a Stage) -> Self {
        let revision = stage.server().with(|cluster, _| cluster.store().revision());
        Self { stage, seen: RefCell::new(Seen { revision, ..Seen::default() }) }
    }

    /// Looks for ever.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look();
        }
    }

    /// Looks once more, and says what was seen.
    pub(crate) fn end(self) -> Kept {
        self.look();
        let (seen, now) = (self.seen.into_inner(), self.stage.clock().now());
        for (path, leaf) in &seen.pairs {
            assert_valid(path, leaf, now);
        }
        Kept { secrets: seen.pairs.len(), certificates: seen.serials.len() }
    }

    fn look(&self) {
        let secrets = GroupResource::new("", "secrets");
        let mut seen = self.seen.borrow_mut();
        let changes: Vec<_> = self.stage.server().with(|cluster, _| {
            let store = cluster.store();
            assert!(store.compacted() <= seen.revision, "the cluster forgot what was not looked at");
            let changes: Vec<_> = store
                .changes_after(seen.revision)
                .filter(|change| change.resource == secrets)
                .map(|change| (change.at, change.path.clone(), change.new.clone()))
                .collect();
            seen.revision = store.revision();
            changes
        });
        for (at, path, new) in changes {
            // cert-manager's next keys are not in use yet.
            let is_pair = |secret: &Value| secret["type"] == "kubernetes.io/tls";
            if let Some(old) = seen.pairs.get(&path) {
                assert_valid(&path, old, at);
                assert!(
                    new.as_deref().is_some_and(is_pair),
                    "{path}: there was a pair and now there is none"
                );
            }
            let Some(new) = new.filter(|new| is_pair(new)) else { continue };
            let leaf = leaf(&path, &new);
            assert_valid(&path, &leaf, at);
            if seen.pairs.get(&path).map(Certificate::serial_hex) != Some(leaf.serial_hex()) {
                assert!(seen.serials.insert(leaf.serial_hex()), "{path}: an old certificate came back");
            }
            seen.pairs.insert(path, leaf);
        }
    }
}

fn assert_valid(path: &str, leaf: &Certificate, at: Timestamp) {
    assert!(
        leaf.not_before() <= at && at < leaf.not_after(),
        "{path}: at {at} its certificate is not valid, but from {} until {}",
        leaf.not_before(),
        leaf.not_after()
    );
}
