//! The invites of the room: to make one, and to pass its link on by clipboard, share sheet, QR code or
//! calendar file.

use crate::api::{ApiError, Packed, invite_calendar, invite_code};
use crate::components::hosts::RefusedRequest;
use crate::components::hosts::confirm::Confirm;
use crate::components::hosts::role::role_name;
use crate::components::{
    CopyButton, Draw, ErasedShow, Icon, IconName, LazyDialog, NAME_PLACEHOLDERS, TimeZone,
    isolate_names,
};
use crate::i18n::*;
use crate::protocol::{
    Action as Permission, ClientMessage, Invite, InviteDraft, MAX_NICKNAME_CHARS, RoomSettings,
};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::invites::{Length, Lifetime, Uses, local_moment, offered_roles, proposed_start};
use crate::state::rows::datetime_value;
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::{Input, Select};
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

/// The button that opens the invites, for those who make invites and do not moderate; those who
/// moderate have them in the settings of the room. In a room that not everybody may enter, it says why
/// a participant makes none.
#[component]
pub fn InvitePeople(
    /// Class of the button.
    class: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    let moderates = Memo::new(move |_| standing.read().role().moderates());
    let may = Memo::new(move |_| standing.read().may(Permission::Invite, None));
    let shown = Signal::derive(move || may.get() && !moderates.get());
    let refused = Signal::derive(move || !may.get() && is_private(&standing.read().settings));
    let open = RwSignal::new(0_u32);
    view! {
        <ErasedShow when=shown>
            <button class=class type="button" on:click=move |_| open.update(|n| *n += 1)>
                <Icon name=IconName::Link />
                {words!(i18n, invites.open)}
            </button>
            <InvitesDialog open />
        </ErasedShow>
        <ErasedShow when=refused>
            <p class="field__hint">{words!(i18n, invites.not_yours)}</p>
        </ErasedShow>
    }
}

/// Whether the name of the room alone lets nobody in.
fn is_private(settings: &RoomSettings) -> bool {
    settings.is_guarded() || settings.password
}

/// The dialog of those who make invites and do not moderate.
#[component]
fn InvitesDialog(
    /// Counts the requests to open the dialog.
    open: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <LazyDialog
            class="dialog dialog--wide"
            title_id="own-invites-title"
            title=words!(i18n, invites.open)
            close_label=words!(i18n, invites.close)
            open
            load=|| Box::pin(load_invites())
        />
    }
}

/// The content of the dialog, in the module of the dialogs.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_invites() -> Result<Draw, SplitLoaderError> {
    Ok(|open| {
        view! {
            <RefusedRequest />
            <InviteSettings open />
        }
        .into_any()
    })
}

/// The section that makes invites and lists them.
#[component]
pub fn InviteSettings(
    /// Counts how often the dialog around it was opened, which loads the list.
    open: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    Effect::new(move || {
        open.track();
        session.moderate(ClientMessage::Invites);
    });
    let invites = Memo::new(move |_| standing.read().invites.newest_first());
    let is_empty = Memo::new(move |_| {
        let standing = standing.read();
        standing.invites.list.as_ref().is_some_and(Vec::is_empty)
    });
    let is_made = Memo::new(move |_| standing.read().invites.created.is_some());
    let made = Signal::derive(move || match is_made.get() {
        true => t_string!(i18n, invites.made),
        false => "",
    });
    view! {
        <section class="dialog__part" aria-labelledby="invites-title">
            <h3 class="field__label" id="invites-title">
                {words!(i18n, invites.title)}
            </h3>
            <p class="field__hint">{words!(i18n, invites.hint)}</p>
            <InviteForm />
            <p class="field__hint" role="status">
                {made}
            </p>
            <ErasedShow when=is_empty>
                <p class="field__hint">{words!(i18n, invites.none)}</p>
            </ErasedShow>
            <ul class="invites">
                <For
                    each=move || invites.get()
                    key=|invite| invite.id.clone()
                    children=|invite| view! { <InviteRow invite /> }
                />
            </ul>
        </section>
    }
}

