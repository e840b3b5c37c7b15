//! The simulated API server, asked as clients ask it.

mod client;
mod driver;
mod leaving;
mod objects;
mod reads;
mod watches;
