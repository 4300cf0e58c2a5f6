//! Noom from outside: benchmarks beside its peers, and chaos.
//!
//! Nothing here knows the server's code: it speaks the documented protocol to the
//! real binary, as a stranger's client would.
