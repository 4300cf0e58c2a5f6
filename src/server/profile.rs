//! [`Profile`]: which set of limits applies where a setting gives none.
//!
//! Each limit declares its numbers for both profiles where the limit itself is declared; the
//! table of both is in `docs/operating.md`, and a test compares them.

/// Who reaches the server, and so how much one of them may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// People who know each other: a family, a school, a company. The limits are generous.
    #[default]
    Private,
    /// Anybody. The limits keep strangers from using up what others need.
    Public,
}

impl Profile {
    /// All profiles, in the order of the columns of the manual.
    pub const ALL: [Self; 2] = [Self::Private, Self::Public];

    /// Its name in `--profile`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The profile of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The value of this profile, of one for each.
    pub fn choose<T>(self, private: T, public: T) -> T {
        match self {
            Self::Private => private,
            Self::Public => public,
        }
    }
}
