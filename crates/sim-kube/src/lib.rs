//! A Kubernetes API server in a process, for tests that turn the clock by hand and for trying things out.
//!
//! ```text
//! http request ──> call (verb, resource, name, query) ──> authorize ──> verbs ──> Response or Watch
//!                                                                         │
//!                                            store: objects, and their history by revision
//! ```
//!
//! The core is synchronous and deterministic: [`Cluster::handle`] takes the time and the caller as arguments,
//! and what chance decides (uids, generated names) comes from a seed. It knows no socket, no runtime and no
//! clock. Two skins put it behind what clients speak: [`client`] a `kube::Client` with no sockets, which works
//! under tokio's paused time, and an HTTPS server.
//!
//! What it answers, codes and messages alike, is what a real kube-apiserver answers; where the two differ, this
//! one is wrong.

pub mod access;
pub mod admission;
pub mod apply;
pub mod authn;
pub mod builtin;
pub mod call;
pub mod cluster;
pub mod discovery;
mod go_print;
pub mod identity;
pub mod meta;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod rbac;
pub mod resource;
pub mod schema;
pub mod select;
pub mod status;
pub mod store;
pub mod table;

pub use call::{Call, Params, Verb};
pub use cluster::{Answer, Cluster, Options};
pub use identity::Identity;
pub use resource::{GroupResource, Kind, Registry};
pub use status::{Cause, Details, Failure};
pub use store::Store;
