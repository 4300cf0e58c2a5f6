//! The toolbar of the call: one tab stop, arrow keys within (WAI-ARIA APG,
//! toolbar pattern). Ctrl+D and Ctrl+E switch microphone and camera from anywhere.

use crate::components::call::host_notices::{Why, restriction};
use crate::components::{ErasedShow, Icon, IconName};
use crate::i18n::*;
use crate::paths::{address, to_address};
use crate::protocol::Source;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::state::standing::Restriction;
use crate::words;
use leptos::ev::KeyboardEvent;
use leptos::html::Div;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

/// Toolbar of the call.
#[component]
pub fn CallControls(
    /// Opens the settings.
    on_settings: Callback<()>,
    /// Opens or closes the chat on narrow screens.
    on_chat: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let bar = NodeRef::<Div>::new();
    let devices = session.call.devices();
    let microphone = Memo::new(move |_| devices.read().microphone);
    let camera = Memo::new(move |_| devices.read().camera);
    let screen = Memo::new(move |_| devices.read().screen);
    let choices = session.call.choices();
    let can_share = Memo::new(move |_| !choices.read().screen_cannot_be_shared);
    shortcuts(session);
    let [microphone_why, camera_why, screen_why] =
        [Source::Microphone, Source::Camera, Source::Screen]
            .map(|source| restriction(session, source));
    view! {
        <div class="controls__reasons">
            <Why id="why-microphone" restriction=microphone_why />
            <Why id="why-camera" restriction=camera_why />
            <Why id="why-screen" restriction=screen_why />
        </div>
        <div
            class="controls"
            role="toolbar"
            aria-label=words!(i18n, call.controls)
            node_ref=bar
            on:keydown=move |event| move_focus(&event, bar)
        >
            <ToggleButton
                label=words!(i18n, call.microphone)
                on=microphone
                icons=(IconName::Microphone, IconName::MicrophoneOff)
                shortcut="Control+D"
                first=true
                why=("why-microphone", microphone_why)
                action=Callback::new(move |()| session.toggle_microphone())
            />
            <ToggleButton
                label=words!(i18n, call.camera)
                on=camera
                icons=(IconName::Camera, IconName::CameraOff)
                shortcut="Control+E"
                why=("why-camera", camera_why)
                action=Callback::new(move |()| session.toggle_camera())
            />
            <FlipCamera />
            <ErasedShow when=can_share>
                <ToggleButton
                    label=words!(i18n, call.share_screen)
                    on=screen
                    icons=(IconName::Screen, IconName::Screen)
                    why=("why-screen", screen_why)
                    action=Callback::new(move |()| session.toggle_screen())
                />
            </ErasedShow>
            <ActionButton
                label=words!(i18n, call.settings)
                icon=IconName::Settings
                action=on_settings
            />
            <div class="controls__narrow">
                <ActionButton label=words!(i18n, call.chat) icon=IconName::Chat action=on_chat />
            </div>
            <LeaveCall />
        </div>
    }
}

/// A button that switches something on and off; pressed means on.
#[component]
fn ToggleButton(
    /// Accessible name of the button, the same for on and off.
    label: Signal<&'static str>,
    /// Whether it is on.
    #[prop(into)]
    on: Signal<bool>,
    /// Icons of the button while on and while off.
    icons: (IconName, IconName),
    /// Value of `aria-keyshortcuts`.
    #[prop(optional)]
    shortcut: Option<&'static str>,
    /// Whether the button is the toolbar's tab stop.
    #[prop(optional)]
    first: bool,
    /// Id of the sentence that says why the button is disabled, and the reason if it is.
    why: (&'static str, Memo<Option<Restriction>>),
    /// Called when the button is pressed.
    action: Callback<()>,
) -> impl IntoView {
    let (why_id, restriction) = why;
    let is_disabled = Memo::new(move |_| restriction.get().is_some());
    let icon = Signal::derive(move || if on.get() { icons.0 } else { icons.1 });
    view! {
        <button
            class="control"
            class:control--device=shortcut.is_some()
            type="button"
            aria-pressed=Signal::derive(move || on.get().to_string())
            aria-keyshortcuts=shortcut
            aria-disabled=Signal::derive(move || is_disabled.get().then_some("true"))
            aria-describedby=Signal::derive(move || is_disabled.get().then_some(why_id))
            tabindex=if first { "0" } else { "-1" }
            on:click=move |_| action.run(())
        >
            <span class="control__icon">
                <Icon name=icon />
            </span>
            <span class="control__label">{label}</span>
        </button>
    }
}

/// A button with one action.
#[component]
fn ActionButton(
    /// Accessible name of the button.
    label: Signal<&'static str>,
    /// Icon of the button.
    icon: IconName,
    /// Called when the button is pressed.
    action: Callback<()>,
) -> impl IntoView {
    view! {
        <button class="control" type="button" tabindex="-1" on:click=move |_| action.run(())>
            <span class="control__icon">
                <Icon name=icon />
            </span>
            <span class="control__label">{label}</span>
        </button>
    }
}

/// Switches the camera; on touch devices with several cameras.
#[component]
fn FlipCamera() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let several = Memo::new(move |_| session.call.choices().read().cameras.len() > 1);
    let on = Memo::new(move |_| session.call.devices().read().camera);
    view! {
        <ErasedShow when=Signal::derive(move || several.get() && on.get())>
            <div class="controls__flip">
                <ActionButton
                    label=words!(i18n, call.flip_camera)
                    icon=IconName::Flip
                    action=Callback::new(move |()| session.flip_camera())
                />
            </div>
        </ErasedShow>
    }
}

/// Leaves the call and opens the room's page.
#[component]
fn LeaveCall() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let navigate = use_navigate();
    let leave = move |_| {
        session.leave_call();
        navigate(&address(&session.name().path()), to_address());
    };
    view! {
        <button class="control control--leave" type="button" tabindex="-1" on:click=leave>
            <span class="control__icon">
                <Icon name=IconName::LeaveCall />
            </span>
            <span class="control__label">{words!(i18n, call.leave_call)}</span>
        </button>
    }
}

/// Moves the focus and the tab stop along the toolbar.
fn move_focus(event: &KeyboardEvent, bar: NodeRef<Div>) {
    #[cfg(feature = "hydrate")]
    if let Some(bar) = bar.get_untracked()
        && crate::browser::dom::toolbar::move_focus(&bar, &event.key())
    {
        event.prevent_default();
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (event, bar);
}

/// Ctrl or Cmd with D and E, anywhere on the page.
fn shortcuts(session: Session) {
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        if event.repeat() {
            return;
        }
        let held = (event.ctrl_key() || event.meta_key()) && !event.shift_key() && !event.alt_key();
        match event.code().as_str() {
            "KeyD" if held => session.toggle_microphone(),
            "KeyE" if held => session.toggle_camera(),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || handle.remove());
}
