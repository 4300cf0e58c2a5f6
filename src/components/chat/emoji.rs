//! Emoji by search: suggestions while `:` and a name are typed, and the dialog that chooses one for the
//! text or as a reaction.
//!
//! The code that searches, the dialog and the table of emoji load when they are first needed.

use super::suggestions::{Suggestion, SuggestionKind};
use crate::components::{Draw, ErasedShow, Icon, IconName, LazyDialog};
use crate::i18n::*;
use crate::protocol::{Emoji, MessageId};
use crate::session::Session;
use crate::state::completion::Started;
use crate::state::emoji::{self, EmojiTable, MAX_SEARCH_CHARS, SkinTone};
use crate::words;
use leptos::ev::KeyboardEvent;
use leptos::html::{Div, Input};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use std::sync::Arc;

/// Emoji that the dialog shows at once.
const MAX_SHOWN: usize = 160;

/// Emoji in a row of the dialog; the style sheet has the same number.
const COLUMNS: usize = 8;

/// What the chosen emoji is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmojiUse {
    /// The text in the composer.
    Text,
    /// A reaction to this message.
    Reaction(MessageId),
}

/// The table of the language of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Table {
    /// Nothing has needed it.
    Unloaded,
    /// It is on its way.
    Loading(Locale),
    /// The server did not send it.
    Failed(Locale),
    /// It is there.
    Loaded(Locale, Arc<EmojiTable>),
}

/// Finds the emoji of a name that is typed.
type Suggest = fn(EmojiChooser, Locale, &Started<'_>) -> Vec<Suggestion>;

/// Chooses emoji. Shared by the composer and the messages.
#[derive(Clone, Copy)]
pub struct EmojiChooser {
    /// What finds emoji for the composer; `None` until it is loaded.
    suggest: RwSignal<Option<Suggest>>,
    table: RwSignal<Table>,
    tone: RwSignal<SkinTone>,
    /// Counts the requests to open the dialog.
    opened: RwSignal<u32>,
    /// What the dialog chooses an emoji for.
    wanted: RwSignal<EmojiUse>,
    /// The emoji that the composer has to take into its text.
    chosen: RwSignal<Option<String>>,
}

impl EmojiChooser {
    /// Provides the chooser for the components of the chat.
    pub fn provide() {
        provide_context(Self {
            suggest: RwSignal::new(None),
            table: RwSignal::new(Table::Unloaded),
            tone: RwSignal::new(SkinTone::Unset),
            opened: RwSignal::new(0),
            wanted: RwSignal::new(EmojiUse::Text),
            chosen: RwSignal::new(None),
        });
    }

    /// Opens the dialog.
    pub fn open(self, wanted: EmojiUse) {
        self.wanted.set(wanted);
        self.opened.update(|times| *times += 1);
    }

    /// Whether emoji can be found for the composer. Changes also when their table has come.
    pub fn is_ready(self) -> bool {
        self.table.track();
        self.suggest.read().is_some()
    }

    /// Takes the emoji that was chosen for the text.
    pub fn take_chosen(self) -> Option<String> {
        let chosen = self.chosen.get()?;
        self.chosen.set(None);
        Some(chosen)
    }

    /// The table of a language, if it is there.
    fn table(self, locale: Locale) -> Option<Arc<EmojiTable>> {
        match self.table.get() {
            Table::Loaded(loaded, table) if loaded == locale => Some(table),
            Table::Loaded(..) | Table::Loading(_) | Table::Failed(_) | Table::Unloaded => None,
        }
    }

    /// Loads the table of a language, if nothing has asked for it.
    fn prepare(self, locale: Locale) {
        let asked = match &*self.table.read_untracked() {
            Table::Loaded(asked, _) | Table::Loading(asked) | Table::Failed(asked) => Some(*asked),
            Table::Unloaded => None,
        };
        if asked != Some(locale) {
            self.load(locale);
        }
    }

    /// Loads the table of a language, and the skin tone of this device.
    fn load(self, locale: Locale) {
        self.table.set(Table::Loading(locale));
        #[cfg(feature = "hydrate")]
        self.tone.set(crate::browser::dom::storage::skin_tone());
        spawn_local(async move {
            let text = file_text(table_path(locale)).await;
            let table = match text.map(|text| EmojiTable::parse(&text)) {
                Some(table) => Table::Loaded(locale, Arc::new(table)),
                None => Table::Failed(locale),
            };
            // The page may have gone meanwhile.
            let _ = self.table.try_set(table);
        });
    }

    /// Changes the skin tone of this device.
    fn set_tone(self, tone: SkinTone) {
        self.tone.set(tone);
        #[cfg(feature = "hydrate")]
        crate::browser::dom::storage::set_skin_tone(tone);
    }
}

/// The file of the table of a language.
fn table_path(locale: Locale) -> &'static str {
    match locale {
        Locale::en => "/emoji-en.txt",
        Locale::ko => "/emoji-ko.txt",
    }
}