/// The form that makes an invite.
#[component]
fn InviteForm() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    let roles = Memo::new(move |_| offered_roles(standing.read().role()));
    let role = NodeRef::<Select>::new();
    let name = NodeRef::<Input>::new();
    let lifetime = NodeRef::<Select>::new();
    let uses = NodeRef::<Select>::new();
    let make = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = name.get_untracked().map(|name| name.value());
        let lifetime = Lifetime::ALL.get(chosen(lifetime));
        let uses = Uses::ALL.get(chosen(uses));
        let roles = roles.get_untracked();
        let draft = InviteDraft {
            role: roles.get(chosen(role)).copied().unwrap_or_default(),
            name: typed.filter(|name| !name.trim().is_empty()),
            lasts_s: lifetime.and_then(|lifetime| lifetime.seconds()),
            uses: uses.and_then(|uses| uses.number()),
        };
        session.moderate(ClientMessage::CreateInvite(draft));
        if let Some(name) = name.get_untracked() {
            name.set_value("");
        }
    };
    let role_words = move |place: usize| {
        let role = roles.read().get(place).copied().unwrap_or_default();
        role_name(i18n.get_locale(), role)
    };
    let places = Signal::derive(move || roles.read().len());
    let lifetime_words = move |place| match Lifetime::ALL.get(place) {
        Some(Lifetime::Hour) => t_string!(i18n, invites.in_an_hour),
        Some(Lifetime::Day) => t_string!(i18n, invites.in_a_day),
        Some(Lifetime::Week) => t_string!(i18n, invites.in_a_week),
        Some(Lifetime::Never) | None => t_string!(i18n, invites.never),
    };
    let uses_words = move |place| match Uses::ALL.get(place) {
        Some(Uses::One) => t_string!(i18n, invites.one_person),
        Some(Uses::Ten) => t_string!(i18n, invites.ten_people),
        Some(Uses::Any) | None => t_string!(i18n, invites.any_number),
    };
    view! {
        <form class="invites__form" on:submit=make>
            <Choice
                id="invite-role".to_owned()
                label=words!(i18n, invites.role)
                places
                words=Callback::new(role_words)
                select=role
            />
            <div class="field">
                <label class="field__label" for="invite-name">
                    {words!(i18n, invites.name)}
                </label>
                <input
                    class="input"
                    id="invite-name"
                    dir="auto"
                    autocomplete="off"
                    maxlength=MAX_NICKNAME_CHARS.to_string()
                    aria-describedby="invite-name-hint"
                    node_ref=name
                />
                <p class="field__hint" id="invite-name-hint">
                    {words!(i18n, invites.name_hint)}
                </p>
            </div>
            <Choice
                id="invite-expires".to_owned()
                label=words!(i18n, invites.expires)
                places=Signal::stored(Lifetime::ALL.len())
                words=Callback::new(lifetime_words)
                select=lifetime
            />
            <Choice
                id="invite-uses".to_owned()
                label=words!(i18n, invites.uses)
                places=Signal::stored(Uses::ALL.len())
                words=Callback::new(uses_words)
                select=uses
            />
            <button class="button" type="submit">
                {words!(i18n, invites.make)}
            </button>
        </form>
    }
}

/// The place of the chosen option.
fn chosen(select: NodeRef<Select>) -> usize {
    let select = select.get_untracked();
    let place = select.and_then(|select| select.value().parse().ok());
    place.unwrap_or_default()
}

/// A labelled select, whose options are numbered.
#[component]
fn Choice(
    /// Value of the element's `id`.
    id: String,
    /// The visible label of the select.
    label: Signal<&'static str>,
    /// The number of options.
    places: Signal<usize>,
    /// The words of an option; tracked.
    words: Callback<usize, &'static str>,
    /// The element of the select.
    select: NodeRef<Select>,
) -> impl IntoView {
    let options = move || {
        let option = |place: usize| {
            let text = Signal::derive(move || words.run(place));
            view! { <option value=place.to_string()>{text}</option> }.into_any()
        };
        (0..places.get()).map(option).collect_view()
    };
    view! {
        <div class="field">
            <label class="field__label" for=id.clone()>
                {label}
            </label>
            <select class="select" id=id node_ref=select>
                {options}
            </select>
        </div>
    }
}

