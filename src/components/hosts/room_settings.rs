//! The settings of the room, for hosts and co-hosts. Their code loads when the dialog is opened.

use crate::components::hosts::RefusedRequest;
use crate::components::hosts::access::AccessSettings;
use crate::components::hosts::confirm::Confirm;
use crate::components::hosts::invites::InviteSettings;
use crate::components::hosts::role::role_name;
use crate::components::{
    CopyButton, Draw, ErasedShow, Icon, IconName, LazyDialog, Switch, TimeZone,
};
use crate::i18n::*;
use crate::protocol::{
    Action, Ban, ClientMessage, Feature, MAX_ANNOUNCEMENT_CHARS, Role, SettingsChange, Source,
};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::moderation::with_power;
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::Textarea;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

/// The features that the table shows, in order.
const FEATURES: [Feature; 5] = [
    Feature::Microphone,
    Feature::Camera,
    Feature::Screen,
    Feature::Chat,
    Feature::Invite,
];
/// The roles that the table shows, in order.
const ROLES: [Role; 3] = [Role::Viewer, Role::Guest, Role::Speaker];

/// The button that opens the settings; nothing for those who do not moderate.
#[component]
pub fn RoomSettingsButton(
    /// Class of the button.
    class: &'static str,
    /// Whether the name is visible beside the icon.
    #[prop(optional)]
    named: bool,
    /// Counts the requests to open the dialog.
    open: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    view! {
        <ErasedShow when=moderates(session)>
            <button class=class type="button" on:click=move |_| open.update(|n| *n += 1)>
                <Icon name=IconName::Settings />
                <span class:visually-hidden=!named>{words!(i18n, hosts.settings)}</span>
            </button>
        </ErasedShow>
    }
}

/// Whether this participant moderates the room.
fn moderates(session: Session) -> Signal<bool> {
    Signal::derive(move || session.room.standing().read().role().moderates())
}

/// Whether this participant may do something to the room.
fn may(session: Session, action: Action) -> Signal<bool> {
    Signal::derive(move || session.room.standing().read().may(action, None))
}

/// The dialog of the settings.
#[component]
pub fn RoomSettingsDialog(
    /// Counts the requests to open the dialog, which opens when this grows.
    open: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    view! {
        <ErasedShow when=moderates(session)>
            <LazyDialog
                class="dialog dialog--wide"
                title_id="room-settings-title"
                title=words!(i18n, hosts.settings)
                close_label=words!(i18n, call.close)
                open
                load=|| Box::pin(load_settings())
            />
        </ErasedShow>
    }
}

/// The content of the dialog, in the module of the dialogs.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_settings() -> Result<Draw, SplitLoaderError> {
    Ok(|open| view! { <Settings open /> }.into_any())
}

/// All settings of the room.
#[component]
fn Settings(
    /// Counts how often the dialog was opened.
    open: RwSignal<u32>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    Effect::new(move || {
        open.track();
        session.moderate(ClientMessage::Bans);
    });
    view! {
        <RefusedRequest />
        <Switches />
        <AccessSettings />
        <InviteSettings open />
        <PowerTable />
        <Everybody />
        <Bans />
        <HostLink open />
        <Endings />
    }
}

/// Requests a change of the settings.
pub(super) fn change(session: Session, change: SettingsChange) {
    session.moderate(ClientMessage::SetRoom { change });
}

/// The lock, and whether only hosts unmute.
#[component]
fn Switches() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let settings = session.room.standing();
    let lock = Callback::new(move |on| {
        let locked = Some(on);
        change(
            session,
            SettingsChange {
                locked,
                ..SettingsChange::default()
            },
        );
    });
    let unmutes = Callback::new(move |on| {
        let host_unmutes = Some(on);
        change(
            session,
            SettingsChange {
                host_unmutes,
                ..SettingsChange::default()
            },
        );
    });
    view! {
        <Switch
            id="lock-room"
            label=words!(i18n, hosts.lock)
            hint=words!(i18n, hosts.lock_hint)
            on=Signal::derive(move || settings.read().settings.locked)
            set=lock
        />
        <Switch
            id="host-unmutes"
            label=words!(i18n, hosts.host_unmutes)
            hint=words!(i18n, hosts.host_unmutes_hint)
            on=Signal::derive(move || settings.read().settings.host_unmutes)
            set=unmutes
        />
    }
}

