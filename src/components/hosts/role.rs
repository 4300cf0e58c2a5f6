//! The words of roles.

use crate::i18n::*;
use crate::protocol::{ParticipantId, Role};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use leptos::prelude::*;

/// The name of a role.
pub fn role_name(locale: Locale, role: Role) -> &'static str {
    match role {
        Role::Viewer => td_string!(locale, hosts.viewer),
        Role::Guest => td_string!(locale, hosts.guest),
        Role::Speaker => td_string!(locale, hosts.speaker),
        Role::CoHost => td_string!(locale, hosts.co_host),
        Role::Host => td_string!(locale, hosts.host),
    }
}

/// The name of a role with its article, for a sentence.
pub fn role_with_article(locale: Locale, role: Role) -> &'static str {
    match role {
        Role::Viewer => td_string!(locale, hosts.a_viewer),
        Role::Guest => td_string!(locale, hosts.a_guest),
        Role::Speaker => td_string!(locale, hosts.a_speaker),
        Role::CoHost => td_string!(locale, hosts.a_co_host),
        Role::Host => td_string!(locale, hosts.a_host),
    }
}

/// The role of a participant; nothing for a guest, which most people are.
#[component]
pub fn RoleBadge(
    /// Id of the participant.
    id: ParticipantId,
    /// Class of the element.
    class: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let role = Memo::new(move |_| session.room.standing().read().role_of(&id));
    move || {
        let role = role.get();
        (!role.is_default())
            .then(|| view! { <span class=class>{role_name(i18n.get_locale(), role)}</span> })
    }
}
