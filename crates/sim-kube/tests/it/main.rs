//! The simulated API server, asked as clients ask it.

mod access;
mod client;
mod driver;
mod leaving;
mod objects;
mod owners;
mod reads;
mod watches;
