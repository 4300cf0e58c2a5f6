//! Closes a menu that is open when its user turns to something else.

use leptos::ev::{keydown, pointerdown};
use leptos::html::Div;
use leptos::prelude::*;

/// Closes a menu, while it is open, on a press outside of its element and on Escape anywhere.
pub fn dismiss_outside(element: NodeRef<Div>, is_open: Signal<bool>, close: Callback<()>) {
    // Effects run in the browser only.
    Effect::new(move || {
        if !is_open.get() {
            return;
        }
        let press = window_event_listener(pointerdown, move |event| {
            if !is_inside(element, &event) {
                close.run(());
            }
        });
        let key = window_event_listener(keydown, move |event| {
            if event.key() == "Escape" && !event.default_prevented() {
                close.run(());
            }
        });
        on_cleanup(move || {
            press.remove();
            key.remove();
        });
    });
}

/// Whether an event happens inside an element.
fn is_inside(element: NodeRef<Div>, event: &leptos::ev::PointerEvent) -> bool {
    #[cfg(feature = "hydrate")]
    {
        let element = element.get_untracked();
        element.is_some_and(|element| event.composed_path().includes(&element, 0))
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = (element, event);
        false
    }
}
