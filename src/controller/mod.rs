//! The controller at work: it watches, loads, does what was decided, and is the only writer of status.
//!
//! * `watch.rs`: the streams of requests and issuers, into the stores.
//! * `store.rs`: the unfinished requests. `issuers.rs`: the issuers and how they stand.
//! * `references.rs`: the ConfigMaps and Secrets that issuers refer to, one small watch each.
//! * `queue.rs`: which request or issuer is worked on when.
//! * `load.rs`: the stores and the clock, into a snapshot.
//! * `request.rs`, `issuer.rs`: a decision, carried out. `answer.rs`: an answer, on its way home.
//! * `unused.rs`: certificates that no request has.
//! * `status.rs`: the only writer of status. `events.rs`: the events beside it.

pub mod answer;
pub mod events;
pub mod issuer;
pub mod issuers;
pub mod load;
pub mod queue;
pub mod references;
pub mod request;
pub mod status;
pub mod store;
pub mod unused;
mod version;
pub mod watch;

/// The field manager of everything we apply, and the reporting controller of our events.
pub const MANAGER: &str = "external-issuer";
