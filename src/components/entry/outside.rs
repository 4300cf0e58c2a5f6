//! The page of somebody who is not in the room: why, and what to do.

use crate::components::entry::room_name;
use crate::components::{
    Banner, ErasedShow, Masthead, NAME_PLACEHOLDERS, TimeZone, isolate_names, page_address,
};
use crate::i18n::*;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::entry::{Barrier, Window};
use crate::words;
use leptos::html::H1;
use leptos::prelude::*;

/// The title of the page.
pub(super) fn title(locale: Locale, barrier: Barrier, window: Window) -> &'static str {
    match barrier {
        Barrier::Full => td_string!(locale, room.full_title),
        Barrier::Locked => td_string!(locale, room.locked_title),
        Barrier::Banned => td_string!(locale, room.banned_title),
        Barrier::Removed => td_string!(locale, room.removed_title),
        Barrier::PasswordRequired | Barrier::WrongPassword | Barrier::TooManyGuesses => {
            td_string!(locale, entry.password_title)
        }
        Barrier::InviteRequired => td_string!(locale, entry.invite_required_title),
        Barrier::BadInvite => td_string!(locale, entry.bad_invite_title),
        Barrier::InviteExpired => td_string!(locale, entry.invite_expired_title),
        Barrier::InviteUsedUp => td_string!(locale, entry.invite_used_up_title),
        Barrier::NotOpen | Barrier::Closed if is_over(window) => {
            td_string!(locale, entry.over_title)
        }
        Barrier::Closed => td_string!(locale, room.closed_title),
        Barrier::NotOpen => td_string!(locale, entry.not_open_title),
        Barrier::LobbyFull => td_string!(locale, entry.lobby_full_title),
        Barrier::Denied => td_string!(locale, entry.denied_title),
        Barrier::TurnedAway => td_string!(locale, entry.turned_away_title),
        Barrier::WaitedTooLong => td_string!(locale, entry.waited_title),
    }
}

/// Whether the room has closed, by the clock of this device.
fn is_over(window: Window) -> bool {
    #[cfg(feature = "hydrate")]
    let now = crate::browser::dom::clock::now_ms();
    #[cfg(not(feature = "hydrate"))]
    let now = 0;
    window.is_over(now)
}

/// Says why this participant is not in the room and offers to try again.
#[component]
pub(super) fn OutsidePage() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let heading = NodeRef::<H1>::new();
    let known = Memo::new(move |_| {
        let connection = session.room.connection();
        connection.read().admission.barrier()
    });
    let barrier = move || known.get().unwrap_or(Barrier::Full);
    let window = Memo::new(move |_| session.room.entry().read().window);
    Effect::new(move || {
        // What this participant used before is gone.
        if let (Some(_), Some(heading)) = (known.get(), heading.get()) {
            let _ = heading.focus();
        }
    });
    let title = Signal::derive(move || title(i18n.get_locale(), barrier(), window.get()));
    let removal = Memo::new(move |_| session.room.standing().read().removed.clone());
    let by = move || {
        let by = removal
            .get()
            .map(|removal| session.nickname_of(&removal.by));
        by.filter(|by| !by.is_empty())
    };
    let reason = Memo::new(move |_| match barrier() {
        Barrier::Removed | Barrier::Banned => removal.get()?.reason,
        Barrier::Denied => session.room.entry().read().reason.clone(),
        _ => None,
    });
    let room = room_name();
    let text = move || {
        let (locale, barrier, window) = (i18n.get_locale(), barrier(), window.get());
        let by = by();
        let sentence = sentence(
            locale,
            zone,
            barrier,
            window,
            (removal.get().is_some(), by.is_some()),
        );
        isolate_names(
            &sentence,
            &[room.as_str(), by.as_deref().unwrap_or_default()],
        )
    };
    let [name_place, _] = NAME_PLACEHOLDERS;
    let reason = move || {
        let reason = reason.get()?;
        let sentence = t_string!(i18n, hosts.reason_given, reason = name_place).to_string();
        Some(view! { <p>{isolate_names(&sentence, &[reason.as_str()])}</p> })
    };
    let again = Signal::derive(move || match barrier() {
        Barrier::Denied | Barrier::TurnedAway | Barrier::WaitedTooLong => {
            t_string!(i18n, entry.ask_again)
        }
        _ => t_string!(i18n, common.try_again),
    });
    let has_invite = Signal::derive(move || barrier().refuses_invite());
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1 tabindex="-1" node_ref=heading>
                {title}
            </h1>
            <Banner />
            <p role="status">{text}</p>
            {reason}
            <div class="full__actions">
                <button
                    class="button button--primary"
                    type="button"
                    on:click=move |_| session.retry_now()
                >
                    {again}
                </button>
                <ErasedShow when=has_invite>
                    <button class="button" type="button" on:click=move |_| session.drop_invite()>
                        {words!(i18n, entry.drop_invite)}
                    </button>
                </ErasedShow>
                <a class="button button--quiet" href=page_address("/")>
                    {words!(i18n, common.home)}
                </a>
            </div>
        </main>
    }
}