/// One invite, with what can be done with it.
#[component]
fn InviteRow(
    /// The invite to show.
    invite: Invite,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let standing = session.room.standing();
    let may_revoke = Memo::new(move |_| standing.read().may(Permission::RevokeInvite, None));
    let id = invite.id.clone();
    let title_id = format!("invite-{}", id.as_str());
    let label_id = title_id.clone();
    let invite = StoredValue::new(invite);
    let title = move || {
        let Invite { role, name, .. } = invite.get_value();
        let role = role_name(i18n.get_locale(), role);
        let name = name.map(|name| name.to_string());
        let sentence = match name {
            Some(_) => {
                let place = NAME_PLACEHOLDERS[0];
                t_string!(i18n, invites.as_role_named, name = place, role = role).to_string()
            }
            None => t_string!(i18n, invites.as_role, role = role).to_string(),
        };
        isolate_names(&sentence, &[name.as_deref().unwrap_or_default()])
    };
    let revoke = Callback::new(move |()| {
        let id = id.clone();
        session.moderate(ClientMessage::RevokeInvite { id });
    });
    view! {
        <li>
            <div class="invites__row" role="group" aria-labelledby=label_id>
                <p class="invites__title" id=title_id>
                    {title}
                </p>
                <InviteLimits invite />
                <div class="invites__actions">
                    <LinkButtons invite />
                </div>
                <QrCode invite />
                <CalendarFile invite />
                <ErasedShow when=may_revoke>
                    <Confirm
                        label=words!(i18n, invites.revoke)
                        question=words!(i18n, invites.revoke_question)
                        agree=words!(i18n, invites.revoke_now)
                        action=revoke
                    />
                </ErasedShow>
            </div>
        </li>
    }
}

/// Until when an invite lasts, and how often it was used.
#[component]
fn InviteLimits(
    /// The invite of the row.
    invite: StoredValue<Invite>,
) -> impl IntoView {
    let i18n = use_i18n();
    let zone = expect_context::<TimeZone>();
    let standing = expect_context::<Session>().room.standing();
    let used = Memo::new(move |_| {
        let used = invite.with_value(|invite| standing.read().invites.used(&invite.id));
        used.unwrap_or_default()
    });
    let sentence = Signal::derive(move || {
        let (expires, uses) = invite.with_value(|invite| (invite.expires, invite.uses));
        let until = expires.map(|at| {
            let time = zone.day_and_time(i18n.get_locale(), at);
            t_string!(i18n, invites.until, time = time).to_string()
        });
        let until = until.unwrap_or_else(|| t_string!(i18n, invites.no_end).to_owned());
        let used = used.get();
        let used = match uses {
            Some(uses) if used >= uses => t_string!(i18n, invites.used_up).to_owned(),
            Some(uses) => t_string!(i18n, invites.used_of, used = used, uses = uses).to_string(),
            None => t_string!(i18n, invites.used, used = used).to_string(),
        };
        format!("{until} · {used}")
    });
    view! { <p class="field__hint">{sentence}</p> }
}

/// The buttons that copy the link, and share it where the browser has a share sheet.
#[component]
fn LinkButtons(
    /// The invite of the row.
    invite: StoredValue<Invite>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let can_share = RwSignal::new(false);
    #[cfg(feature = "hydrate")]
    Effect::new(move || can_share.set(crate::browser::dom::share::can_share()));
    let link = move || {
        #[cfg(feature = "hydrate")]
        return invite.with_value(|invite| {
            crate::browser::dom::invite_link::of(&session.name(), &invite.token)
        });
        #[cfg(not(feature = "hydrate"))]
        {
            let _ = (session, invite);
            None::<String>
        }
    };
    let copy = Callback::new(move |copied: RwSignal<bool>| {
        if let Some(link) = link() {
            #[cfg(feature = "hydrate")]
            crate::browser::dom::clipboard::copy(link, move || copied.set(true));
            #[cfg(not(feature = "hydrate"))]
            drop((link, copied));
        }
    });
    let share = move |_| {
        if let Some(link) = link() {
            let name = session.name();
            let title = t_string!(i18n, invites.meeting_in, room = name.as_str()).to_string();
            #[cfg(feature = "hydrate")]
            crate::browser::dom::share::share(&title, &link);
            #[cfg(not(feature = "hydrate"))]
            drop((title, link));
        }
    };
    view! {
        <CopyButton
            class="button button--small"
            label=words!(i18n, invites.copy)
            done=words!(i18n, invites.copied)
            copy
        />
        <ErasedShow when=can_share>
            <button class="button button--small" type="button" on:click=share>
                {words!(i18n, invites.share)}
            </button>
        </ErasedShow>
    }
}

/// The sentence about a request for a file that failed.
fn failure(locale: Locale, error: &ApiError) -> &'static str {
    match error {
        ApiError::TooMany => td_string!(locale, invites.busy),
        ApiError::Invalid { .. }
        | ApiError::TooManyRooms
        | ApiError::SearchTimedOut
        | ApiError::SearchBusy
        | ApiError::Unavailable
        | ApiError::Request => td_string!(locale, invites.failed),
    }
}