/// The text of a file of the server; `None` if it does not come.
async fn file_text(path: &str) -> Option<String> {
    #[cfg(feature = "hydrate")]
    return crate::browser::fetch_text(path).await;
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = path;
        None
    }
}

/// The emoji that may be typed at the caret; nothing until what finds them is loaded.
pub fn suggested(
    chooser: EmojiChooser,
    locale: Locale,
    typed: &str,
    caret: Option<u32>,
) -> Vec<Suggestion> {
    let Some(started) = caret.and_then(|caret| emoji::started(typed, caret)) else {
        return Vec::new();
    };
    if let Some(suggest) = chooser.suggest.get_untracked() {
        return suggest(chooser, locale, &started);
    }
    spawn_local(async move {
        if let Ok(suggest) = load_suggest().await {
            // The page may have gone meanwhile.
            chooser.suggest.try_set(Some(suggest));
        }
    });
    Vec::new()
}

/// What finds emoji, in the module of the dialogs.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_suggest() -> Result<Suggest, SplitLoaderError> {
    Ok(|chooser, locale, started| {
        chooser.prepare(locale);
        let Some(table) = untrack(|| chooser.table(locale)) else {
            return Vec::new();
        };
        let tone = chooser.tone.get_untracked();
        let offered = table.offered(started).into_iter().map(|entry| {
            let label = entry.in_tone(tone);
            let completed = started.completed(&label);
            Suggestion {
                text: completed.text,
                label,
                about: entry.name.clone(),
                kind: SuggestionKind::Emoji,
                caret: Some(completed.caret),
            }
        });
        offered.collect()
    })
}

/// The button that chooses an emoji for the text.
#[component]
pub fn EmojiButton(
    /// Whether this participant cannot write.
    closed: Memo<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let chooser = expect_context::<EmojiChooser>();
    view! {
        <button
            class="button button--quiet composer__emoji"
            type="button"
            aria-label=words!(i18n, chat.emoji)
            disabled=closed
            on:click=move |_| chooser.open(EmojiUse::Text)
        >
            <Icon name=IconName::Face />
        </button>
    }
}

/// The dialog that chooses an emoji.
#[component]
pub fn EmojiDialog() -> impl IntoView {
    let i18n = use_i18n();
    let chooser = expect_context::<EmojiChooser>();
    view! {
        <LazyDialog
            class="dialog"
            title_id="emoji-title"
            title=words!(i18n, chat.emoji)
            close_label=words!(i18n, call.close)
            open=chooser.opened
            load=|| Box::pin(load_search())
        />
    }
}

/// The content of the dialog, in the module of the dialogs. Each time it is opened it is made again.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_search() -> Result<Draw, SplitLoaderError> {
    Ok(|opened| {
        let content = move || {
            opened.track();
            view! { <EmojiSearch /> }
        };
        content.into_any()
    })
}

