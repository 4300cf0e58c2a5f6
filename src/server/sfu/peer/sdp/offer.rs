//! Parses offers on blocking threads.
//!
//! Parsing an SDP takes as long as forwarding hundreds of packets, so it happens before the offer
//! reaches the shard, a few offers at a time.

use crate::protocol::{MediaOffer, OfferedTrack};
use std::{ops::Deref, sync::Arc};
use str0m::change::SdpOffer;
use tokio::sync::Semaphore;

use super::msid::add_stream_ids;

/// Media sections of one offer. 64: four of the sender, six for audio, and more for video than a
/// screen shows.
const MAX_MEDIA_SECTIONS: usize = 64;
/// Offers that are parsed at the same time; others wait, at most one per connection. 2: the
/// processors of the smallest server.
static PARSER_PERMITS: Semaphore = Semaphore::const_new(2);

/// A parsed offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The offer as received.
    offer: MediaOffer,
    /// The parsed SDP; none where it is malformed. Shared by clones, taken by one of them.
    description: Option<Arc<SdpOffer>>,
}

impl Offer {
    /// Parses an offer on this thread.
    pub fn new(offer: MediaOffer) -> Self {
        let descriptions = offer.sdp.lines().filter(|line| line.starts_with("m="));
        let fits = offer.is_within_limits() && descriptions.count() <= MAX_MEDIA_SECTIONS;
        let description = fits.then(|| parse_sdp(&offer.sdp)).flatten().map(Arc::new);
        Self { offer, description }
    }

    /// Parses an offer on a blocking thread. A panic of str0m counts as a malformed SDP.
    pub async fn parse(offer: MediaOffer) -> Self {
        let empty = |offer| Self {
            offer,
            description: None,
        };
        let Ok(_turn) = PARSER_PERMITS.acquire().await else {
            return empty(offer);
        };
        let unread = offer.clone();
        let read = tokio::task::spawn_blocking(move || Self::new(offer));
        read.await.unwrap_or_else(|_| empty(unread))
    }

    /// The SDP text, the offered tracks, and the parsed SDP where it is well-formed.
    pub(in crate::server::sfu) fn into_parts(
        self,
    ) -> (String, Vec<OfferedTrack>, Option<SdpOffer>) {
        let Self { offer, description } = self;
        // A clone still holds it: parse again.
        let description = description.and_then(|shared| {
            Arc::try_unwrap(shared).map_or_else(|_| parse_sdp(&offer.sdp), Some)
        });
        (offer.sdp, offer.tracks, description)
    }
}

impl Deref for Offer {
    type Target = MediaOffer;
    fn deref(&self) -> &MediaOffer {
        &self.offer
    }
}

/// Parses an SDP.
fn parse_sdp(sdp: &str) -> Option<SdpOffer> {
    SdpOffer::from_sdp_string(&add_stream_ids(sdp)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(sdp: String) -> Offer {
        Offer::new(MediaOffer {
            connection: 1,
            offer_id: 1,
            sdp,
            tracks: vec![],
        })
    }

    #[test]
    fn an_offer_of_more_descriptions_than_anybody_needs_is_not_read() {
        let chromium = include_str!("../../../../tests/corpus/offer.sdp");
        assert!(offer(chromium.to_owned()).into_parts().2.is_some());
        let many = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(MAX_MEDIA_SECTIONS + 1);
        assert!(offer(format!("{chromium}{many}")).description.is_none());
        assert!(offer("v=0".to_owned()).into_parts().2.is_none());
    }

    #[tokio::test]
    async fn a_clone_of_an_offer_says_the_same() {
        let sdp = include_str!("../../../../tests/corpus/offer.sdp").to_owned();
        let (connection, offer_id, tracks) = (1, 1, vec![]);
        let read = Offer::parse(MediaOffer {
            connection,
            offer_id,
            sdp,
            tracks,
        });
        let read = read.await;
        let again = read.clone();
        let text = |offer: Offer| offer.into_parts().2.map(|sdp| sdp.to_sdp_string());
        let first = text(again);
        assert!(first.is_some());
        assert_eq!(first, text(read));
    }
}