/// The id of a part of a row, which begins with this word.
fn part_id(word: &str, invite: StoredValue<Invite>) -> String {
    invite.with_value(|invite| format!("{word}-{}", invite.id.as_str()))
}

/// The button that shows the QR code of the link.
#[component]
fn QrCode(
    /// The invite of the row.
    invite: StoredValue<Invite>,
) -> impl IntoView {
    let i18n = use_i18n();
    let name = expect_context::<Session>().name();
    let shown = RwSignal::new(false);
    let file = MadeFile::none();
    let failed = RwSignal::new(None::<ApiError>);
    let draw = Action::new_local(move |()| {
        let (name, token) = (name.to_string(), invite.with_value(|one| one.token.clone()));
        async move {
            match invite_code(name, token)
                .await
                .and_then(Packed::unpack::<String>)
            {
                Ok(text) => {
                    failed.set(None);
                    file.make(&text, "image/svg+xml");
                }
                Err(error) => failed.set(Some(error)),
            }
        }
    });
    let toggle = move |_| {
        shown.update(|shown| *shown = !*shown);
        if shown.get_untracked() && file.address.read_untracked().is_none() {
            draw.dispatch(());
        }
    };
    let alt = Signal::derive(move || {
        let locale = i18n.get_locale();
        let title = invite.with_value(|invite| title_text(locale, invite));
        t_string!(i18n, invites.qr_alt, invite = title).to_string()
    });
    let is_drawn = Signal::derive(move || shown.get() && file.address.read().is_some());
    let sentence = Signal::derive(move || match (shown.get(), failed.get()) {
        (true, Some(error)) => failure(i18n.get_locale(), &error),
        (true, None) | (false, _) => "",
    });
    let part = part_id("qr", invite);
    view! {
        <button
            class="button button--small"
            type="button"
            aria-expanded=Signal::derive(move || shown.get().to_string())
            aria-controls=part.clone()
            on:click=toggle
        >
            {words!(i18n, invites.qr)}
        </button>
        <div class="invites__part" id=part>
            <ErasedShow when=is_drawn>
                <img
                    class="invites__qr"
                    src=Signal::derive(move || file.address.get().unwrap_or_default())
                    alt=alt
                    width="240"
                    height="240"
                />
            </ErasedShow>
            <p class="field__error" role="status">
                {sentence}
            </p>
        </div>
    }
}

/// The words that name an invite.
fn title_text(locale: Locale, invite: &Invite) -> String {
    let role = role_name(locale, invite.role);
    match &invite.name {
        Some(name) => td_string!(
            locale,
            invites.as_role_named,
            name = name.as_str(),
            role = role
        )
        .to_string(),
        None => td_string!(locale, invites.as_role, role = role).to_string(),
    }
}

/// A file that this page made, and its address until the component is gone.
#[derive(Clone, Copy)]
struct MadeFile {
    /// The address of the file, once it is made.
    address: RwSignal<Option<String>>,
    /// The file, whose address ends when it is dropped.
    #[cfg(feature = "hydrate")]
    file: StoredValue<Option<crate::browser::dom::share::PageFile>, LocalStorage>,
}

impl MadeFile {
    /// No file yet.
    fn none() -> Self {
        Self {
            address: RwSignal::new(None),
            #[cfg(feature = "hydrate")]
            file: StoredValue::new_local(None),
        }
    }

