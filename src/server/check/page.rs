//! The page of the test as HTML, with everything that its script shows.

use super::words;
use crate::{
    i18n::{Locale, td_string},
    server::operator::{Document, Visit},
    state::check::{Conditions, DelayResult, Fact, RateResult, Step, Summary},
};
use axum::response::Html;
use http::Version;
use leptos::prelude::*;
use serde_json::{Map, Value, json};

/// The page for a visit by a request of this HTTP version.
pub fn page(visit: &Visit, version: Version) -> Html<String> {
    let locale = visit.locale;
    let title = td_string!(locale, check.title);
    let main = view! {
        <main id="content" class="check">
            <div class="check__intro">
                <h1>{title}</h1>
                <p>{td_string!(locale, check.intro)}</p>
                // The script hides the sentence.
                <p class="check__note" id="check-needs-script">
                    {td_string!(locale, check.needs_script)}
                </p>
            </div>
            {connection(locale)}
            {devices(locale)}
            {seen_by_server(visit, version)}
            {report(locale)}
        </main>
    };
    document(visit, title, main.into_any(), &data(visit, version))
}

/// The steps of the connection and the button that starts them.
fn connection(locale: Locale) -> AnyView {
    let steps = Step::ALL.into_iter().filter(|step| !step.is_device());
    let steps = steps.map(|step| {
        let (name, how) = words::of_step(locale, step);
        view! {
            <li class="check__step" data-step=step.name()>
                <h3>{name}</h3>
                <p class="check__how">{how}</p>
                {result(td_string!(locale, check.waiting))}
            </li>
        }
    });
    view! {
        <section class="card check__part" aria-labelledby="check-connection">
            <h2 id="check-connection">{td_string!(locale, check.connection)}</h2>
            <p>{td_string!(locale, check.connection_text)}</p>
            <p class="check__ways" data-script="" hidden>
                <button class="button button--primary" type="button" id="check-start">
                    {td_string!(locale, check.start)}
                </button>
                <progress
                    id="check-progress"
                    aria-label=td_string!(locale, check.title)
                    hidden
                ></progress>
            </p>
            <div id="check-summary" class="check__summary" role="status"></div>
            <ol class="check__steps">{steps.collect_view()}</ol>
        </section>
    }
    .into_any()
}

/// The place of a result: verdict and measurement, sentence, advice.
fn result(waiting: &'static str) -> AnyView {
    view! {
        <p class="check__verdict" data-verdict="waiting">
            {waiting}
        </p>
        <p class="check__sentence"></p>
        <p class="check__advice"></p>
    }
    .into_any()
}

/// The devices, each with its button; all of it needs the script.
fn devices(locale: Locale) -> AnyView {
    let microphone = view! {
        <p class="field__hint">{td_string!(locale, check.speak)}</p>
        <meter
            id="check-level"
            min="0"
            max="1"
            value="0"
            aria-label=td_string!(locale, check.level)
        ></meter>
    };
    let camera = view! {
        <video
            id="check-picture"
            muted
            playsinline
            aria-label=td_string!(locale, check.camera)
        ></video>
    };
    let speaker = view! {
        <p class="check__ways" role="group" aria-label=td_string!(locale, check.heard)>
            <button class="button button--small" type="button" id="check-heard">
                {td_string!(locale, check.yes)}
            </button>
            <button class="button button--small" type="button" id="check-not-heard">
                {td_string!(locale, check.no)}
            </button>
        </p>
    };
    view! {
        <section class="card check__part" aria-labelledby="check-devices" data-script="" hidden>
            <h2 id="check-devices">{td_string!(locale, check.devices)}</h2>
            <p>{td_string!(locale, check.devices_text)}</p>
            <ul class="check__steps">
                {device(
                    locale,
                    Step::Microphone,
                    td_string!(locale, check.choose_microphone),
                    td_string!(locale, check.test_microphone),
                    microphone.into_any(),
                )}
                {device(
                    locale,
                    Step::Camera,
                    td_string!(locale, check.choose_camera),
                    td_string!(locale, check.test_camera),
                    camera.into_any(),
                )}
                {device(
                    locale,
                    Step::Speaker,
                    td_string!(locale, check.choose_speaker),
                    td_string!(locale, check.play_sound),
                    speaker.into_any(),
                )}
            </ul>
        </section>
    }
    .into_any()
}

/// A device: its permission, a choice, a button, and what is there while it runs.
fn device(
    locale: Locale,
    step: Step,
    choice: &'static str,
    button: &'static str,
    running: AnyView,
) -> AnyView {
    let (name, _) = words::of_step(locale, step);
    let id = format!("check-choice-{}", step.name());
    view! {
        <li class="check__step" data-step=step.name()>
            <h3>{name}</h3>
            <p class="check__how" data-found=""></p>
            <div class="field" data-choice="" hidden>
                <label class="field__label" for=id.clone()>
                    {choice}
                </label>
                <select class="select" id=id></select>
            </div>
            <p class="check__ways">
                <button class="button" type="button" data-test="">
                    {button}
                </button>
            </p>
            <div data-running="" hidden>
                {running}
            </div>
            <div role="status">{result(td_string!(locale, check.waiting))}</div>
        </li>
    }
    .into_any()
}

