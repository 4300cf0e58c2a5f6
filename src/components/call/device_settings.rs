//! The settings of the call: camera, microphone, speaker and hiding the address. Their code loads when
//! the dialog is opened.

use crate::components::call::HideAddress;
use crate::components::call::statistics::ConnectionStatistics;
use crate::components::{Draw, ErasedShow, LazyDialog};
use crate::i18n::*;
use crate::session::Session;
use crate::state::call::{CallStateStoreFields, Choices, DeviceChoice};
use crate::words;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

/// The dialog of the settings.
#[component]
pub fn DeviceSettings(
    /// Counts the requests to open the dialog, which opens when this grows.
    open: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <LazyDialog
            class="dialog"
            title_id="settings-title"
            title=words!(i18n, call.settings)
            close_label=words!(i18n, call.close)
            open
            load=|| Box::pin(load_settings())
        />
    }
}

/// The content of the dialog, in the module of the dialogs.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_settings() -> Result<Draw, SplitLoaderError> {
    Ok(|_| view! { <Settings /> }.into_any())
}

/// All settings of the call.
#[component]
fn Settings() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let choices = Memo::new(move |_| session.call.choices().get());
    let speaker = Memo::new(move |_| choices.read().speaker_can_change);
    view! {
        <DeviceSelect
            id="camera-device"
            label=words!(i18n, call.camera_device)
            list=Signal::derive(move || pick(&choices.read(), |c| (&c.cameras, &c.camera)))
            choose=Callback::new(move |id| session.choose_camera(id))
        />
        <DeviceSelect
            id="microphone-device"
            label=words!(i18n, call.microphone_device)
            list=Signal::derive(move || pick(&choices.read(), |c| (&c.microphones, &c.microphone)))
            choose=Callback::new(move |id| session.choose_microphone(id))
        />
        <ErasedShow when=speaker>
            <DeviceSelect
                id="speaker-device"
                label=words!(i18n, call.speaker_device)
                list=Signal::derive(move || pick(&choices.read(), |c| (&c.speakers, &c.speaker)))
                choose=Callback::new(move |id| session.choose_speaker(id))
            />
        </ErasedShow>
        <HideAddress id="hide-address-setting" ready=Signal::stored(true) />
        <ConnectionStatistics />
    }
}

/// A list of devices and the id of the chosen one.
type Offer = (Vec<DeviceChoice>, String);

fn pick(choices: &Choices, of: impl Fn(&Choices) -> (&Vec<DeviceChoice>, &String)) -> Offer {
    let (list, chosen) = of(choices);
    (list.clone(), chosen.clone())
}

/// The selection of one kind of device.
#[component]
fn DeviceSelect(
    /// Value of the element's `id`.
    id: &'static str,
    /// Visible label of the field.
    label: Signal<&'static str>,
    /// The available devices and the chosen one.
    list: Signal<Offer>,
    /// Called with the id of the chosen device.
    choose: Callback<String>,
) -> impl IntoView {
    let i18n = use_i18n();
    let options = move || {
        let (devices, chosen) = list.get();
        let none = devices.is_empty().then(|| DeviceChoice {
            id: String::new(),
            label: t_string!(i18n, call.none_found).to_owned(),
        });
        let devices = devices.into_iter().chain(none).enumerate();
        devices
            .map(|(number, device)| {
                let label = match device.label.is_empty() {
                    true => format!("{} {}", t_string!(i18n, call.device), number + 1),
                    false => device.label,
                };
                let selected = device.id == chosen;
                view! {
                    <option value=device.id prop:selected=selected>
                        {label}
                    </option>
                }
            })
            .collect_view()
    };
    view! {
        <div class="field">
            <label class="field__label" for=id>
                {label}
            </label>
            <select
                class="select"
                id=id
                on:change=move |event| choose.run(event_target_value(&event))
            >
                {options}
            </select>
        </div>
    }
}
