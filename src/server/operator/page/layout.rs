//! The parts that the operator's pages share: forms, tables, sentences, and what is around them.

use super::{
    super::{
        action::{ActionKind, Outcome},
        session::SignedIn,
        visit::Visit,
    },
    document::Document,
};
use crate::i18n::{Locale, td_string};
use axum::response::Html;
use leptos::prelude::*;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Makes the forms of a session.
pub struct Forms<'a> {
    /// The language of the page.
    pub locale: Locale,
    /// The request for the page.
    pub visit: &'a Visit,
    /// The session, whose token each form carries.
    pub signed_in: &'a SignedIn,
}

impl Forms<'_> {
    /// A form of one button. `label` names the button where its words alone are not enough.
    pub fn button(
        &self,
        kind: ActionKind,
        fields: &[(&'static str, &str)],
        words: &'static str,
        label: Option<String>,
    ) -> AnyView {
        view! {
            <form method="post" action=self.visit.to("/admin/action")>
                {self.hidden(kind, fields)}
                <button class="button button--small" type="submit" aria-label=label>
                    {words}
                </button>
            </form>
        }
        .into_any()
    }

    /// The hidden fields of a form: action, token, and what the action is about.
    pub fn hidden(&self, kind: ActionKind, fields: &[(&'static str, &str)]) -> AnyView {
        let action: &'static str = kind.into();
        let token = self.signed_in.form_token.clone();
        let fields = fields.iter().map(|(name, value)| {
            view! { <input type="hidden" name=*name value=(*value).to_owned() /> }
        });
        view! {
            <input type="hidden" name="action" value=action />
            <input type="hidden" name="token" value=token />
            {fields.collect_view()}
        }
        .into_any()
    }
}

/// The sentence about the outcome of the last action.
pub fn outcome(locale: Locale, said: Option<Outcome>) -> Option<AnyView> {
    let (words, well) = match said? {
        Outcome::RoomClosed => (td_string!(locale, admin.said_room_closed), true),
        Outcome::PersonRemoved => (td_string!(locale, admin.said_person_removed), true),
        Outcome::Announced => (td_string!(locale, admin.said_announced), true),
        Outcome::HostKeySet => (td_string!(locale, admin.said_host_key_set), true),
        Outcome::HistoryDeleted => (td_string!(locale, admin.said_history_deleted), true),
        Outcome::HistoryGoing => (td_string!(locale, admin.said_history_going), true),
        Outcome::BackupMade => (td_string!(locale, admin.said_backup_made), true),
        Outcome::BackupGoing => (td_string!(locale, admin.said_backup_going), true),
        Outcome::BackupDeleted => (td_string!(locale, admin.said_backup_deleted), true),
        Outcome::Checked => (td_string!(locale, admin.said_checked), true),
        Outcome::CheckGoing => (td_string!(locale, admin.said_check_going), true),
        Outcome::SessionEnded => (td_string!(locale, admin.said_session_ended), true),
        Outcome::NotThere => (td_string!(locale, admin.said_not_there), false),
        Outcome::BackupsFull => (td_string!(locale, admin.said_backups_full), false),
        Outcome::BackupNoSpace => (td_string!(locale, admin.said_backup_no_space), false),
        Outcome::TooMany => (td_string!(locale, admin.said_too_many), false),
        Outcome::BadText => (td_string!(locale, admin.said_bad_text), false),
        Outcome::Failed => (td_string!(locale, admin.said_failed), false),
    };
    Some(match well {
        true => view! {
            <p class="admin__said" role="status">
                {words}
            </p>
        }
        .into_any(),
        false => alert(words),
    })
}

/// A sentence about a problem.
pub fn alert(words: &'static str) -> AnyView {
    view! {
        <p class="admin__said admin__said--bad" role="alert">
            {words}
        </p>
    }
    .into_any()
}

/// A field for a password.
pub fn password_field(name: &'static str, label: &'static str, purpose: &'static str) -> AnyView {
    view! {
        <div class="field">
            <label class="field__label" for=name>
                {label}
            </label>
            <input class="input" type="password" id=name name=name required autocomplete=purpose />
        </div>
    }
    .into_any()
}

/// A table that scrolls by itself. The heads are numbers or not.
pub fn table(label: &'static str, heads: &[(&'static str, bool)], rows: AnyView) -> AnyView {
    let heads = heads.iter().map(|(words, is_number)| {
        view! {
            <th scope="col" class=is_number.then_some("number")>
                {*words}
            </th>
        }
    });
    let heads = heads.collect::<Vec<_>>();
    let head = (!heads.is_empty()).then(|| {
        view! {
            <thead>
                <tr>{heads}</tr>
            </thead>
        }
    });
    view! {
        <div class="admin__table" role="group" aria-label=label tabindex="0">
            <table>{head} <tbody>{rows}</tbody></table>
        </div>
    }
    .into_any()
}

/// The link to the overview.
pub fn back_link(visit: &Visit) -> AnyView {
    view! { <a href=visit.to("/admin")>{td_string!(visit.locale, admin.back)}</a> }.into_any()
}

/// The address of a room's page.
pub fn room_address(visit: &Visit, name: &str) -> String {
    visit.to(&format!("/admin/room?name={}", encoded(name)))
}

/// A value of a query.
pub fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// A page with a form or a sentence.
pub fn narrow(visit: &Visit, title: &str, body: AnyView) -> Html<String> {
    let main = view! {
        <main id="content" class="admin admin--narrow">
            {body}
        </main>
    };
    document(visit, title, ().into_any(), main.into_any(), false)
}

/// A page of tables, which refreshes itself and lets the operator sign out.
pub fn wide(visit: &Visit, forms: &Forms<'_>, title: &str, body: AnyView) -> Html<String> {
    let words = td_string!(forms.locale, admin.sign_out);
    let sign_out = forms.button(ActionKind::SignOut, &[], words, None);
    let main = view! {
        <main id="content" class="admin">
            {body}
        </main>
    };
    document(visit, title, sign_out, main.into_any(), true)
}

/// The document around a page.
fn document(
    visit: &Visit,
    title: &str,
    tools: AnyView,
    main: AnyView,
    is_live: bool,
) -> Html<String> {
    let title = format!("{title} · {}", td_string!(visit.locale, admin.product));
    let document = Document {
        title,
        style: "/admin/admin.css",
        script: is_live.then_some("/admin/admin.js"),
        is_listed: false,
        tools,
        main,
        after: ().into_any(),
    };
    document.render(visit)
}
