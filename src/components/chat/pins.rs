//! The pinned messages, above the log.

use crate::components::{ErasedShow, Icon, IconName, page_address};
use crate::i18n::*;
use crate::protocol::{Action, Pin};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::words;
use leptos::prelude::*;

/// The pinned messages of the room in the context, each a link to the message among its neighbours.
#[component]
pub fn Pins() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let pins = Memo::new(move |_| session.room.log().read().pins.clone());
    let any = Memo::new(move |_| !pins.read().is_empty());
    view! {
        <ErasedShow when=any>
            <section class="pins" aria-label=words!(i18n, room.pinned_messages)>
                <ul>
                    {move || {
                        pins.get().into_iter().map(|pin| view! { <PinRow pin /> }).collect_view()
                    }}
                </ul>
            </section>
        </ErasedShow>
    }
}

/// One pinned message.
#[component]
fn PinRow(
    /// The message to show.
    pin: Pin,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let name = session.name();
    let href = page_address(&format!("{}?at={}#found", name.path(), pin.seq));
    let may_unpin = Memo::new(move |_| session.room.standing().read().may(Action::Pin, None));
    let id = pin.id;
    view! {
        <li class="pins__item">
            <a class="pins__link" href=href rel=name.link_rel()>
                <bdi class="pins__name" translate="no">
                    {pin.from.nickname.to_string()}
                </bdi>
                " "
                <span class="pins__text" dir="auto">
                    {pin.text.to_string()}
                </span>
            </a>
            <ErasedShow when=may_unpin>
                <button
                    class="button button--quiet button--small"
                    type="button"
                    aria-label=words!(i18n, room.unpin)
                    on:click=move |_| session.pin_message(id, false)
                >
                    <Icon name=IconName::Close />
                </button>
            </ErasedShow>
        </li>
    }
}