/// The features of each role, as a table of switches.
#[component]
fn PowerTable() -> impl IntoView {
    let i18n = use_i18n();
    let heads = ROLES.map(|role| {
        let name = Signal::derive(move || role_name(i18n.get_locale(), role));
        view! { <th scope="col">{name}</th> }.into_any()
    });
    let rows = FEATURES.map(|feature| {
        let cells = ROLES.map(|role| view! { <PowerCell role feature /> }.into_any());
        view! {
            <tr>
                <th scope="row">
                    {Signal::derive(move || feature_name(i18n.get_locale(), feature))}
                </th>
                {cells.collect_view()}
            </tr>
        }
        .into_any()
    });
    view! {
        <table class="powers">
            <caption class="field__label">{words!(i18n, hosts.powers)}</caption>
            <thead>
                <tr>
                    <th scope="col">
                        <span class="visually-hidden">{words!(i18n, hosts.feature)}</span>
                    </th>
                    {heads.collect_view()}
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
}

/// One switch of the table.
#[component]
fn PowerCell(
    /// The role of the column.
    role: Role,
    /// The feature of the row.
    feature: Feature,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    let on = Memo::new(move |_| standing.read().settings.powers.of(role).has(feature));
    let name = Signal::derive(move || {
        let locale = i18n.get_locale();
        let (role, feature) = (role_name(locale, role), feature_name(locale, feature));
        t_string!(i18n, hosts.power, role = role, feature = feature).to_string()
    });
    let toggle = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        let powers = standing.read_untracked().settings.powers;
        let powers = with_power(powers, role, feature, !on.get_untracked());
        change(
            session,
            SettingsChange {
                powers: Some(powers),
                ..SettingsChange::default()
            },
        );
    };
    view! {
        <td>
            <label class="powers__cell">
                <input
                    class="choice__box"
                    type="checkbox"
                    aria-label=name
                    prop:checked=on
                    on:click=toggle
                />
            </label>
        </td>
    }
}

/// The name of a feature of the table.
fn feature_name(locale: Locale, feature: Feature) -> &'static str {
    match feature {
        Feature::Microphone => td_string!(locale, call.microphone),
        Feature::Camera => td_string!(locale, call.camera),
        Feature::Screen => td_string!(locale, call.share_screen),
        Feature::Chat => td_string!(locale, call.chat),
        Feature::Invite => td_string!(locale, invites.open),
        // Not in the table: the page has none of these yet.
        Feature::Files | Feature::Hand | Feature::Rename => "",
    }
}

/// Mutes everybody, and announces something to everybody.
#[component]
fn Everybody() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let area = NodeRef::<Textarea>::new();
    let done = RwSignal::new(Done::Nothing);
    let mute = move |_| {
        session.moderate(ClientMessage::Mute {
            who: None,
            source: Source::Microphone,
        });
        done.set(Done::Muted);
    };
    let announce = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(area) = area.get_untracked() else {
            return;
        };
        let text = area.value();
        if !text.trim().is_empty() {
            session.moderate(ClientMessage::Announce { text });
            area.set_value("");
            done.set(Done::Announced);
        }
    };
    let is_refused = Memo::new(move |_| session.room.standing().read().refused.is_some());
    let sentence = Signal::derive(move || match done.get() {
        Done::Muted if !is_refused.get() => t_string!(i18n, hosts.muted_all),
        Done::Announced if !is_refused.get() => t_string!(i18n, hosts.announced),
        Done::Muted | Done::Announced | Done::Nothing => "",
    });
    view! {
        <section class="dialog__part" aria-labelledby="everybody-title">
            <h3 class="field__label" id="everybody-title">
                {words!(i18n, hosts.everybody)}
            </h3>
            <button class="button" type="button" on:click=mute>
                <Icon name=IconName::MicrophoneOff />
                {words!(i18n, hosts.mute_all)}
            </button>
            <form class="field" on:submit=announce>
                <label class="field__label" for="announcement">
                    {words!(i18n, hosts.announce_label)}
                </label>
                <textarea
                    class="input"
                    id="announcement"
                    rows="2"
                    dir="auto"
                    maxlength=MAX_ANNOUNCEMENT_CHARS.to_string()
                    node_ref=area
                ></textarea>
                <button class="button" type="submit">
                    {words!(i18n, hosts.announce)}
                </button>
            </form>
            <p class="field__hint" role="status">
                {sentence}
            </p>
        </section>
    }
}

/// What the host did last to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// No request yet.
    Nothing,
    /// Everybody is muted.
    Muted,
    /// The announcement is sent.
    Announced,
}

/// The people whom the room keeps out.
#[component]
fn Bans() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let bans = Memo::new(move |_| {
        let standing = session.room.standing();
        standing.read().bans.clone().unwrap_or_default()
    });
    view! {
        <section class="dialog__part" aria-labelledby="bans-title">
            <h3 class="field__label" id="bans-title">
                {words!(i18n, hosts.bans)}
            </h3>
            <ErasedShow when=Signal::derive(move || bans.read().is_empty())>
                <p class="field__hint">{words!(i18n, hosts.no_bans)}</p>
            </ErasedShow>
            <ul class="bans">
                <For
                    each=move || bans.get()
                    key=|ban| ban.person.id.clone()
                    children=|ban| view! { <BanRow ban /> }
                />
            </ul>
        </section>
    }
}

