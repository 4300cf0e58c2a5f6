//! Attaching files to a message: the button, the files above the composer, and the sign that files can
//! be dropped.

use crate::components::{Draw, ErasedShow, Icon, IconName, LazyPart, is_without_script};
use crate::i18n::*;
use crate::protocol::{Action, MAX_MESSAGE_FILES};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::files::size_words;
use crate::state::uploads::{Rejected, Stage, Upload, UploadKey, UploadProblem, Uploads};
use crate::words;
use leptos::html::Input;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

/// Id of the sentence that says why no files can be attached.
const BARRIER_ID: &str = "attach-barrier";

/// Id of the sentence about pictures that are sent without script.
const NOTE_ID: &str = "attach-note";

/// Chooses files for the next message.
#[derive(Clone, Copy)]
pub struct FileChooser {
    session: Session,
    input: NodeRef<Input>,
    /// Why this participant can attach no files.
    barrier: Memo<Option<Rejected>>,
}

impl FileChooser {
    /// The chooser of the composer.
    pub fn new(session: Session) -> Self {
        let max_bytes = Memo::new(move |_| session.uploads.with(|uploads| uploads.max_bytes));
        let barrier = Memo::new(move |_| {
            let standing = session.room.standing();
            let standing = standing.read();
            let may = |action| standing.may(action, None);
            if max_bytes.get() == 0 {
                return Some(Rejected::Off);
            }
            let may = may(Action::ShareFiles) && may(Action::SendMessage);
            (!may).then_some(Rejected::Role)
        });
        Self {
            session,
            input: NodeRef::new(),
            barrier,
        }
    }

    /// Opens the dialog of the browser that chooses files, or says why not.
    pub fn open(self) {
        let barrier = self.barrier.get_untracked();
        if barrier.is_some() {
            let uploads = self.session.uploads;
            return uploads.update(|uploads| uploads.rejected = barrier);
        }
        if let Some(input) = self.input.get_untracked() {
            input.click();
        }
    }
}

/// The button that attaches files.
#[component]
pub fn AttachButton(
    /// Chooses the files.
    chooser: FileChooser,
) -> impl IntoView {
    let i18n = use_i18n();
    let FileChooser {
        session,
        input,
        barrier,
    } = chooser;
    let on_change = move |_| {
        #[cfg(feature = "hydrate")]
        if let Some(input) = input.get_untracked() {
            session.attach_chosen(&input);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = session;
    };
    let closed = Memo::new(move |_| barrier.get().is_some());
    let why = move || barrier.get().map(|why| rejection(i18n.get_locale(), why));
    view! {
        // Shown without script, where the form sends the files with the text.
        <input
            class="composer__file"
            class=("composer__file--shown", is_without_script())
            type="file"
            name="file"
            multiple
            aria-label=words!(i18n, files.attach)
            disabled=move || closed.get()
            aria-describedby=NOTE_ID
            node_ref=input
            on:change=on_change
        />
        <span
            class="composer__file field__hint"
            class=("composer__file--shown", is_without_script())
            id=NOTE_ID
        >
            {words!(i18n, files.without_script)}
        </span>
        <button
            class="button button--quiet composer__attach"
            type="button"
            aria-label=words!(i18n, files.attach)
            title=words!(i18n, files.attach)
            aria-disabled=Signal::derive(move || closed.get().then_some("true"))
            aria-describedby=Signal::derive(move || closed.get().then_some(BARRIER_ID))
            on:click=move |_| chooser.open()
        >
            <Icon name=IconName::Attach />
        </button>
        <span class="visually-hidden" id=BARRIER_ID>
            {why}
        </span>
    }
}

/// The files of the next message, above the composer.
#[component]
pub fn FilesToSend(
    /// Focuses the composer, once the button that was pressed is gone.
    focus: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let uploads = session.uploads;
    provide_context(ComposerFocus(focus));
    let any = Memo::new(move |_| uploads.with(|uploads| !uploads.list.is_empty()));
    let opened = RwSignal::new(0);
    Effect::new(move || {
        if any.get() {
            opened.update(|times| *times += 1);
        }
    });
    let sends = Memo::new(move |_| uploads.with(|uploads| uploads.sends));
    let rejected = Memo::new(move |_| uploads.with(|uploads| uploads.rejected));
    let counts = Memo::new(move |_| uploads.with(Uploads::counts));
    let dragged = Memo::new(move |_| uploads.with(|uploads| uploads.dragged));
    // Announced once a file has arrived, not with each part.
    let announced = move || match counts.get() {
        (0, _) => String::new(),
        (count, all) => {
            td_string!(i18n.get_locale(), files.counts, count = count, all = all).to_string()
        }
    };
    let rejection = move || rejected.get().map(|why| rejection(i18n.get_locale(), why));
    view! {
        <p class="field__error composer__error" role="alert">
            {rejection}
        </p>
        <LazyPart open=opened load=|| Box::pin(load_chips()) />
        <p class="visually-hidden" role="status">
            {announced}
        </p>
        <div class="composer__waits" role="status">
            {move || {
                sends
                    .get()
                    .then(|| {
                        view! {
                            <span>{words!(i18n, files.sends)}</span>
                            <button
                                class="button button--small"
                                type="button"
                                on:click=move |_| {
                                    uploads.update(|uploads| uploads.sends = false);
                                    focus.run(());
                                }
                            >
                                {words!(i18n, files.stop)}
                            </button>
                        }
                    })
            }}
        </div>
        <div class="drop" hidden=Signal::derive(move || !dragged.get())>
            <p class="drop__words">{words!(i18n, files.drop)}</p>
        </div>
    }
}

/// Focuses the composer.
#[derive(Clone, Copy)]
struct ComposerFocus(Callback<()>);

/// The list of files, in the module of the dialogs: most messages have none.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_chips() -> Result<Draw, SplitLoaderError> {
    Ok(|_| view! { <UploadChips /> }.into_any())
}

