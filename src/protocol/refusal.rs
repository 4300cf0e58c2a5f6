//! Why the server lets nobody connect, as programs read it.
//!
//! A browser tells a page nothing of a WebSocket that was refused. So the page asks again by a
//! plain request (`POST /ws`), and reads the reason in the header [`REFUSAL_HEADER`] of the
//! answer. A refusal without that header comes from something between the two.

/// The header that names the reason.
pub const REFUSAL_HEADER: &str = "noom-refusal";

listed_enum! {
    /// Why a connection is refused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Refusal {
        /// 403: the page belongs to another origin than the server's.
        ForeignOrigin,
        /// 421: the server does not know itself by the host of the address.
        UnknownHost,
        /// 429: the address holds as many connections as it may.
        TooManyConnections,
        /// 503: the server holds as many connections as it may.
        ServerFull,
    }
}

impl Refusal {
    /// The value of the header.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ForeignOrigin => "foreign_origin",
            Self::UnknownHost => "unknown_host",
            Self::TooManyConnections => "too_many_connections",
            Self::ServerFull => "server_full",
        }
    }

    /// The refusal named by this header; none if only a newer server knows it.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_read_back_from_its_code() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::parse(refusal.code()), Some(refusal));
        }
        assert_eq!(Refusal::parse("moon_phase"), None);
    }
}
