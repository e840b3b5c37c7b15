//! Every rule of the controller, as functions from a snapshot to a value.
//!
//! Nothing here awaits, asks for the time, draws a random number, logs, or talks to anything. The promises,
//! each a property test of that name in `tests.rs`: *total*, *deterministic*, *not ours not touched*, *no
//! approval no signature*, *terminal is terminal*, *issuer first*, *certificate iff issued*, *idempotent*,
//! *transition time honest*, *bounded*, *no secret leaves*, *matched*.

pub mod conclude;
pub mod earlier;
pub mod issuer;
pub mod patch;
pub mod recipe;
pub mod request;
pub mod retry;
pub mod snapshot;

#[cfg(test)]
mod earlier_tests;
#[cfg(test)]
mod issuer_tests;
#[cfg(test)]
mod staircase;
#[cfg(test)]
mod tests;

pub use conclude::{Conclusion, Next, conclude};
pub use earlier::{Adoption, Earlier, Precaution, Unused, Waste, adopt};
pub use patch::{Notice, StatusPatch};
pub use request::{Action, Ignored, Step, decide};
pub use snapshot::{IssuerView, Memory, Pause, RequestSnapshot, Terms};
