//! What hosts did to the devices of this participant, and what they ask for.

use crate::components::{ErasedShow, NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::protocol::{Devices, Feature, ParticipantId, Source};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::call::CallStateStoreFields;
use crate::state::standing::Restriction;
use crate::words;
use leptos::prelude::*;

/// The nickname of a host; `None` if they have left.
fn nickname_of(session: Session, by: Option<&ParticipantId>) -> Option<String> {
    let nickname = session.nickname_of(by?);
    (!nickname.is_empty()).then_some(nickname)
}

/// "Ann muted you", until it is dismissed or the device is on again.
#[component]
pub fn SwitchedOffCard() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    let switched_off = Memo::new(move |_| standing.read().switched_off.clone());
    let text = move || {
        let off = switched_off.get()?;
        let by = nickname_of(session, off.by.as_ref());
        let sentence = what_is_off(i18n.get_locale(), off.devices, by.is_some());
        Some(isolate_names(
            &sentence,
            &[by.as_deref().unwrap_or_default()],
        ))
    };
    let dismiss = move |_| standing.update(|standing| standing.switched_off = None);
    view! {
        <ErasedShow when=Signal::derive(move || switched_off.read().is_some())>
            <div class="problem">
                <p class="problem__title">{text}</p>
                <div class="problem__actions">
                    <button
                        class="button button--small button--quiet"
                        type="button"
                        on:click=dismiss
                    >
                        {words!(i18n, call.close)}
                    </button>
                </div>
            </div>
        </ErasedShow>
    }
}

/// The sentence about devices that a host switched off, with a placeholder for a known host.
fn what_is_off(locale: Locale, devices: Devices, is_known: bool) -> String {
    let [by, _] = NAME_PLACEHOLDERS;
    let Devices {
        microphone,
        camera,
        screen,
    } = devices;
    match (microphone, camera, screen) {
        (true, false, false) if is_known => {
            td_string!(locale, hosts.muted_you, by = by).to_string()
        }
        (true, false, false) => td_string!(locale, hosts.muted_you_host).to_owned(),
        (false, true, false) if is_known => {
            td_string!(locale, hosts.stopped_camera, by = by).to_string()
        }
        (false, true, false) => td_string!(locale, hosts.stopped_camera_host).to_owned(),
        (false, false, true) if is_known => {
            td_string!(locale, hosts.stopped_screen, by = by).to_string()
        }
        (false, false, true) => td_string!(locale, hosts.stopped_screen_host).to_owned(),
        _ if is_known => td_string!(locale, hosts.switched_off, by = by).to_string(),
        _ => td_string!(locale, hosts.switched_off_host).to_owned(),
    }
}

/// A host asks this participant to switch the microphone on, who decides.
#[component]
pub fn AskedToUnmute() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    let asked = Memo::new(move |_| {
        let is_on = session.call.devices().read().microphone;
        standing.read().asked_to_unmute.clone().filter(|_| !is_on)
    });
    let [one, _] = NAME_PLACEHOLDERS;
    let text = move || {
        let by = asked.get()?;
        let by = nickname_of(session, Some(&by));
        let sentence = match &by {
            Some(_) => t_string!(i18n, hosts.asks_to_unmute, by = one).to_string(),
            None => t_string!(i18n, hosts.asks_to_unmute_host).to_owned(),
        };
        Some(isolate_names(
            &sentence,
            &[by.as_deref().unwrap_or_default()],
        ))
    };
    let answer = move || standing.update(|standing| standing.asked_to_unmute = None);
    let unmute = move |_| {
        session.toggle_microphone();
        answer();
    };
    view! {
        <ErasedShow when=Signal::derive(move || asked.read().is_some())>
            <div class="problem">
                <p class="problem__title">{text}</p>
                <div class="problem__actions">
                    <button
                        class="button button--small button--primary"
                        type="button"
                        on:click=unmute
                    >
                        {words!(i18n, hosts.unmute)}
                    </button>
                    <button
                        class="button button--small button--quiet"
                        type="button"
                        on:click=move |_| answer()
                    >
                        {words!(i18n, hosts.stay_muted)}
                    </button>
                </div>
            </div>
        </ErasedShow>
    }
}

/// Why a source cannot be switched on; `None` while it is on or allowed.
pub fn restriction(session: Session, source: Source) -> Memo<Option<Restriction>> {
    Memo::new(move |_| {
        let devices = session.call.devices().get();
        let is_on = match source {
            Source::Microphone => devices.microphone,
            Source::Camera => devices.camera,
            Source::Screen | Source::ScreenAudio => devices.screen,
        };
        let restriction = session.room.standing().read().restriction(source);
        restriction.filter(|_| !is_on)
    })
}

/// The sentence of a restriction, which a button of the toolbar is described by.
#[component]
pub fn Why(
    /// Value of the element's `id`.
    id: &'static str,
    /// Why the button is disabled, if it is.
    restriction: Memo<Option<Restriction>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let sentence = Signal::derive(move || match restriction.get() {
        Some(Restriction::HostUnmutes) => t_string!(i18n, hosts.waits_for_host),
        Some(Restriction::FeatureOff(Feature::Camera)) => t_string!(i18n, hosts.no_camera),
        Some(Restriction::FeatureOff(Feature::Screen)) => t_string!(i18n, hosts.no_screen),
        Some(Restriction::FeatureOff(_)) => t_string!(i18n, hosts.no_microphone),
        None => "",
    });
    view! {
        <ErasedShow when=Signal::derive(move || restriction.get().is_some())>
            <p class="controls__why" id=id>
                {sentence}
            </p>
        </ErasedShow>
    }
}