/// The search and what it has found.
#[component]
fn EmojiSearch() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let chooser = expect_context::<EmojiChooser>();
    let input = NodeRef::<Input>::new();
    let typed = RwSignal::new(String::new());
    let grid = NodeRef::<Div>::new();
    Effect::new(move || chooser.prepare(i18n.get_locale()));
    let table = Memo::new(move |_| chooser.table(i18n.get_locale()));
    let found = Memo::new(move |_| {
        let (table, tone) = (table.get(), chooser.tone.get());
        let found = table.iter().flat_map(|table| {
            let found = table.search(&typed.read(), MAX_SHOWN);
            let shown = found
                .into_iter()
                .map(|it| (it.in_tone(tone), it.name.clone()));
            shown.collect::<Vec<_>>()
        });
        found.collect::<Vec<_>>()
    });
    let choose = move |emoji: String| {
        close_around(grid);
        match chooser.wanted.get_untracked() {
            EmojiUse::Text => chooser.chosen.set(Some(emoji)),
            EmojiUse::Reaction(id) => {
                if let Ok(emoji) = Emoji::parse(&emoji) {
                    session.react(id, emoji, true);
                }
            }
        }
    };
    let options = move || {
        let found = found.get().into_iter().enumerate();
        let option = found.map(|(at, (emoji, name))| {
            let chosen = emoji.clone();
            // One stop of the Tab key; arrows go on from it.
            let tab_index = if at == 0 { "0" } else { "-1" };
            view! {
                <button
                    class="emoji"
                    type="button"
                    tabindex=tab_index
                    title=name.clone()
                    aria-label=name
                    on:click=move |_| choose(chosen.clone())
                >
                    {emoji}
                </button>
            }
            .into_any()
        });
        option.collect_view()
    };
    let status = Signal::derive(move || {
        let locale = i18n.get_locale();
        match (chooser.table.get(), found.read().len()) {
            (Table::Failed(_), _) => td_string!(locale, chat.emoji_failed).to_owned(),
            (Table::Unloaded | Table::Loading(_), _) => {
                td_string!(locale, chat.emoji_loading).to_owned()
            }
            (Table::Loaded(..), 0) => td_string!(locale, chat.emoji_none).to_owned(),
            (Table::Loaded(..), MAX_SHOWN..) => td_string!(locale, chat.emoji_many).to_owned(),
            (Table::Loaded(..), 1) => td_string!(locale, chat.emoji_one).to_owned(),
            (Table::Loaded(..), count) => {
                td_string!(locale, chat.emoji_found, count = count).to_string()
            }
        }
    });
    let has_failed = Signal::derive(move || matches!(chooser.table.get(), Table::Failed(_)));
    view! {
        <div class="field">
            <label class="field__label" for="emoji-search">
                {words!(i18n, chat.emoji_search)}
            </label>
            <input
                class="input"
                id="emoji-search"
                type="search"
                autocomplete="off"
                maxlength=MAX_SEARCH_CHARS
                node_ref=input
                on:input=move |_| {
                    if let Some(input) = input.get_untracked() {
                        typed.set(input.value());
                    }
                }
                on:keydown=move |event: KeyboardEvent| {
                    if event.key() == "ArrowDown" {
                        event.prevent_default();
                        focus_first(grid);
                    }
                }
            />
        </div>
        <SkinToneField />
        <p class="field__hint" role="status">
            {status}
        </p>
        <ErasedShow when=has_failed>
            <button
                class="button"
                type="button"
                on:click=move |_| chooser.load(i18n.get_locale_untracked())
            >
                {words!(i18n, chat.emoji_again)}
            </button>
        </ErasedShow>
        <div
            class="emoji-grid"
            role="group"
            aria-label=words!(i18n, chat.emoji)
            node_ref=grid
            on:keydown=move |event: KeyboardEvent| {
                if move_focus(grid, &event.key()) {
                    event.prevent_default();
                }
            }
        >
            {options}
        </div>
    }
}

/// The choice of the skin tone.
#[component]
fn SkinToneField() -> impl IntoView {
    let i18n = use_i18n();
    let chooser = expect_context::<EmojiChooser>();
    let options = SkinTone::ALL.map(|tone| {
        let name = Signal::derive(move || tone_name(i18n.get_locale(), tone));
        view! {
            <option
                value=tone.number().to_string()
                selected=Signal::derive(move || chooser.tone.get() == tone)
            >
                {name}
            </option>
        }
    });
    view! {
        <div class="field">
            <label class="field__label" for="emoji-tone">
                {words!(i18n, chat.skin_tone)}
            </label>
            <select
                class="select"
                id="emoji-tone"
                on:change=move |event| {
                    chooser.set_tone(SkinTone::of_number(&event_target_value(&event)));
                }
            >
                {options.collect_view()}
            </select>
        </div>
    }
}

/// A skin tone with a hand that shows it.
fn tone_name(locale: Locale, tone: SkinTone) -> &'static str {
    match tone {
        SkinTone::Unset => td_string!(locale, chat.tone_unset),
        SkinTone::Light => td_string!(locale, chat.tone_light),
        SkinTone::MediumLight => td_string!(locale, chat.tone_medium_light),
        SkinTone::Medium => td_string!(locale, chat.tone_medium),
        SkinTone::MediumDark => td_string!(locale, chat.tone_medium_dark),
        SkinTone::Dark => td_string!(locale, chat.tone_dark),
    }
}

/// Moves the focus among the emoji by a key. Returns whether the key is one of them.
fn move_focus(grid: NodeRef<Div>, key: &str) -> bool {
    #[cfg(feature = "hydrate")]
    return grid
        .get_untracked()
        .is_some_and(|grid| crate::browser::dom::toolbar::move_focus_in_grid(&grid, key, COLUMNS));
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = (grid, key, COLUMNS);
        false
    }
}

/// Gives the focus to the first emoji.
fn focus_first(grid: NodeRef<Div>) {
    #[cfg(feature = "hydrate")]
    if let Some(grid) = grid.get_untracked() {
        crate::browser::dom::toolbar::focus_first(&grid);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = grid;
}

/// Closes the dialog around the emoji.
fn close_around(grid: NodeRef<Div>) {
    #[cfg(feature = "hydrate")]
    if let Some(grid) = grid.get_untracked() {
        crate::browser::dom::dialog::close_around(&grid);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = grid;
}
