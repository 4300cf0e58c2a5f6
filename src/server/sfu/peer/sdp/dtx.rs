//! Discontinuous transmission of Opus (DTX, RFC 7587 6.1).

/// How str0m's answer asks for forward error correction of Opus.
const FEC: &str = "useinbandfec=1";

/// The answer with a request not to send silence: of thirty participants few speak. str0m
/// cannot ask for DTX together with RED.
pub fn with_dtx(answer: &str) -> String {
    answer.replace(FEC, &format!("{FEC};usedtx=1"))
}