/// The files of the next message, while there are any.
#[component]
fn UploadChips() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let keys = Memo::new(move |_| {
        let keys = |uploads: &Uploads| uploads.list.iter().map(|it| it.key).collect::<Vec<_>>();
        session.uploads.with(keys)
    });
    let any = Memo::new(move |_| !keys.read().is_empty());
    view! {
        <ErasedShow when=any>
            <ul class="uploads" aria-label=words!(i18n, files.to_send)>
                <For each=move || keys.get() key=|key| *key let:key>
                    <UploadChip key />
                </For>
            </ul>
        </ErasedShow>
    }
}

/// A file of the next message.
#[component]
fn UploadChip(
    /// Number of the upload.
    key: UploadKey,
) -> impl IntoView {
    let i18n = use_i18n();
    let ComposerFocus(focus) = expect_context();
    let session = expect_context::<Session>();
    let upload = Memo::new(move |_| session.uploads.with(|uploads| uploads.get(key).cloned()));
    let max_bytes = session.uploads.with_untracked(|uploads| uploads.max_bytes);
    // Of the upload, so that a button keeps the focus while bytes arrive.
    let part = move |part: fn(Upload) -> String| {
        Memo::new(move |_| upload.get().map(part).unwrap_or_default())
    };
    let name = part(|upload| upload.name);
    let preview = part(|upload| upload.preview.unwrap_or_default());
    let keeps_metadata =
        Memo::new(move |_| upload.get().is_some_and(|upload| upload.keeps_metadata));
    let problem = Memo::new(move |_| match upload.get()?.stage {
        Stage::Failed(problem) => Some(problem),
        Stage::Preparing | Stage::Waiting | Stage::Sending | Stage::Finished(_) => None,
    });
    let sending = Memo::new(move |_| upload.get().is_some_and(|it| it.stage == Stage::Sending));
    let may_retry = Memo::new(move |_| problem.get().is_some_and(UploadProblem::may_retry));
    let info = move || {
        let locale = i18n.get_locale();
        upload.get().map(|upload| info(locale, &upload, max_bytes))
    };
    let state = move || {
        let locale = i18n.get_locale();
        upload.get().map(|upload| state(locale, &upload))
    };
    let named = move |words: fn(Locale, String) -> String| {
        Signal::derive(move || words(i18n.get_locale(), name.get()))
    };
    let remove =
        named(|locale, name| td_string!(locale, files.remove, name = name.as_str()).to_string());
    let retry =
        named(|locale, name| td_string!(locale, files.retry, name = name.as_str()).to_string());
    let progress =
        named(|locale, name| td_string!(locale, files.progress, name = name.as_str()).to_string());
    view! {
        <li class="upload" class:upload--failed=move || problem.get().is_some()>
            {move || match preview.get() {
                address if address.is_empty() => view! { <Icon name=IconName::File /> }.into_any(),
                address => {
                    view! { <img class="upload__picture" src=address alt="" width="40" height="40" /> }
                        .into_any()
                }
            }} <div class="upload__words">
                <bdi class="upload__name" translate="no">
                    {name}
                </bdi>
                " "
                <span class="file__info">{info}</span>
                " "
                <span class="upload__state">{state}</span>
                <ErasedShow when=keeps_metadata>
                    <span class="upload__note">{words!(i18n, files.keeps_metadata)}</span>
                </ErasedShow>
                <ErasedShow when=sending>
                    <progress
                        class="upload__bar"
                        aria-label=progress
                        max="1000"
                        value=Signal::derive(move || upload.get().map(|it| it.thousandths()))
                    ></progress>
                </ErasedShow>
            </div>
            <ErasedShow when=may_retry>
                <button
                    class="button button--small"
                    type="button"
                    aria-label=retry
                    on:click=move |_| {
                        session.retry_upload(key);
                        focus.run(());
                    }
                >
                    {words!(i18n, room.retry)}
                </button>
            </ErasedShow>
            <button
                class="button button--quiet button--small"
                type="button"
                aria-label=remove
                on:click=move |_| {
                    session.remove_upload(key);
                    focus.run(());
                }
            >
                <Icon name=IconName::Close />
            </button>
        </li>
    }
}

