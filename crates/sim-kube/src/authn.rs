//! Who calls: bearer tokens, client certificates, impersonation.
