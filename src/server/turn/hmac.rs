//! HMAC-SHA1, which RFC 8489 and the TURN REST API prescribe.
//!
//! Receivers compare with `verify_slice` or `verify_truncated_left`, which take constant time.

use hmac::Hmac;
pub use hmac::Mac;
use sha1::Sha1;

/// The state of an HMAC-SHA1 computation.
pub type HmacSha1 = Hmac<Sha1>;

/// Starts an HMAC-SHA1 with this key; the caller adds the input.
pub fn hmac_sha1(key: &[u8]) -> HmacSha1 {
    HmacSha1::new_from_slice(key).expect("HMAC takes keys of any length")
}
