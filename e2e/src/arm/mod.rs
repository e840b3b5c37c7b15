//! How a cluster, a controller and PKIs come to the suite.

pub mod local;
pub mod sim;
