//! Device problems, with advice and a retry button; and notices of device events that the user
//! did not cause.

use crate::components::ErasedShow;
use crate::components::call::MediaBlocked;
use crate::components::call::host_notices::{AskedToUnmute, SwitchedOffCard};
use crate::i18n::*;
use crate::session::Session;
use crate::state::call::{CallStateStoreFields, Cause, DeviceKind, Notice, Problem};
use crate::words;
use leptos::prelude::*;

/// One card for each device that cannot be used.
#[component]
pub fn DeviceProblems() -> impl IntoView {
    let session = expect_context::<Session>();
    let problems = Memo::new(move |_| session.call.problems().get());
    view! {
        <div class="problems" role="status">
            <MediaBlocked />
            <For
                each=move || problems.get()
                key=|problem| *problem
                children=|problem| view! { <ProblemCard problem /> }
            />
            <NoticeCard />
            <SwitchedOffCard />
            <AskedToUnmute />
        </div>
    }
}

/// A notice of a device event, until it is dismissed.
#[component]
fn NoticeCard() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let notice = Memo::new(move |_| session.call.notice().get());
    let text = Signal::derive(move || match notice.get() {
        Some(Notice::Replaced(DeviceKind::Camera)) => t_string!(i18n, call.camera_replaced),
        Some(Notice::Replaced(DeviceKind::Microphone)) => t_string!(i18n, call.microphone_replaced),
        Some(Notice::Muted(DeviceKind::Camera)) => t_string!(i18n, call.camera_muted),
        Some(Notice::Muted(DeviceKind::Microphone)) => t_string!(i18n, call.microphone_muted),
        Some(Notice::SpeakerReplaced) => t_string!(i18n, call.speaker_replaced),
        Some(Notice::SoundBlocked) => t_string!(i18n, call.sound_blocked),
        None => "",
    });
    let muted = move || match notice.get_untracked() {
        Some(Notice::Muted(kind)) => Some(kind),
        Some(Notice::Replaced(_) | Notice::SpeakerReplaced | Notice::SoundBlocked) | None => None,
    };
    let is_muted = Memo::new(move |_| matches!(notice.get(), Some(Notice::Muted(_))));
    let keep_off = move |_| {
        if let Some(kind) = muted() {
            session.keep_off(kind);
        }
    };
    view! {
        <ErasedShow when=Signal::derive(move || notice.get().is_some())>
            <div class="problem">
                <p class="problem__text">{text}</p>
                <div class="problem__actions">
                    <ErasedShow when=is_muted>
                        <button class="button button--small" type="button" on:click=keep_off>
                            {words!(i18n, call.keep_off)}
                        </button>
                    </ErasedShow>
                    <button
                        class="button button--small button--quiet"
                        type="button"
                        on:click=move |_| session.call.notice().set(None)
                    >
                        {words!(i18n, call.close)}
                    </button>
                </div>
            </div>
        </ErasedShow>
    }
}

/// The card of one device's problem.
#[component]
fn ProblemCard(
    /// The device and the cause.
    problem: Problem,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let title = Signal::derive(move || match problem.kind {
        DeviceKind::Camera => t_string!(i18n, call.no_camera),
        DeviceKind::Microphone => t_string!(i18n, call.no_microphone),
    });
    let text = Signal::derive(move || explanation(i18n.get_locale(), problem));
    let dismiss = move |_| {
        session
            .call
            .problems()
            .update(|problems| problems.retain(|known| *known != problem));
    };
    view! {
        <div class="problem">
            <p class="problem__title">{title}</p>
            <p class="problem__text">{text}</p>
            <div class="problem__actions">
                <button
                    class="button button--small button--primary"
                    type="button"
                    on:click=move |_| session.retry_devices()
                >
                    {words!(i18n, common.try_again)}
                </button>
                <button class="button button--small button--quiet" type="button" on:click=dismiss>
                    {words!(i18n, call.go_on_without)}
                </button>
            </div>
        </div>
    }
}

/// The advice for a cause.
fn explanation(locale: Locale, problem: Problem) -> &'static str {
    match (problem.cause, problem.kind) {
        (Cause::Refused, _) => td_string!(locale, call.refused),
        (Cause::RefusedBySystem, _) => td_string!(locale, call.refused_by_system),
        (Cause::NotFound, DeviceKind::Camera) => td_string!(locale, call.camera_not_found),
        (Cause::NotFound, DeviceKind::Microphone) => td_string!(locale, call.microphone_not_found),
        (Cause::InUse, _) => td_string!(locale, call.in_use),
        (Cause::Gone, _) => td_string!(locale, call.gone),
        (Cause::NoAnswer, _) => td_string!(locale, call.no_answer),
        (Cause::Insecure, _) => td_string!(locale, call.insecure),
        (Cause::Unknown, _) => td_string!(locale, call.unknown_problem),
    }
}
