//! The page of the checks: what the last run found, and a button to run them.

use super::{
    super::{
        action::{ActionKind, Outcome},
        session::SignedIn,
        visit::Visit,
    },
    layout::{Forms, back_link, outcome, table, wide},
    numbers::moment,
};
use crate::{
    i18n::{Locale, td_string},
    server::doctor::{self, Finding, Report, check_name, outcome_name},
};
use axum::response::Html;
use leptos::prelude::*;

/// The page of the checks.
pub fn checks(
    visit: &Visit,
    signed_in: &SignedIn,
    last: Option<&Report>,
    said: Option<Outcome>,
) -> Html<String> {
    let locale = visit.locale;
    let forms = Forms {
        locale,
        visit,
        signed_in,
    };
    let title = td_string!(locale, doctor.title);
    let words = match last {
        None => td_string!(locale, doctor.run),
        Some(_) => td_string!(locale, doctor.again),
    };
    let body = view! {
        <h1>{title}</h1>
        {outcome(locale, said)}
        <p>{td_string!(locale, doctor.intro)}</p>
        {forms.button(ActionKind::RunChecks, &[], words, None)}
        {report(locale, title, last)}
        <p>{back_link(visit)}</p>
    };
    wide(visit, &forms, title, body.into_any())
}

/// What the last run found. The section is there before the first run, too, so that it fills by
/// itself.
fn report(locale: Locale, title: &'static str, last: Option<&Report>) -> AnyView {
    let body = last.map(|report| {
        let time = moment(report.at_ms);
        let findings = report.findings(locale);
        let rows = findings.into_iter().map(|finding| row(locale, finding));
        let heads = [
            (td_string!(locale, doctor.head_check), false),
            (td_string!(locale, doctor.head_outcome), false),
            (td_string!(locale, doctor.head_found), false),
        ];
        view! {
            <p>{td_string!(locale, doctor.at, time = time).to_string()}</p>
            {table(title, &heads, rows.collect_view().into_any())}
        }
    });
    view! {
        <section id="checks" data-live="" aria-label=title>
            {body}
        </section>
    }
    .into_any()
}

/// One finding, with what mends it.
fn row(locale: Locale, finding: Finding) -> AnyView {
    let is_ill = match finding.outcome {
        doctor::Outcome::Warning | doctor::Outcome::Failed => true,
        doctor::Outcome::Ok | doctor::Outcome::NotApplicable => false,
    };
    let remedy = finding.remedy.map(|remedy| {
        let words = td_string!(locale, doctor.remedy, remedy = remedy).to_string();
        view! { <p>{words}</p> }
    });
    view! {
        <tr class=is_ill.then_some("admin__ill")>
            <th scope="row">{check_name(locale, finding.check)}</th>
            <td>{outcome_name(locale, finding.outcome)}</td>
            <td>
                <p>{finding.sentence}</p>
                {remedy}
            </td>
        </tr>
    }
    .into_any()
}
