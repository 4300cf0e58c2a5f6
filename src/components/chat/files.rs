//! The files of messages: pictures inline, a card for everything else, and the dialog that shows a
//! picture in full.
//!
//! A link to a file ends after one to two days ([`FreshLink`]), so a page that stays open asks for a
//! fresh one.

use crate::api::{FoundMessages, Packed, messages_around};
use crate::components::{Icon, IconName, is_without_script};
use crate::i18n::*;
use crate::paths::address;
use crate::protocol::{Attachment, FileId, Seq};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::files::{kind_words, picture_size, size_words};
use crate::words;
use leptos::ev::MouseEvent;
use leptos::html::{A, Dialog};
use leptos::prelude::*;

/// How long a page trusts the links of files, in milliseconds: less than the day that each lasts.
#[cfg(feature = "hydrate")]
const TRUST_MS: i64 = 20 * 60 * 60 * 1000;

/// The picture that the dialog shows.
#[derive(Clone)]
struct Shown {
    /// The picture to draw.
    file: Attachment,
    /// The link of the file.
    link: FreshLink,
}

/// The dialog with a picture, and when the page began.
#[derive(Clone, Copy)]
pub struct FileViewer {
    /// The picture in the dialog, while that is open.
    shown: RwSignal<Option<Shown>>,
    /// When the page began, in milliseconds since the Unix epoch: no link of the page is older.
    began_ms: i64,
}

impl FileViewer {
    /// Provides the viewer to the chat below.
    pub fn provide() {
        provide_context(Self {
            shown: RwSignal::new(None),
            began_ms: now_ms(),
        });
    }

    /// Whether links of this page may have ended.
    fn may_be_stale(self) -> bool {
        #[cfg(feature = "hydrate")]
        return now_ms() - self.began_ms > TRUST_MS;
        #[cfg(not(feature = "hydrate"))]
        {
            let _ = self.began_ms;
            false
        }
    }
}

/// The time of this device; 0 on the server.
fn now_ms() -> i64 {
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::clock::now_ms();
    #[cfg(not(feature = "hydrate"))]
    0
}

/// The link of a file, which is replaced once when it has ended.
#[derive(Clone, Copy)]
struct FreshLink {
    /// The address of the file.
    href: RwSignal<String>,
    /// Whether a fresh one was requested.
    asked: StoredValue<bool>,
    /// Sequence number of the message of the file.
    seq: Seq,
}

impl FreshLink {
    fn new(file: &Attachment, seq: Seq) -> Self {
        Self {
            href: RwSignal::new(address(&file.url)),
            asked: StoredValue::new(false),
            seq,
        }
    }

    /// Requests a fresh link, once; then calls `done`.
    fn renew(self, session: Session, id: FileId, done: impl FnOnce() + 'static) {
        if self.asked.try_get_value() != Some(false) {
            return;
        }
        self.asked.set_value(true);
        let (room, seq) = (session.name().to_string(), self.seq);
        let proof = session.room.standing().read_untracked().proof();
        leptos::task::spawn_local(async move {
            let found = messages_around(room, seq, proof).await;
            let found: FoundMessages = found.and_then(Packed::unpack).unwrap_or_default();
            let files = found.messages.iter().flat_map(|message| &message.files);
            if let Some(file) = files.into_iter().find(|file| file.id == id) {
                self.href.try_set(address(&file.url));
                done();
            }
        });
    }
}

/// The files of a stored message.
#[component]
pub fn FileList(
    /// The files, in the author's order.
    files: Vec<Attachment>,
    /// Sequence number of the message.
    seq: Seq,
    /// Whether the files are links; false inside another link.
    #[prop(default = true)]
    linked: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let any = !files.is_empty();
    let items = files.into_iter().map(move |file| {
        let item = match (picture_size(&file), linked) {
            (Some(size), true) => view! { <Picture file seq size /> }.into_any(),
            (_, true) => view! { <FileCard file seq /> }.into_any(),
            (_, false) => view! {
                <span class="file">
                    <FileWords file />
                </span>
            }
            .into_any(),
        };
        view! { <li>{item}</li> }.into_any()
    });
    let items: Vec<_> = items.collect();
    any.then(|| {
        view! {
            <ul class="files" aria-label=words!(i18n, files.files)>
                {items}
            </ul>
        }
    })
}

