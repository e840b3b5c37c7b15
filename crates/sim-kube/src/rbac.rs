//! Role-based access control over the roles and bindings in the store.
