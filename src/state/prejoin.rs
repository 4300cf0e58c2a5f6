//! Decides whether a page opened at a call may enter it without a press of "Join now".
//!
//! Entering switches the camera and the microphone on, so another site must not be able to
//! cause it. A navigation enters only if the server saw that a page of this site started it.
//! A reload enters only in a tab that was in the call, because another site cannot reload this
//! tab. Going back or forward never enters, because any page of the history can do that.

/// How the browser opened this document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// By a link, a redirect, a form, a script, or the address bar.
    Navigation,
    /// The user reloaded it.
    Reload,
    /// By going back or forward, or in a way that the browser does not report.
    Other,
}

impl Opening {
    /// Parses a `NavigationTimingType` (W3C Navigation Timing).
    pub fn of_type(name: &str) -> Self {
        match name {
            "navigate" => Self::Navigation,
            "reload" => Self::Reload,
            _ => Self::Other,
        }
    }
}

/// The facts about a document that was opened at a call.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// How the document was opened at this address.
    pub opening: Opening,
    /// Whether a page of this site started the navigation, as the server saw it.
    pub own_navigation: bool,
    /// Whether the address asks to skip the prejoin page: `?prejoin=0`.
    pub asks_to_skip: bool,
    /// Whether this tab was in this call when its previous document ended.
    pub was_in_call: bool,
}

impl Arrival {
    /// Whether the call may be entered without a press.
    pub fn enters_at_once(self) -> bool {
        match self.opening {
            Opening::Navigation => self.own_navigation && self.asks_to_skip,
            Opening::Reload => self.was_in_call,
            Opening::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The combinations of the three facts that enter the call, for one way of opening.
    fn entering(opening: Opening) -> Vec<(bool, bool, bool)> {
        let flags = [false, true];
        let mut entering = Vec::new();
        for own_navigation in flags {
            for asks_to_skip in flags {
                for was_in_call in flags {
                    let arrival = Arrival {
                        opening,
                        own_navigation,
                        asks_to_skip,
                        was_in_call,
                    };
                    if arrival.enters_at_once() {
                        entering.push((own_navigation, asks_to_skip, was_in_call));
                    }
                }
            }
        }
        entering
    }

    #[test]
    fn only_a_navigation_of_our_own_skips_the_question_and_only_where_it_asks_to() {
        let both = [(true, true, false), (true, true, true)];
        assert_eq!(entering(Opening::Navigation), both);
    }

    #[test]
    fn a_reload_goes_back_into_the_call_the_tab_was_in_and_into_no_other() {
        assert!(entering(Opening::Reload).iter().all(|(_, _, was)| *was));
        assert_eq!(entering(Opening::Reload).len(), 4);
    }

    #[test]
    fn the_history_enters_no_call() {
        assert_eq!(entering(Opening::of_type("back_forward")), []);
        assert_eq!(entering(Opening::of_type("prerender")), []);
        assert_eq!(entering(Opening::of_type("")), []);
    }
}
