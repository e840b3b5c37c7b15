//! The OpenAPI v3 documents, recorded for built-in kinds and made for custom ones.