/// The size of a file, and how much of it has arrived.
fn info(locale: Locale, upload: &Upload, max_bytes: u64) -> String {
    let size = size_words(upload.size);
    match upload.stage {
        Stage::Sending => {
            let sent = size_words(upload.sent());
            td_string!(locale, files.sending, sent = sent, size = size).to_string()
        }
        Stage::Failed(UploadProblem::TooLarge) => {
            let most = size_words(max_bytes);
            format!(
                "{size} · {}",
                td_string!(locale, files.too_large, size = most)
            )
        }
        Stage::Preparing | Stage::Waiting | Stage::Finished(_) | Stage::Failed(_) => size,
    }
}

/// What becomes of a file, as words; its size is beside them.
fn state(locale: Locale, upload: &Upload) -> &'static str {
    match upload.stage {
        Stage::Preparing => td_string!(locale, files.preparing),
        Stage::Waiting => td_string!(locale, files.waiting),
        Stage::Sending => "",
        Stage::Finished(_) => td_string!(locale, files.arrived),
        Stage::Failed(problem) => match problem {
            // Said beside the size.
            UploadProblem::TooLarge => "",
            UploadProblem::Empty => td_string!(locale, files.empty),
            UploadProblem::Unreadable => td_string!(locale, files.unreadable),
            UploadProblem::Gone => td_string!(locale, files.gone),
            UploadProblem::RoomFull => td_string!(locale, files.room_full),
            UploadProblem::ServerFull => td_string!(locale, files.server_full),
            UploadProblem::TooMany => td_string!(locale, files.too_many_uploads),
            UploadProblem::Role => td_string!(locale, files.role),
            UploadProblem::Off => td_string!(locale, files.off),
            UploadProblem::Lost => td_string!(locale, files.lost),
            UploadProblem::Refused => td_string!(locale, files.refused),
        },
    }
}

/// Why files were not attached, as a sentence.
fn rejection(locale: Locale, why: Rejected) -> String {
    match why {
        Rejected::TooMany => {
            td_string!(locale, files.too_many, max = MAX_MESSAGE_FILES).to_string()
        }
        Rejected::Role => td_string!(locale, files.role).to_owned(),
        Rejected::Off => td_string!(locale, files.off).to_owned(),
    }
}
