//! What a real API server answered, replayed against the pure functions.

mod apply;
mod validate;