/// A picture in the log. Its box has a size before it loads, so that nothing below it moves. A press
/// opens it in the dialog; without script it is a link.
#[component]
fn Picture(
    /// The picture to draw.
    file: Attachment,
    /// Sequence number of its message.
    seq: Seq,
    /// Size of the box, in CSS pixels.
    size: (u32, u32),
) -> impl IntoView {
    let session = expect_context::<Session>();
    let FileViewer { shown, .. } = expect_context();
    let link = FreshLink::new(&file, seq);
    let (name, id) = (file.name.to_string(), file.id.clone());
    let (width, height) = size;
    let on_click = move |event: MouseEvent| {
        let opens_elsewhere = event.ctrl_key() || event.meta_key() || event.shift_key();
        if !opens_elsewhere {
            event.prevent_default();
            let file = file.clone();
            shown.set(Some(Shown { file, link }));
        }
    };
    view! {
        <a
            class="picture"
            href=link.href
            download=name.clone()
            aria-haspopup=(!is_without_script()).then_some("dialog")
            on:click=on_click
        >
            <img
                src=link.href
                width=width
                height=height
                alt=name.clone()
                loading="lazy"
                decoding="async"
                on:error=move |_| link.renew(session, id.clone(), || {})
            />
        </a>
    }
}

/// A file as a card, which is a link to it.
#[component]
fn FileCard(
    /// The file to draw.
    file: Attachment,
    /// Sequence number of its message.
    seq: Seq,
) -> impl IntoView {
    let link = FreshLink::new(&file, seq);
    view! {
        <DownloadLink file=file.clone() link class="file">
            <FileWords file />
        </DownloadLink>
    }
}

/// A link that saves a file. Where the link may have ended, a press gets a fresh one first.
#[component]
fn DownloadLink(
    /// The file to draw.
    file: Attachment,
    /// The link of the file.
    link: FreshLink,
    /// Classes of the element.
    class: &'static str,
    /// What is shown.
    children: Children,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let viewer = expect_context::<FileViewer>();
    let anchor = NodeRef::<A>::new();
    let (id, name) = (file.id, file.name.to_string());
    let on_click = move |event: MouseEvent| {
        if viewer.may_be_stale() && link.asked.try_get_value() == Some(false) {
            event.prevent_default();
            link.renew(session, id.clone(), move || {
                // The address in the document follows the signal before the next frame.
                request_animation_frame(move || {
                    if let Some(anchor) = anchor.try_get_untracked().flatten() {
                        anchor.click();
                    }
                });
            });
        }
    };
    view! {
        <a class=class href=link.href download=name node_ref=anchor on:click=on_click>
            {children()}
        </a>
    }
}

/// Name, kind and size of a file.
#[component]
fn FileWords(
    /// The file to draw.
    file: Attachment,
) -> impl IntoView {
    let kind = kind_words(file.name.as_str());
    let size = size_words(file.size);
    let info = match kind {
        Some(kind) => format!("{kind} · {size}"),
        None => size,
    };
    view! {
        <Icon name=IconName::File />
        <span class="file__words">
            <bdi class="file__name" translate="no">
                {file.name.to_string()}
            </bdi>
            " "
            <span class="file__info">{info}</span>
        </span>
    }
}

/// The dialog that shows a picture in full. A native dialog: Escape closes it and the focus returns.
#[component]
pub fn PictureDialog() -> impl IntoView {
    let FileViewer { shown, .. } = expect_context();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move || {
        if let (true, Some(dialog)) = (shown.read().is_some(), dialog.get()) {
            let _ = dialog.show_modal();
        }
    });
    let name = move || shown.get().map(|Shown { file, .. }| file.name.to_string());
    let done = Callback::new(move |()| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    });
    view! {
        <dialog
            class="dialog dialog--picture"
            aria-label=name
            node_ref=dialog
            on:close=move |_| shown.set(None)
        >
            {move || shown.get().map(|shown| view! { <FullPicture shown done /> })}
        </dialog>
    }
}

/// The picture in the dialog, with buttons to save it and to close.
#[component]
fn FullPicture(
    /// The picture to draw.
    shown: Shown,
    /// Closes the dialog.
    done: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let Shown { file, link } = shown;
    let name = file.name.to_string();
    view! {
        <img src=link.href width=file.width height=file.height alt=name.clone() />
        <div class="dialog__actions">
            <bdi class="file__name" translate="no">
                {name}
            </bdi>
            <DownloadLink file link class="button">
                {words!(i18n, files.download)}
            </DownloadLink>
            <button class="button button--primary" type="button" on:click=move |_| done.run(())>
                {words!(i18n, files.close)}
            </button>
        </div>
    }
}
