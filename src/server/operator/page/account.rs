//! The pages before the operator has a session: sentences, and the forms for the password.

use super::{
    super::{password::PasswordProblem, visit::Visit},
    layout::{alert, back_link, encoded, narrow, password_field},
};
use crate::i18n::td_string;
use axum::response::Html;
use leptos::prelude::*;

/// A page of one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOf {
    /// The connection is not private.
    Insecure,
    /// There is no operator.
    Nobody,
    /// The one-time link was used or is too old.
    DeadLink,
    /// A form of another page.
    Forged,
    /// Too many requests at once.
    Busy,
    /// The store failed.
    Failed,
}

/// Why somebody did not sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInProblem {
    /// The password is wrong, or there is no operator.
    Wrong,
    /// Too many wrong tries.
    TooMany,
}

/// A page of one sentence.
pub fn sentence(visit: &Visit, what: PageOf) -> Html<String> {
    let locale = visit.locale;
    let (title, text) = match what {
        PageOf::Insecure => (
            td_string!(locale, admin.insecure_title),
            td_string!(locale, admin.insecure_text),
        ),
        PageOf::Nobody => (
            td_string!(locale, admin.nobody_title),
            td_string!(locale, admin.nobody_text),
        ),
        PageOf::DeadLink => (
            td_string!(locale, admin.link_title),
            td_string!(locale, admin.link_text),
        ),
        PageOf::Forged => (
            td_string!(locale, admin.forged_title),
            td_string!(locale, admin.forged_text),
        ),
        PageOf::Busy => (
            td_string!(locale, admin.failed_title),
            td_string!(locale, admin.busy_text),
        ),
        PageOf::Failed => (
            td_string!(locale, admin.failed_title),
            td_string!(locale, admin.failed_text),
        ),
    };
    let back = match what {
        PageOf::Forged | PageOf::Busy | PageOf::Failed => back_link(visit),
        PageOf::Insecure | PageOf::Nobody | PageOf::DeadLink => ().into_any(),
    };
    let body = view! {
        <h1>{title}</h1>
        <p>{text}</p>
        {back}
    };
    narrow(visit, title, body.into_any())
}

/// The form to sign in.
pub fn sign_in(visit: &Visit, problem: Option<SignInProblem>) -> Html<String> {
    let locale = visit.locale;
    let problem = problem.map(|problem| match problem {
        SignInProblem::Wrong => td_string!(locale, admin.sign_in_wrong),
        SignInProblem::TooMany => td_string!(locale, admin.sign_in_too_many),
    });
    let title = td_string!(locale, admin.sign_in_title);
    let body = view! {
        <h1>{title}</h1>
        {problem.map(alert)}
        <form class="form" method="post" action=visit.to("/admin/sign-in")>
            {password_field("password", td_string!(locale, admin.password), "current-password")}
            <button class="button button--primary" type="submit">
                {td_string!(locale, admin.sign_in)}
            </button>
        </form>
    };
    narrow(visit, title, body.into_any())
}

/// The form behind the one-time link.
pub fn set_up(visit: &Visit, token: &str, problem: Option<PasswordProblem>) -> Html<String> {
    let locale = visit.locale;
    let problem = problem.map(|problem| match problem {
        PasswordProblem::TooShort => td_string!(locale, admin.password_short),
        PasswordProblem::TooLong => td_string!(locale, admin.password_long),
        PasswordProblem::Differs => td_string!(locale, admin.password_differs),
    });
    let title = td_string!(locale, admin.setup_title);
    let here = visit.to(&format!("/admin/setup?token={}&", encoded(token)));
    let visit = &Visit {
        here,
        ..visit.clone()
    };
    let body = view! {
        <h1>{title}</h1>
        <p>{td_string!(locale, admin.setup_text)}</p>
        {problem.map(alert)}
        <form class="form" method="post" action=visit.to("/admin/setup")>
            <input type="hidden" name="token" value=token.to_owned() />
            {password_field("password", td_string!(locale, admin.password), "new-password")}
            {password_field("again", td_string!(locale, admin.password_again), "new-password")}
            <button class="button button--primary" type="submit">
                {td_string!(locale, admin.setup_submit)}
            </button>
        </form>
    };
    narrow(visit, title, body.into_any())
}