    /// Makes the file from its text.
    fn make(self, text: &str, media_type: &str) {
        #[cfg(feature = "hydrate")]
        {
            let file = crate::browser::dom::share::PageFile::new(text, media_type);
            let address = file.as_ref().map(|file| file.address().to_owned());
            self.file.set_value(file);
            self.address.set(address);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (self, text, media_type);
    }

    /// Saves the file on the device.
    fn download(self, name: &str) {
        #[cfg(feature = "hydrate")]
        self.file.with_value(|file| {
            if let Some(file) = file {
                file.download(name);
            }
        });
        #[cfg(not(feature = "hydrate"))]
        let _ = (self, name);
    }
}

/// The button that opens the form of the calendar file.
#[component]
fn CalendarFile(
    /// The invite of the row.
    invite: StoredValue<Invite>,
) -> impl IntoView {
    let i18n = use_i18n();
    let shown = RwSignal::new(false);
    let part = part_id("calendar", invite);
    view! {
        <button
            class="button button--small"
            type="button"
            aria-expanded=Signal::derive(move || shown.get().to_string())
            aria-controls=part.clone()
            on:click=move |_| shown.update(|shown| *shown = !*shown)
        >
            {words!(i18n, invites.calendar)}
        </button>
        <div class="invites__part" id=part>
            <ErasedShow when=shown>
                <CalendarForm invite />
            </ErasedShow>
        </div>
    }
}

/// Asks when the meeting starts and how long it lasts.
#[component]
fn CalendarForm(
    /// The invite of the row.
    invite: StoredValue<Invite>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let RoomSettings { opens, closes, .. } = session.room.standing().read_untracked().settings;
    let offset = move |at| untrack(|| zone.offset_minutes(at));
    let proposed = proposed_start(opens, now_ms(), &offset);
    let has_window = Length::Window.end(proposed, closes).is_some();
    let lengths: Vec<_> = has_window
        .then_some(Length::Window)
        .into_iter()
        .chain(Length::FIXED)
        .collect();
    let (start, length) = (NodeRef::<Input>::new(), NodeRef::<Select>::new());
    let file = MadeFile::none();
    let problem = RwSignal::new(None::<Problem>);
    let name = session.name();
    let file_name = format!("{name}.ics");
    let make = Action::new_local(move |(starts, ends): &(i64, i64)| {
        let (room, token) = (name.to_string(), invite.with_value(|one| one.token.clone()));
        let (asked, file_name) = (
            invite_calendar(room, token, *starts, *ends),
            file_name.clone(),
        );
        async move {
            match asked.await.and_then(Packed::unpack::<String>) {
                Ok(text) => {
                    file.make(&text, "text/calendar;charset=utf-8");
                    file.download(&file_name);
                }
                Err(error) => problem.set(Some(Problem::Refused(error))),
            }
        }
    });
    let count = lengths.len();
    let stored = StoredValue::new(lengths);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        problem.set(None);
        let starts = start.get_untracked();
        let starts = starts.and_then(|start| local_moment(start.value_as_number(), &offset));
        let length = stored.with_value(|lengths| lengths.get(chosen(length)).copied());
        let ends = starts.and_then(|starts| length?.end(starts, closes));
        match starts.zip(ends) {
            Some(time) => drop(make.dispatch(time)),
            None => problem.set(Some(Problem::NoTime)),
        }
    };
    let length_words =
        move |place: usize| match stored.with_value(|lengths| lengths.get(place).copied()) {
            Some(Length::Window) => t_string!(i18n, invites.window),
            Some(Length::HalfHour) => t_string!(i18n, invites.half_hour),
            Some(Length::TwoHours) => t_string!(i18n, invites.two_hours),
            Some(Length::FourHours) => t_string!(i18n, invites.four_hours),
            Some(Length::Day) => t_string!(i18n, invites.one_day),
            Some(Length::Hour) | None => t_string!(i18n, invites.one_hour),
        };
    let sentence = Signal::derive(move || match problem.get() {
        Some(Problem::NoTime) => t_string!(i18n, invites.no_date),
        Some(Problem::Refused(error)) => failure(i18n.get_locale(), &error),
        None => "",
    });
    let start_id = part_id("start", invite);
    view! {
        <form class="invites__form" novalidate on:submit=submit>
            <div class="field">
                <label class="field__label" for=start_id.clone()>
                    {words!(i18n, invites.time)}
                </label>
                <input
                    class="input"
                    id=start_id
                    type="datetime-local"
                    value=datetime_value(proposed, offset(proposed))
                    node_ref=start
                />
            </div>
            <Choice
                id=part_id("length", invite)
                label=words!(i18n, invites.length)
                places=Signal::stored(count)
                words=Callback::new(length_words)
                select=length
            />
            <button class="button button--small" type="submit">
                {words!(i18n, invites.download)}
            </button>
            <p class="field__error" role="status">
                {sentence}
            </p>
        </form>
    }
}

/// Why there is no calendar file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// The fields name no time.
    NoTime,
    /// The server refused.
    Refused(ApiError),
}

/// The time of the device, in milliseconds since the Unix epoch; the server draws no such form.
fn now_ms() -> i64 {
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::clock::now_ms();
    #[cfg(not(feature = "hydrate"))]
    0
}
