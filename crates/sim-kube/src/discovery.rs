//! The discovery documents: /api, /apis, /version and the health paths.
