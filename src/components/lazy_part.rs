//! Parts of the room's page whose code loads when they are opened: dialogs and panels that nobody sees
//! before a click.
//!
//! Their code is in the wasm module `dialogs`, so that the first load of a room does not contain it. A part
//! is a [`Draw`] function, returned by a function with `#[wasm_split(dialogs, wasm_split_path =
//! ::leptos::wasm_split, fallible)]`; only code that nothing else calls moves into the module.
//! [`LazyPart`] loads and draws it, [`LazyDialog`] does so in a dialog. [`preload_dialogs`] loads the
//! module ahead of its use.

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::words;
use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use std::pin::Pin;

/// Draws a part. The signal counts how often the part was opened.
pub type Draw = fn(RwSignal<u32>) -> AnyView;
/// A load of the module, which ends with a function that it contains.
pub type LoadedDraw = Pin<Box<dyn Future<Output = Result<Draw, SplitLoaderError>>>>;

/// The state of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The part has not been opened.
    Unopened,
    /// The module is loading.
    Loading,
    /// The module could not be loaded.
    Failed,
    /// The module is loading again after a failure.
    Retrying,
    /// The module has loaded.
    Loaded,
}

/// A part that is loaded when it is first opened, and kept from then on. Meanwhile a status says so; a
/// load that fails is explained, with a button that tries again and one that loads the page again.
#[component]
pub fn LazyPart(
    /// Counts the requests to open the part. The first one loads it; one after a failure tries again.
    open: RwSignal<u32>,
    /// Loads the part's code.
    load: fn() -> LoadedDraw,
    /// Called once, when the part is about to be drawn.
    #[prop(optional)]
    on_loaded: Option<Callback<()>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let progress = RwSignal::new(Progress::Unopened);
    let code = RwSignal::new(None::<Draw>);
    let start = move || {
        let next = match progress.get_untracked() {
            Progress::Unopened => Progress::Loading,
            Progress::Failed => Progress::Retrying,
            Progress::Loading | Progress::Retrying | Progress::Loaded => return,
        };
        progress.set(next);
        leptos::task::spawn_local(async move {
            let draw = load().await.ok();
            // The part may be gone meanwhile.
            progress.try_set(match draw {
                Some(_) => Progress::Loaded,
                None => Progress::Failed,
            });
            code.try_set(draw);
            if let (Some(_), Some(on_loaded)) = (draw, on_loaded) {
                on_loaded.try_run(());
            }
        });
    };
    let before = open.get_untracked();
    Effect::new(move || {
        if open.get() != before {
            start();
        }
    });
    let is_loading = Memo::new(move |_| match progress.get() {
        Progress::Loading | Progress::Retrying => true,
        Progress::Unopened | Progress::Failed | Progress::Loaded => false,
    });
    let has_failed = Memo::new(move |_| match progress.get() {
        Progress::Failed | Progress::Retrying => true,
        Progress::Unopened | Progress::Loading | Progress::Loaded => false,
    });
    // Empty during another attempt, so that a second failure is announced, too.
    let failure = Signal::derive(move || match progress.get() {
        Progress::Failed => t_string!(i18n, room.part_failed),
        Progress::Unopened | Progress::Loading | Progress::Retrying | Progress::Loaded => "",
    });
    view! {
        <ErasedShow when=is_loading>
            <p class="field__hint" role="status">
                {words!(i18n, room.part_loading)}
            </p>
        </ErasedShow>
        <ErasedShow when=has_failed>
            <p class="field__error" role="alert">
                {failure}
            </p>
            <div class="dialog__actions">
                <button
                    class="button"
                    type="button"
                    aria-disabled=Signal::derive(move || is_loading.get().then_some("true"))
                    on:click=move |_| start()
                >
                    {words!(i18n, common.try_again)}
                </button>
                <button class="button button--quiet" type="button" on:click=move |_| reload()>
                    {words!(i18n, room.part_reload)}
                </button>
            </div>
        </ErasedShow>
        {move || code.get().map(|draw| draw(open))}
    }
}

/// Loads the page again. What is typed is kept.
fn reload() {
    #[cfg(feature = "hydrate")]
    crate::browser::dom::page::reload();
}

/// A dialog whose content is a [`LazyPart`]. A native dialog: Escape closes it and the focus returns to
/// where it was. It opens with the focus on the first control of the content; content that arrives later
/// takes the focus then.
#[component]
pub fn LazyDialog(
    /// Class of the dialog.
    class: &'static str,
    /// Id of the title.
    title_id: &'static str,
    /// Title of the dialog.
    title: Signal<&'static str>,
    /// Name of the button that closes it.
    close_label: Signal<&'static str>,
    /// Counts the requests to open the dialog, which opens when this grows.
    open: RwSignal<u32>,
    /// Loads the code of the content.
    load: fn() -> LoadedDraw,
) -> impl IntoView {
    let dialog = NodeRef::<Dialog>::new();
    let before = open.get_untracked();
    Effect::new(move || {
        if open.get() != before
            && let Some(dialog) = dialog.get_untracked()
        {
            // The content, if it is loaded, is drawn by then.
            request_animation_frame(move || {
                let _ = dialog.show_modal();
            });
        }
    });
    let on_loaded = Callback::new(move |()| {
        request_animation_frame(move || {
            #[cfg(feature = "hydrate")]
            if let Some(dialog) = dialog.try_get_untracked().flatten()
                && dialog.open()
            {
                crate::browser::dom::dialog::focus_first(&dialog);
            }
        });
    });
    let close = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    view! {
        <dialog class=class aria-labelledby=title_id node_ref=dialog>
            <h2 class="dialog__title" id=title_id>
                {title}
            </h2>
            <LazyPart open load on_loaded />
            <button class="button button--primary" type="button" on:click=close>
                {close_label}
            </button>
        </dialog>
    }
}

/// Loads the module and nothing else.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_module() -> Result<(), SplitLoaderError> {
    Ok(())
}

/// Loads the module ahead of its use, unless the user asked the browser to save data. A failure is no
/// matter: opening a part tries again.
pub fn preload_dialogs() {
    #[cfg(feature = "hydrate")]
    if crate::browser::dom::network::saves_data() {
        return;
    }
    leptos::task::spawn_local(async {
        let _ = load_module().await;
    });
}