/// The sentence of the page, with placeholders for the room and for the host. `removal`: whether a
/// host ended the stay, and whether the host is known.
fn sentence(
    locale: Locale,
    zone: TimeZone,
    barrier: Barrier,
    window: Window,
    removal: (bool, bool),
) -> String {
    let [name, by] = NAME_PLACEHOLDERS;
    match (barrier, removal) {
        (Barrier::Full, _) => td_string!(locale, room.full_text, room = name).to_string(),
        (Barrier::Locked, _) => td_string!(locale, room.locked_text).to_owned(),
        (Barrier::Banned, (_, true)) => td_string!(locale, hosts.banned_text, by = by).to_string(),
        (Barrier::Banned, (_, false)) => td_string!(locale, room.banned_text).to_owned(),
        (Barrier::Removed, (true, true)) => {
            td_string!(locale, hosts.removed_text, by = by).to_string()
        }
        (Barrier::Removed, (true, false)) => td_string!(locale, hosts.removed_text_host).to_owned(),
        (Barrier::Removed, (false, _)) => td_string!(locale, room.removed_text).to_owned(),
        (Barrier::Closed, _) if !is_over(window) => td_string!(locale, room.closed_text).to_owned(),
        (Barrier::PasswordRequired | Barrier::WrongPassword | Barrier::TooManyGuesses, _) => {
            td_string!(locale, entry.password_text, room = name).to_string()
        }
        (Barrier::InviteRequired, _) => {
            td_string!(locale, entry.invite_required_text, room = name).to_string()
        }
        (Barrier::BadInvite, _) => td_string!(locale, entry.bad_invite_text).to_owned(),
        (Barrier::InviteExpired, _) => td_string!(locale, entry.invite_expired_text).to_owned(),
        (Barrier::InviteUsedUp, _) => td_string!(locale, entry.invite_used_up_text).to_owned(),
        (Barrier::NotOpen | Barrier::Closed, _) => not_open(locale, zone, window),
        (Barrier::LobbyFull, _) => td_string!(locale, entry.lobby_full_text).to_owned(),
        (Barrier::Denied, _) => td_string!(locale, entry.denied_text).to_owned(),
        (Barrier::TurnedAway, _) => td_string!(locale, entry.turned_away_text).to_owned(),
        (Barrier::WaitedTooLong, _) => td_string!(locale, entry.waited_text).to_owned(),
    }
}

/// When the room opens, or that it has closed, in local time.
fn not_open(locale: Locale, zone: TimeZone, window: Window) -> String {
    let time = |at| zone.day_and_time(locale, at);
    match (window.opens, window.closes) {
        (_, Some(closes)) if is_over(window) => {
            td_string!(locale, entry.over_text, time = time(closes)).to_string()
        }
        (Some(opens), _) => td_string!(locale, entry.not_open_text, time = time(opens)).to_string(),
        (None, _) => {
            let [name, _] = NAME_PLACEHOLDERS;
            td_string!(locale, entry.not_open_unknown, room = name).to_string()
        }
    }
}
