//! The shared screens: larger than cameras, and not mirrored.

use crate::components::call::tile::Picture;
use crate::components::{ErasedShow, Icon, IconName, NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::protocol::Source;
use crate::session::Session;
use crate::state::call::Screen;
use crate::words;
use leptos::html::Button;
use leptos::prelude::*;

/// All shared screens.
#[component]
pub fn Screens(
    /// The current screens.
    screens: Memo<Vec<Screen>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let any = Memo::new(move |_| !screens.read().is_empty());
    view! {
        <ErasedShow when=any>
            <ul class="screens" aria-label=words!(i18n, call.shared_screens)>
                <For
                    each=move || screens.get()
                    key=|screen: &Screen| screen.id.clone()
                    children=move |screen| view! { <SharedScreen screen=screen.clone() screens /> }
                />
            </ul>
        </ErasedShow>
    }
}

/// One shared screen with the name of its participant.
#[component]
fn SharedScreen(
    /// The screen when the component was created.
    screen: Screen,
    /// The current screens.
    screens: Memo<Vec<Screen>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let (id, mine) = (screen.id.clone(), screen.mine);
    let participant_id = screen.id.clone();
    let name = Memo::new(move |_| session.nickname_of(&participant_id));
    let title = Signal::derive(move || match mine {
        true => t_string!(i18n, call.your_screen).to_owned(),
        false => t_string!(i18n, call.screen_of).replace("{name}", &name.read()),
    });
    let shown = move || match mine {
        true => isolate_names(t_string!(i18n, call.your_screen), &[]),
        false => {
            let [placeholder, _] = NAME_PLACEHOLDERS;
            let sentence = t_string!(i18n, call.screen_of).replace("{name}", placeholder);
            isolate_names(&sentence, &[name.read().as_str()])
        }
    };
    let now = move |screens: &[Screen]| {
        let found = screens.iter().find(|other| other.id == screen.id);
        found
            .map(|found| (found.version, found.paused))
            .unwrap_or_default()
    };
    let (version, paused) = {
        let of = now.clone();
        let version = Memo::new(move |_| of(&screens.read()).0);
        (version, Memo::new(move |_| now(&screens.read()).1))
    };
    view! {
        <li class="tile tile--screen" aria-label=title>
            <Picture id source=Source::Screen mine version />
            <FullScreen />
            <ErasedShow when=paused>
                <p class="tile__link">{words!(i18n, call.picture_paused)}</p>
            </ErasedShow>
            <p class="tile__name" translate="no">
                <span>{shown}</span>
            </p>
        </li>
    }
}

/// The button that shows the shared screen in full screen, if the browser supports it.
#[component]
fn FullScreen() -> impl IntoView {
    let i18n = use_i18n();
    let button = NodeRef::<Button>::new();
    let label = words!(i18n, call.full_screen);
    let fill = move || {
        #[cfg(feature = "hydrate")]
        if let Some(screen) = button.get_untracked().and_then(|b| b.parent_element()) {
            crate::browser::dom::fullscreen::toggle(&screen);
        }
    };
    view! {
        <ErasedShow when=Signal::stored(can_fill())>
            <button
                class="tile__button"
                type="button"
                aria-label=label
                title=label
                node_ref=button
                on:click=move |_| fill()
            >
                <Icon name=IconName::FullScreen />
            </button>
        </ErasedShow>
    }
}

/// Whether the browser supports full screen.
fn can_fill() -> bool {
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::fullscreen::is_there();
    #[cfg(not(feature = "hydrate"))]
    false
}
