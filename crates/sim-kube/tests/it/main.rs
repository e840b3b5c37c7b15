//! The simulated API server, asked as clients ask it.

mod apply_recorded;
mod client;
mod driver;
mod leaving;
mod objects;
mod reads;
mod validate_recorded;
mod watches;
