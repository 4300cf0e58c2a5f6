//! In-crate integration tests: a real server on port 0 and typed clients.
