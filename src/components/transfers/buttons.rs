//! The buttons that share files with a participant or with everybody.

use crate::components::{ErasedShow, Icon, IconName};
use crate::i18n::*;
use crate::protocol::{Action, Nickname, ParticipantId};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::transfers::Target;
use crate::words;
use leptos::prelude::*;

/// Whether this participant may share files, once the room is joined.
fn may_share(session: Session) -> bool {
    let standing = session.room.standing();
    session.me().is_some() && standing.read().may(Action::ShareFiles, None)
}

/// The button that shares files with a participant; nothing about oneself.
#[component]
pub fn ShareWithPerson(
    /// Id of the participant.
    id: ParticipantId,
    /// The participant's nickname.
    nickname: Nickname,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let about = id.clone();
    let shown = Memo::new(move |_| may_share(session) && session.me().as_ref() != Some(&about));
    let nickname = nickname.to_string();
    view! {
        <ErasedShow when=shown>
            {
                let (id, nickname, name) = (id.clone(), nickname.clone(), nickname.clone());
                view! {
                    <button
                        class="person__more person__share"
                        type="button"
                        aria-label=Signal::derive(move || {
                            t_string!(i18n, transfers.share_with, name = name.as_str()).to_string()
                        })
                        on:click=move |_| {
                            session.share_files(Target::Person(id.clone()), nickname.clone());
                        }
                    >
                        <Icon name=IconName::ShareFile />
                    </button>
                }
            }
        </ErasedShow>
    }
}

/// The button that shares files with everybody, if there are two others.
#[component]
pub fn ShareWithEverybody() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let shown =
        Memo::new(move |_| may_share(session) && session.room.people().read().here.len() > 2);
    view! {
        <ErasedShow when=shown>
            <button
                class="button button--quiet button--small"
                type="button"
                on:click=move |_| session.share_files(Target::Everybody, String::new())
            >
                <Icon name=IconName::ShareFile />
                {words!(i18n, transfers.share_all)}
            </button>
        </ErasedShow>
    }
}
