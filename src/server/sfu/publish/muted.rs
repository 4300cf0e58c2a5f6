//! The sources of a peer that a host muted: their packets reach nobody.

use crate::protocol::Source;

/// A set of sources. The default is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MutedSources {
    /// Whether the set has a source, indexed by its discriminant.
    has: [bool; Source::ALL.len()],
}

impl MutedSources {
    /// Whether the set has this source.
    pub fn contains(self, source: Source) -> bool {
        self.has[source as usize]
    }
}

impl FromIterator<Source> for MutedSources {
    fn from_iter<T: IntoIterator<Item = Source>>(sources: T) -> Self {
        let mut set = Self::default();
        for source in sources {
            set.has[source as usize] = true;
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_has_the_sources_that_it_was_made_of(
            sources in prop::collection::vec(prop::sample::select(&Source::ALL[..]), 0..9),
        ) {
            let set: MutedSources = sources.iter().copied().collect();
            for source in Source::ALL {
                prop_assert_eq!(set.contains(source), sources.contains(&source));
            }
        }
    }
}
