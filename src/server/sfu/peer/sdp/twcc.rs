//! Negotiation of transport-wide congestion control
//! (draft-holmer-rmcat-transport-wide-cc-extensions).

use str0m::rtp::{Extension, ExtensionMap};

/// Whether an offer asks for transport-wide sequence numbers and for feedback about them.
pub fn is_offered(sdp: &str) -> bool {
    sdp.contains("transport-wide-cc-extensions-01") && sdp.contains("transport-cc")
}

/// The id of the header extension.
pub fn extension_id(extensions: &ExtensionMap) -> Option<u8> {
    extensions.id_of(Extension::TransportSequenceNumber)
}

/// All header extensions except the one for transport-wide sequence numbers.
pub fn extensions_without_twcc() -> ExtensionMap {
    let mut others = ExtensionMap::empty();
    for (id, extension) in ExtensionMap::standard().iter() {
        if *extension != Extension::TransportSequenceNumber {
            others.set(id, extension.clone());
        }
    }
    others
}