/// What the server knows of the request, for which no script is needed.
fn seen_by_server(visit: &Visit, version: Version) -> AnyView {
    let locale = visit.locale;
    let encryption = match visit.cookies.https {
        true => td_string!(locale, check.encrypted),
        false => td_string!(locale, check.plain_text),
    };
    let rows = [
        (td_string!(locale, check.encryption), encryption.to_owned()),
        (
            td_string!(locale, check.http_version),
            format!("{version:?}"),
        ),
        (td_string!(locale, check.address), visit.address.to_string()),
    ];
    let rows = rows.map(|(name, value)| {
        view! {
            <div>
                <dt>{name}</dt>
                <dd>{value}</dd>
            </div>
        }
    });
    view! {
        <section class="card check__part" aria-labelledby="check-server">
            <h2 id="check-server">{td_string!(locale, check.server_sees)}</h2>
            <dl class="check__seen">{rows.into_iter().collect_view()}</dl>
        </section>
    }
    .into_any()
}

/// The report, which the script fills in.
fn report(locale: Locale) -> AnyView {
    view! {
        <section class="card check__part" aria-labelledby="check-report" data-script="" hidden>
            <h2 id="check-report">{td_string!(locale, check.report)}</h2>
            <p>{td_string!(locale, check.report_text)}</p>
            <textarea
                class="input check__report"
                id="check-text"
                rows="10"
                readonly
                aria-labelledby="check-report"
            ></textarea>
            <p class="check__ways">
                <button class="button" type="button" id="check-copy">
                    {td_string!(locale, check.copy)}
                </button>
                <span id="check-copied" role="status"></span>
            </p>
        </section>
    }
    .into_any()
}

/// Everything that the script shows and decides by, as JSON.
fn data(visit: &Visit, version: Version) -> Value {
    let locale = visit.locale;
    let mut steps = Map::new();
    for step in Step::ALL {
        let (name, _) = words::of_step(locale, step);
        let mut results = Map::new();
        for fact in Fact::all_of(step) {
            let (sentence, advice) = words::of_finding(locale, fact.finding());
            let (verdict, evidence) = (fact.finding().verdict(), fact.evidence());
            let result = json!({
                "verdict": verdict.name(),
                "word": words::of_verdict(locale, verdict),
                "sentence": sentence,
                "advice": advice,
                "proves": evidence.proves,
                "disproves": evidence.disproves,
            });
            results.insert(fact.code().to_owned(), result);
        }
        steps.insert(
            step.name().to_owned(),
            json!({ "name": name, "results": results }),
        );
    }
    let mut summaries = Map::new();
    for summary in Summary::ALL {
        let (sentence, advice) = words::of_summary(locale, summary);
        let verdict = summary.verdict();
        let shown = json!({
            "verdict": verdict.name(),
            "word": words::of_verdict(locale, verdict),
            "sentence": sentence,
            "advice": advice,
        });
        summaries.insert(summary.name().to_owned(), shown);
    }
    let conditions = (0..Conditions::COUNT).map(|bits| Conditions(bits).summary().name());
    let delays = DelayResult::LIMITS_MS.map(|(ms, it)| (ms, Fact::RoundTrip(it).code()));
    let rates = RateResult::LIMITS_KBPS.map(|(kbps, it)| (kbps, Fact::Download(it).code()));
    json!({
        "steps": steps,
        "order": Step::ALL.map(Step::name),
        "summaries": summaries,
        "conditions": conditions.collect::<Vec<_>>(),
        "start": Conditions::START.0,
        "delays": delays,
        "rates": rates,
        "seen": {
            "tls": visit.cookies.https,
            "http": format!("{version:?}"),
            "family": if visit.address.to_canonical().is_ipv4() { "IPv4" } else { "IPv6" },
        },
        "paths": paths(visit),
        "words": script_words(locale),
    })
}

/// The addresses that the script uses.
fn paths(visit: &Visit) -> Value {
    json!({
        "socket": visit.to("/ws"),
        "poll": visit.to("/poll"),
        "start": visit.to(super::START),
        "end": visit.to(super::END),
        "download": visit.to(super::DOWNLOAD),
        "upload": visit.to(super::UPLOAD),
        "media": visit.to(super::MEDIA),
    })
}

/// The words that are no finding; `{}` is a place for a value.
fn script_words(locale: Locale) -> Value {
    json!({
        "title": td_string!(locale, check.title),
        "again": td_string!(locale, check.again),
        "running": td_string!(locale, check.running),
        "in_progress": td_string!(locale, check.in_progress),
        "waiting": td_string!(locale, check.waiting),
        "refused": td_string!(locale, check.refused),
        "stop": td_string!(locale, check.stop),
        "default_device": td_string!(locale, check.default_device),
        "heard": td_string!(locale, check.heard),
        "found": td_string!(locale, check.found),
        "names_later": td_string!(locale, check.names_later),
        "permission": td_string!(locale, check.permission),
        "granted": td_string!(locale, check.granted),
        "prompt": td_string!(locale, check.prompt),
        "denied": td_string!(locale, check.denied),
        "not_told": td_string!(locale, check.not_told),
        "copied": td_string!(locale, check.copied),
        "copy_failed": td_string!(locale, check.copy_failed),
        "candidates": td_string!(locale, check.candidates),
    })
}

/// The document around the page.
fn document(visit: &Visit, title: &'static str, main: AnyView, data: &Value) -> Html<String> {
    // A `<` could end the element.
    let data = data.to_string().replace('<', "\\u003c");
    let data = view! { <script type="application/json" id="check-data" inner_html=data></script> };
    let document = Document {
        title: format!("{title} · Noom"),
        style: "/check/check.css",
        script: Some("/check/check.js"),
        is_listed: true,
        tools: ().into_any(),
        main,
        after: data.into_any(),
    };
    document.render(visit)
}
