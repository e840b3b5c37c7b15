//! What must be true of the controller, on every cluster.
//!
//! A topic is a file, and a scenario an async function in it; its name is a sentence. A scenario sees a
//! [`World`](crate::world::World) and nothing else.

mod answers;
mod approval;
mod clock;
mod crash;
mod crd;
mod deletion;
mod examples;
mod hostile;
mod in_tree;
mod late;
mod lookup;
mod mockca;
mod pending;
mod pki_down;
mod process;
mod published;
mod renewal;
mod vault;

use crate::suite::Scenario;

/// Lists a topic's scenarios: `beside` others, or `alone`; one with a `wrong_clock` is alone, too; what is `unread` by
/// a webhook is beside others.
macro_rules! scenarios {
    ($topic:literal: $($mode:ident $name:ident),+ $(,)?) => {
        pub(super) const ALL: &[$crate::suite::Scenario] = &[$(
            $crate::suite::Scenario {
                name: concat!($topic, "::", stringify!($name)),
                mode: $crate::scenario::scenarios!(@ $mode),
                run: |world| Box::pin($name(world)),
            }
        ),+];
    };
    (@ beside) => { $crate::suite::Mode::Beside };
    (@ alone) => { $crate::suite::Mode::Alone };
    (@ unread) => { $crate::suite::Mode::Unread };
    (@ wrong_clock) => { $crate::suite::Mode::WrongClock };
}
use scenarios;

/// Every scenario.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        mockca::ALL,
        vault::ALL,
        pki_down::ALL,
        answers::ALL,
        hostile::ALL,
        crd::ALL,
        late::ALL,
        lookup::ALL,
        renewal::ALL,
        deletion::ALL,
        in_tree::ALL,
        examples::ALL,
        pending::ALL,
        approval::ALL,
        process::ALL,
        clock::ALL,
        crash::ALL,
    ]
    .concat()
}
