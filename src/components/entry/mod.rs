//! The pages of somebody who is not in the room: the lobby, the password, and why they are outside.

mod lobby;
mod outside;
mod password;

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::protocol::RoomName;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::entry::{Admission, Barrier};
use leptos::prelude::*;
use lobby::LobbyPage;
use outside::OutsidePage;
use password::PasswordPage;

/// Draws what the room admits this participant to: the room itself, or the page of somebody who is
/// not in it.
#[component]
pub fn AdmittedTo(
    /// The room, drawn once this participant is in it, and until that is known.
    children: ChildrenFn,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let admission = Memo::new(move |_| session.room.connection().read().admission);
    let asks_password = Memo::new(move |_| {
        admission
            .get()
            .barrier()
            .is_some_and(Barrier::asks_password)
    });
    show_in_title(session, admission);
    view! {
        <ErasedShow when=Signal::derive(move || {
            admission.get() == Admission::Room
        })>{children()}</ErasedShow>
        <ErasedShow when=Signal::derive(move || admission.get() == Admission::Lobby)>
            <LobbyPage />
        </ErasedShow>
        <ErasedShow when=asks_password>
            <PasswordPage />
        </ErasedShow>
        <ErasedShow when=Signal::derive(move || {
            admission.get().barrier().is_some() && !asks_password.get()
        })>
            <OutsidePage />
        </ErasedShow>
        <AdmittedStatus admission />
    }
}

/// "You are in", for screen readers, once a wait has ended well.
#[component]
fn AdmittedStatus(
    /// What this participant is admitted to.
    admission: Memo<Admission>,
) -> impl IntoView {
    let i18n = use_i18n();
    let has_waited = Memo::new(move |waited: Option<&bool>| match admission.get() {
        Admission::Lobby => true,
        Admission::Room => waited.copied().unwrap_or_default(),
        Admission::Outside(_) => false,
    });
    let sentence = Signal::derive(move || {
        let is_in = has_waited.get() && admission.get() == Admission::Room;
        is_in.then(|| t_string!(i18n, entry.admitted))
    });
    view! {
        <p class="visually-hidden" role="status">
            {sentence}
        </p>
    }
}

/// Shows in the title of the document why this participant is not in the room.
fn show_in_title(session: Session, admission: Memo<Admission>) {
    let i18n = use_i18n();
    Effect::new(move |before: Option<Option<String>>| {
        let locale = i18n.get_locale();
        let state = match admission.get() {
            Admission::Room => None,
            Admission::Lobby => Some(td_string!(locale, entry.waiting_title).to_owned()),
            Admission::Outside(barrier) if barrier.asks_password() => {
                Some(td_string!(locale, entry.password_title).to_owned())
            }
            Admission::Outside(barrier) => {
                let window = session.room.entry().read().window;
                Some(outside::title(locale, barrier, window).to_owned())
            }
        };
        // The server writes the title of the room.
        if state.is_some() || before.flatten().is_some() {
            #[cfg(feature = "hydrate")]
            {
                let room = session.name();
                let title = t_string!(i18n, room.title, room = room.as_str()).to_string();
                crate::browser::dom::title::set(state.as_deref(), &title);
            }
        }
        state
    });
}

/// The name of the room, for the pages' sentences about it.
fn room_name() -> RoomName {
    expect_context::<Session>().name()
}