/// One banned person, with a button that ends the ban.
#[component]
fn BanRow(
    /// The ban to show.
    ban: Ban,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let Ban {
        person,
        until,
        address,
    } = ban;
    let time = Signal::derive(move || {
        let at = zone.day_and_time(i18n.get_locale(), until);
        match address {
            true => t_string!(i18n, hosts.ban_until_address, time = at).to_string(),
            false => t_string!(i18n, hosts.ban_until, time = at).to_string(),
        }
    });
    let nickname = person.nickname.to_string();
    let name = {
        let nickname = nickname.clone();
        Signal::derive(move || {
            t_string!(i18n, hosts.let_in_name, name = nickname.as_str()).to_string()
        })
    };
    let who = person.id;
    let lift = move |_| session.moderate(ClientMessage::LiftBan { who: who.clone() });
    view! {
        <li class="bans__row">
            <span class="bans__name">
                <bdi translate="no">{nickname}</bdi>
                <span class="field__hint">{time}</span>
            </span>
            <button class="button button--small" type="button" aria-label=name on:click=lift>
                {words!(i18n, hosts.let_in)}
            </button>
        </li>
    }
}

/// The link that makes its holder a host, where this device keeps the key.
#[component]
fn HostLink(
    /// Counts the requests to open the dialog.
    open: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let link = RwSignal::new(None::<String>);
    let shown = RwSignal::new(false);
    Effect::new(move || {
        open.track();
        shown.set(false);
        #[cfg(feature = "hydrate")]
        link.set(crate::browser::dom::host_link::of(&session.name()));
    });
    let has_link = Signal::derive(move || {
        let is_host = session.room.standing().read().role() == Role::Host;
        is_host && link.read().is_some()
    });
    view! {
        <ErasedShow when=has_link>
            <section class="dialog__part" aria-labelledby="host-link-title">
                <h3 class="field__label" id="host-link-title">
                    {words!(i18n, hosts.link)}
                </h3>
                <p class="field__hint" id="host-link-hint">
                    {words!(i18n, hosts.link_hint)}
                </p>
                <ErasedShow when=Signal::derive(move || !shown.get())>
                    <button class="button" type="button" on:click=move |_| shown.set(true)>
                        {words!(i18n, hosts.show_link)}
                    </button>
                </ErasedShow>
                <ErasedShow when=shown>
                    <ShownLink link=Signal::derive(move || link.get().unwrap_or_default()) />
                </ErasedShow>
            </section>
        </ErasedShow>
    }
}

/// The link and a button that copies it.
#[component]
fn ShownLink(
    /// The link to show.
    link: Signal<String>,
) -> impl IntoView {
    let i18n = use_i18n();
    let copy = Callback::new(move |copied: RwSignal<bool>| {
        #[cfg(feature = "hydrate")]
        crate::browser::dom::clipboard::copy(link.get_untracked(), move || copied.set(true));
        #[cfg(not(feature = "hydrate"))]
        copied.set(false);
    });
    view! {
        <input
            class="input"
            type="text"
            readonly=true
            aria-label=words!(i18n, hosts.link)
            aria-describedby="host-link-hint"
            value=link
        />
        <CopyButton
            class="button"
            label=words!(i18n, hosts.copy_link)
            done=words!(i18n, room.copied)
            copy
        />
    }
}

/// What ends something for everybody: only hosts do it, and each asks first.
#[component]
fn Endings() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let clear = Callback::new(move |()| session.moderate(ClientMessage::ClearMessages));
    let end = Callback::new(move |()| session.moderate(ClientMessage::EndMeeting));
    let may_any = may(session, Action::EndMeeting);
    view! {
        <ErasedShow when=may_any>
            <section class="dialog__part" aria-labelledby="endings-title">
                <h3 class="field__label" id="endings-title">
                    {words!(i18n, hosts.for_all)}
                </h3>
                <Confirm
                    label=words!(i18n, hosts.clear)
                    question=words!(i18n, hosts.clear_question)
                    agree=words!(i18n, hosts.clear_now)
                    action=clear
                />
                <Confirm
                    label=words!(i18n, hosts.end)
                    question=words!(i18n, hosts.end_question)
                    agree=words!(i18n, hosts.end_now)
                    action=end
                />
            </section>
        </ErasedShow>
    }
}
