//! The settings of the chat: notifications, sounds, and the export of the log. Their code loads when the
//! dialog is opened.
//!
//! The settings are kept on the device and apply to all rooms.

use crate::components::{Draw, Icon, IconName, LazyDialog, Switch};
use crate::i18n::*;
use crate::session::Session;
use crate::state::alert::{AlertSettings, Permission};
use crate::state::export::{ExportFailure, ExportFormat, ExportState};
use crate::words;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

/// Opens the dialog. Shared by the button and the command of the composer.
#[derive(Clone, Copy)]
pub struct ChatSettings(RwSignal<u32>);

impl ChatSettings {
    /// Provides the opener for the components of the room.
    pub fn provide() {
        provide_context(Self(RwSignal::new(0)));
    }

    /// Opens the dialog.
    pub fn open(self) {
        self.0.update(|times| *times += 1);
    }
}

/// The button that opens the dialog.
#[component]
pub fn ChatSettingsButton() -> impl IntoView {
    let i18n = use_i18n();
    let settings = expect_context::<ChatSettings>();
    view! {
        <button class="button button--quiet" type="button" on:click=move |_| settings.open()>
            <Icon name=IconName::Chat />
            {words!(i18n, chat.settings)}
        </button>
    }
}

/// The dialog of the settings.
#[component]
pub fn ChatSettingsDialog() -> impl IntoView {
    let i18n = use_i18n();
    let ChatSettings(open) = expect_context();
    view! {
        <LazyDialog
            class="dialog"
            title_id="chat-settings-title"
            title=words!(i18n, chat.settings)
            close_label=words!(i18n, call.close)
            open
            load=|| Box::pin(load_settings())
        />
    }
}

/// The content of the dialog, in the module of the dialogs. Each time it is opened it is made again, with
/// what the device has stored.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_settings() -> Result<Draw, SplitLoaderError> {
    Ok(|open| {
        let content = move || {
            open.track();
            view! {
                <AlertSwitches />
                <ExportButtons />
            }
        };
        content.into_any()
    })
}

/// What this device does about new messages.
#[derive(Clone, Copy)]
struct DeviceAlerts {
    /// The stored settings.
    settings: RwSignal<AlertSettings>,
    /// Whether the page may show notifications.
    permission: RwSignal<Permission>,
}

impl DeviceAlerts {
    /// What the device has stored.
    fn load() -> Self {
        let (settings, permission) = (AlertSettings::default(), Permission::Missing);
        #[cfg(feature = "hydrate")]
        let (settings, permission) = {
            use crate::browser::dom::{notification, storage};
            let _ = (settings, permission);
            (storage::alert_settings(), notification::permission())
        };
        Self {
            settings: RwSignal::new(settings),
            permission: RwSignal::new(permission),
        }
    }

    /// Changes a setting, and stores it.
    fn change(self, change: impl FnOnce(&mut AlertSettings)) {
        self.settings.update(change);
        #[cfg(feature = "hydrate")]
        crate::browser::dom::storage::set_alert_settings(self.settings.get_untracked());
    }

    /// Whether notifications are shown: they are on, and the browser permits them.
    fn notifies(self) -> bool {
        self.settings.get().notifications && self.permission.get() == Permission::Granted
    }

    /// Switches the sound. A device that is switched on plays it once.
    fn set_sounds(self, on: bool) {
        self.change(|settings| settings.sounds = on);
        #[cfg(feature = "hydrate")]
        if on {
            use crate::browser::dom::chime::{Tone, play};
            play(Tone::Message);
        }
    }
}

