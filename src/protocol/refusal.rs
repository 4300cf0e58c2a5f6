//! Reasons why the server refuses a connection.
//!
//! A browser hides the status and headers of a refused WebSocket from the page. The page
//! therefore sends `POST /ws` and reads the reason from the header [`REFUSAL_HEADER`] of the
//! response. A refusal without that header comes from an intermediary.

/// The header that names the reason.
pub const REFUSAL_HEADER: &str = "noom-refusal";

listed_enum! {
    /// Why a connection is refused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Refusal {
        /// 403: the request's origin is not the server's.
        ForeignOrigin,
        /// 421: the `Host` of the request is not a name of this server.
        UnknownHost,
        /// 429: the client's address has reached its limit of connections.
        TooManyConnections,
        /// 503: the server has reached its limit of connections.
        ServerFull,
    }
}

impl Refusal {
    /// The header's value.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ForeignOrigin => "foreign_origin",
            Self::UnknownHost => "unknown_host",
            Self::TooManyConnections => "too_many_connections",
            Self::ServerFull => "server_full",
        }
    }

    /// Parses the header's value; `None` for a reason that only a newer server knows.
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
