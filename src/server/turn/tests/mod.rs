//! Tests of the TURN server: with sockets on loopback ([`client`]), or without sockets and with a
//! clock of the test ([`harness`]). The clients use the codec of `turn-server`.

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
