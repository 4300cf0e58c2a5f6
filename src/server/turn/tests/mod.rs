//! A real server on port 0 and small clients made of the codec: each test is a claim about
//! what one of them gets.

mod amplification;
mod client;
mod credentials;
mod families;
mod forwarding;
mod frames;
mod harness;
mod hostile;
mod lifetimes;
mod permissions;
mod quotas;
mod refusals;
mod sessions;
mod streams;
mod wire;
