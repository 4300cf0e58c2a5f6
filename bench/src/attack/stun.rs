//! The STUN and TURN messages of an attacker (RFC 8489, RFC 8656).

use anyhow::{Context, Result, bail};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};
use turn_server::codec::crypto::{generate_password, hmac_sha1};
use turn_server::codec::message::attributes::PasswordAlgorithm;

/// Message type: Allocate request.
const ALLOCATE: u16 = 0x0003;
/// Message type: Allocate success response.
const ALLOCATED: u16 = 0x0103;
/// USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, REQUESTED-TRANSPORT.
const ATTRIBUTES: [u16; 5] = [0x0006, 0x0008, 0x0014, 0x0015, 0x0019];
/// The magic cookie of RFC 8489, section 5.
const COOKIE: u32 = 0x2112_A442;
/// Bytes of the message header.
const HEADER: usize = 20;
/// Longest wait for a response.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Allocates a relay address. The returned socket keeps the allocation.
///
/// # Errors
/// The server refuses, or does not respond.
pub async fn allocate(
    source: Ipv4Addr,
    turn: u16,
    username: &str,
    password: &str,
) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::from((source, 0))).await?;
    socket.connect((Ipv4Addr::LOCALHOST, turn)).await?;
    let [_, _, realm, nonce, transport] = ATTRIBUTES;
    let challenge = ask(&socket, message(&[(transport, &[17, 0, 0, 0])])).await?;
    let realm_text = attribute(&challenge, realm).context("no realm")?;
    let nonce_text = attribute(&challenge, nonce).context("no nonce")?;
    let realm_name = std::str::from_utf8(realm_text)?;
    let key = generate_password(username, password, realm_name, PasswordAlgorithm::Md5);
    let [name, integrity, ..] = ATTRIBUTES;
    let mut request = message(&[
        (transport, &[17, 0, 0, 0]),
        (name, username.as_bytes()),
        (realm, realm_text),
        (nonce, nonce_text),
    ]);
    // The length includes MESSAGE-INTEGRITY, which follows (RFC 8489, section 14.5).
    set_length(&mut request, 24);
    let mac = hmac_sha1(key.as_ref(), &[&request]);
    request.extend(integrity.to_be_bytes());
    request.extend(20_u16.to_be_bytes());
    request.extend(mac);
    let answer = ask(&socket, request).await?;
    match u16::from_be_bytes([answer[0], answer[1]]) {
        ALLOCATED => Ok(socket),
        other => bail!("the relay answers {other:#06x}"),
    }
}

/// Sends one datagram.
pub async fn send_datagram(source: Ipv4Addr, port: u16, bytes: &[u8]) -> Result<()> {
    let socket = UdpSocket::bind(SocketAddr::from((source, 0))).await?;
    socket.send_to(bytes, (Ipv4Addr::LOCALHOST, port)).await?;
    Ok(())
}

/// A Binding request.
pub fn binding() -> Vec<u8> {
    let mut bytes = message(&[]);
    bytes[..2].copy_from_slice(&1_u16.to_be_bytes());
    bytes
}

/// An Allocate request with the given attributes.
fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(ALLOCATE.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(COOKIE.to_be_bytes());
    bytes.extend(&uuid::Uuid::now_v7().as_bytes()[4..]);
    for (kind, value) in attributes {
        bytes.extend(kind.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    set_length(&mut bytes, 0);
    bytes
}

/// Writes the length field: the bytes so far and `more`.
fn set_length(bytes: &mut [u8], more: usize) {
    let length = (bytes.len() - HEADER + more) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Sends a message and waits for the response.
async fn ask(socket: &UdpSocket, message: Vec<u8>) -> Result<Vec<u8>> {
    socket.send(&message).await?;
    let mut answer = vec![0; 1500];
    let size = timeout(TIMEOUT, socket.recv(&mut answer)).await??;
    answer.truncate(size);
    anyhow::ensure!(size >= HEADER, "a short answer");
    Ok(answer)
}

/// The value of an attribute of a response.
fn attribute(answer: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = answer.get(HEADER..)?;
    while rest.len() >= 4 {
        let kind = u16::from_be_bytes([rest[0], rest[1]]);
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if kind == wanted {
            return rest.get(4..4 + length);
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_behind_padding() {
        let bytes = message(&[(6, b"abc"), (20, b"noom")]);
        assert_eq!(attribute(&bytes, 20), Some(&b"noom"[..]));
        assert_eq!(attribute(&bytes, 21), None);
        assert_eq!(
            usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
            bytes.len() - HEADER
        );
    }
}