/// The switches of notifications and sounds.
#[component]
fn AlertSwitches() -> impl IntoView {
    let i18n = use_i18n();
    let alerts = DeviceAlerts::load();
    // A browser that denies has said so before the switch is pressed.
    let pressed = RwSignal::new(false);
    let set_notifications = notification_switch(alerts, pressed);
    let problem = Signal::derive(move || {
        let permission = alerts.permission.get();
        match permission {
            Permission::Granted => "",
            Permission::Unanswered if pressed.get() => t_string!(i18n, chat.notify_unanswered),
            Permission::Unanswered => "",
            Permission::Denied => t_string!(i18n, chat.notify_denied),
            Permission::Insecure => t_string!(i18n, chat.notify_insecure),
            Permission::Missing => t_string!(i18n, chat.notify_missing),
        }
    });
    view! {
        <Switch
            id="chat-notify"
            label=words!(i18n, chat.notify)
            hint=words!(i18n, chat.notify_hint)
            on=Signal::derive(move || alerts.notifies())
            set=set_notifications
        />
        <p class="field__error" role="status">
            {problem}
        </p>
        <Switch
            id="chat-sound"
            label=words!(i18n, chat.sound)
            hint=words!(i18n, chat.sound_hint)
            on=Signal::derive(move || alerts.settings.get().sounds)
            set=Callback::new(move |on| alerts.set_sounds(on))
        />
        <Switch
            id="chat-only-for-me"
            label=words!(i18n, chat.only_for_me)
            hint=words!(i18n, chat.only_for_me_hint)
            on=Signal::derive(move || alerts.settings.get().only_for_me)
            set=Callback::new(move |on| {
                alerts.change(|settings| settings.only_for_me = on);
            })
        />
    }
}

/// Switches notifications: asks for the permission, and shows one once there is one.
fn notification_switch(alerts: DeviceAlerts, pressed: RwSignal<bool>) -> Callback<bool> {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    Callback::new(move |on: bool| {
        pressed.set(false);
        if !on {
            alerts.change(|settings| settings.notifications = false);
            return;
        }
        let room = session.name();
        let sample = td_string!(i18n.get_locale_untracked(), chat.notify_sample);
        #[cfg(feature = "hydrate")]
        crate::browser::dom::notification::ask(move |mut permission| {
            use crate::browser::dom::{notification, storage};
            // The answer counts even if the dialog was closed meanwhile.
            let mut settings = storage::alert_settings();
            if permission == Permission::Granted {
                match notification::show(room.as_str(), sample, &room) {
                    Some(()) => settings.notifications = true,
                    None => permission = Permission::Missing,
                }
                storage::set_alert_settings(settings);
            }
            let _ = alerts.permission.try_set(permission);
            let _ = alerts.settings.try_set(settings);
            let _ = pressed.try_set(true);
        });
        #[cfg(not(feature = "hydrate"))]
        let _ = (room, sample);
    })
}

/// Saves the log as a file.
#[component]
fn ExportButtons() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let state = RwSignal::new(ExportState::default());
    let sentence = Signal::derive(move || match state.get() {
        ExportState::Idle | ExportState::Failed(_) => "",
        ExportState::Running => t_string!(i18n, chat.export_running),
        ExportState::Saved => t_string!(i18n, chat.export_saved),
    });
    let failure = Signal::derive(move || match state.get() {
        ExportState::Failed(failure) => failure_sentence(i18n.get_locale(), failure),
        ExportState::Idle | ExportState::Running | ExportState::Saved => String::new(),
    });
    let button = |format, label: Signal<&'static str>| {
        view! {
            <button
                class="button"
                type="button"
                aria-describedby="chat-export-hint"
                on:click=move |_| session.export(format, state)
            >
                {label}
            </button>
        }
        .into_any()
    };
    view! {
        <section class="dialog__part" aria-labelledby="chat-export-title">
            <h3 class="field__label" id="chat-export-title">
                {words!(i18n, chat.export)}
            </h3>
            <p class="field__hint" id="chat-export-hint">
                {words!(i18n, chat.export_hint)}
            </p>
            {button(ExportFormat::Json, words!(i18n, chat.export_json))}
            {button(ExportFormat::Markdown, words!(i18n, chat.export_markdown))}
            <p class="field__hint" role="status">
                {sentence}
            </p>
            <p class="field__error" role="alert">
                {failure}
            </p>
        </section>
    }
}

/// Why there is no file, as a sentence.
fn failure_sentence(locale: Locale, failure: ExportFailure) -> String {
    match failure {
        ExportFailure::NotJoined => td_string!(locale, chat.export_not_joined).to_owned(),
        ExportFailure::TooMany(..=1) => td_string!(locale, chat.export_too_many_one).to_owned(),
        ExportFailure::TooMany(count) => {
            td_string!(locale, chat.export_too_many, count = count).to_string()
        }
        ExportFailure::Lost => td_string!(locale, chat.export_lost).to_owned(),
    }
}
