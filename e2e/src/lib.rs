//! One suite, many clusters.
//!
//! ```text
//! scenario/<topic>.rs ──> World { client, namespace, controller, PKIs, … } <── arm/<cluster>.rs
//!  what must be true        what a scenario may touch                          how it came to be
//! ```
//!
//! * [`scenario`]: what must be true, each an async function whose name is a sentence. A scenario sees a
//!   [`world::World`] and nothing else: no arm, no process, no client of its own making.
//! * [`world`]: builders, level-triggered waits and the checks that follow every scenario.
//! * [`controller`]: what may be done to the controller, however it runs.
//! * [`pki`]: the PKIs that a scenario may ask for: mock-pki, one for each scenario, and a real OpenBao.
//! * [`line`]: a line to a PKI that is slow, or cut.
//! * [`judge`]: the openssl command line, which shares no code with the controller.
//! * [`arm`]: [`arm::local`] brings up a real control plane, with the controller as a process of its own under
//!   the RBAC that we ship.
//! * [`load`]: a load generator for any issuer, behind the `issue-load` program. No scenario uses it.
//! * [`suite`]: runs scenarios, several at once where they do not disturb each other, and prints what libtest
//!   would.

pub mod api;
pub mod arm;
pub mod audit;
pub mod controller;
pub mod judge;
pub mod line;
pub mod load;
pub mod manifest;
pub mod picture;
pub mod pki;
pub mod port;
pub mod process;
pub mod scenario;
pub mod suite;
pub mod world;

/// What a scenario or a step comes to.
pub type Result<T = ()> = anyhow::Result<T>;
