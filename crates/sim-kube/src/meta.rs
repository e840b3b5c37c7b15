//! The rules of `metadata`: what the server sets, what nobody may change, which names are names.
