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
//! under tokio's paused time, and an HTTPS server for everybody else.
//!
//! What it answers, codes and messages alike, is what a real kube-apiserver answers; where the two differ, this
//! one is wrong.

pub mod access;
pub mod admission;
pub mod apply;
pub mod authn;
mod body;
pub mod builtin;
pub mod call;
mod chance;
#[cfg(feature = "client")]
pub mod client;
pub mod cluster;
mod controllers;
mod definition;
pub mod discovery;
mod events;
pub mod fault;
mod go_print;
mod go_values;
mod hash;
#[cfg(feature = "https")]
pub mod https;
pub mod identity;
pub mod meta;
mod object;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod rbac;
pub mod resource;
mod respond;
mod route;
pub mod schema;
mod schemas;
pub mod select;
mod selection;
#[cfg(feature = "served")]
mod served;
#[cfg(feature = "served")]
pub mod server;
mod shape;
pub mod status;
pub mod store;
mod strategy;
pub mod table;
mod verbs;
pub mod watch;

pub use call::{Call, Params, Verb};
pub use cluster::{Answer, Cluster, ExpiredWatch, Options};
pub use identity::Identity;
pub use resource::{GroupResource, Kind, Registry};
pub use status::{Cause, Details, Failure};
pub use store::Store;
pub use watch::{Cut, WatchId, WatchStep};
