//! Field ownership: server-side apply, and the tracking of every other write.
