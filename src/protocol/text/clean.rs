//! The text rules that need Unicode's tables. Server only.

use super::input::{Kind, MAX_MARKS};
use super::invisible::{is_annotation, is_blank, is_ignorable};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{
    CanonicalCombiningClass, Emoji, EmojiModifier, ExtendedPictographic, GeneralCategory,
    Ideographic, JoiningType, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;

/// Most passes over a text until it no longer changes. A dropped character may have stood
/// between a letter and its mark, which makes another pass necessary. Only an adversarial
/// text needs more than two; a text that needs more than this loses every invisible character.
const PASSES: usize = 4;

const ZWNJ: char = '\u{200C}';
const ZWJ: char = '\u{200D}';
/// Variation selector 15: text presentation of an emoji.
const TEXT_FORM: char = '\u{FE0E}';
/// Variation selector 16: emoji presentation.
const PICTURE_FORM: char = '\u{FE0F}';
/// Combining enclosing keycap: turns a digit into a keycap emoji.
const KEYCAP: char = '\u{20E3}';
/// First character of the flags of England, Scotland and Wales; tag characters follow.
const BLACK_FLAG: char = '\u{1F3F4}';

/// The text in normal form NFC.
pub fn nfc(text: &str) -> String {
    composed(text).into_owned()
}

/// The text in normal form NFC; borrowed if it already is.
pub fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// The text as it is stored. Idempotent.
pub(super) fn clean(text: &str, kind: Kind) -> String {
    // Fast path for most Latin messages: ASCII is NFC and has no invisible characters.
    if text.is_ascii() && kind == Kind::Message {
        return text.trim().to_owned();
    }
    let mut text = pass(text, kind, true);
    for _ in 1..PASSES {
        let next = pass(&text, kind, true);
        if next == text {
            return text;
        }
        text = next;
    }
    // Without ignorable characters, the second pass only composes.
    let bare = pass(&text, kind, false);
    pass(&bare, kind, false)
}

/// Whether a character is visible on its own.
pub(super) fn is_visible(c: char) -> bool {
    use GeneralCategory as Category;
    let shows = match CodePointMapData::<Category>::new().get(c) {
        Category::Control
        | Category::Format
        | Category::Surrogate
        | Category::Unassigned
        | Category::SpaceSeparator
        | Category::LineSeparator
        | Category::ParagraphSeparator
        | Category::NonspacingMark
        | Category::EnclosingMark => is_pictographic(c),
        _ => true,
    };
    shows && !is_blank(c) && !is_ignorable(c) && !is_annotation(c)
}

/// Composes the text, then drops the characters that the rules do not allow. `invisible`:
/// whether invisible characters that an emoji or a script needs may stay.
fn pass(text: &str, kind: Kind, invisible: bool) -> String {
    let chars: Vec<char> = nfc(text).chars().collect();
    let mut kept = Kept::new(kind, text.len());
    let mut rest = chars.as_slice();
    while let [c, after @ ..] = rest {
        rest = after;
        if is_ignorable(*c) {
            let length = usize::from(invisible) * kept.needed(*c, after);
            kept.text
                .extend(std::iter::once(c).chain(after).take(length));
            kept.last = if length > 0 { Some(*c) } else { kept.last };
            rest = &after[length.saturating_sub(1)..];
        } else {
            kept.push(*c);
        }
    }
    kept.text.trim().to_owned()
}

/// The characters kept so far in a pass.
struct Kept {
    /// The use of the text.
    kind: Kind,
    /// The kept characters.
    text: String,
    /// The last kept character.
    last: Option<char>,
    /// Combining marks on the last letter; `None` if no letter precedes.
    marks: Option<usize>,
}

impl Kept {
    fn new(kind: Kind, bytes: usize) -> Self {
        Self {
            kind,
            text: String::with_capacity(bytes),
            last: None,
            marks: None,
        }
    }

    /// Appends a character that is not ignorable, unless the rules drop it.
    fn push(&mut self, c: char) {
        let space = self.kind == Kind::Name && (c.is_whitespace() || is_blank(c));
        if is_annotation(c) || (space && self.last == Some(' ')) {
            return;
        }
        let c = if space { ' ' } else { c };
        if is_mark(c) {
            // In a name, a mark without a letter would combine with the text before the name.
            let marks = match (self.marks, self.kind) {
                (None, Kind::Name) => return,
                (marks, _) => marks.unwrap_or(0) + 1,
            };
            if marks > MAX_MARKS {
                return;
            }
            self.marks = Some(marks);
        } else {
            self.marks = (!c.is_whitespace()).then_some(0);
        }
        self.text.push(c);
        self.last = Some(c);
    }

    /// How many characters, starting with the ignorable `c`, an emoji or a script needs here.
    fn needed(&self, c: char, after: &[char]) -> usize {
        let Some(last) = self.last else {
            return 0;
        };
        let next = after.first().copied();
        let needed = match c {
            '\u{E0020}'..='\u{E007F}' => return flag_length(last, c, after),
            PICTURE_FORM => takes_form(last, next),
            ZWJ if joins_emoji(last, next) => true,
            _ if self.kind == Kind::Name => false,
            TEXT_FORM => takes_form(last, next) && next != Some(KEYCAP),
            ZWJ => shapes(last, next) || self.joining().is_some_and(joins_forward),
            ZWNJ => shapes(last, next) || self.separates(after),
            '\u{180B}'..='\u{180D}' | '\u{180F}' => script(last) == Script::Mongolian,
            '\u{FE00}'..='\u{FE02}' | '\u{E0100}'..='\u{E01EF}' => is_ideograph(last),
            _ => false,
        };
        usize::from(needed)
    }

    /// The joining type of the last letter, combining marks skipped.
    fn joining(&self) -> Option<JoiningType> {
        let joining = self.text.chars().rev().take(2 * MAX_MARKS).map(joining);
        joining
            .into_iter()
            .find(|kind| *kind != JoiningType::Transparent)
    }

    /// Whether a non-joiner separates two letters that would join (RFC 5892, appendix A.1).
    fn separates(&self, after: &[char]) -> bool {
        let next = after.iter().take(2 * MAX_MARKS).copied().map(joining);
        let next = next
            .into_iter()
            .find(|kind| *kind != JoiningType::Transparent);
        self.joining().is_some_and(joins_forward)
            && matches!(
                next,
                Some(JoiningType::RightJoining | JoiningType::DualJoining)
            )
    }
}

/// The length in characters of the tag sequence from `c` that forms a flag with `last`; 0 if
/// Unicode has no such flag.
fn flag_length(last: char, c: char, after: &[char]) -> usize {
    if last != BLACK_FLAG {
        return 0;
    }
    let tags = after
        .iter()
        .take_while(|c| matches!(c, '\u{E0020}'..='\u{E007F}'));
    let length = 1 + tags.count();
    let flag = [last, c]
        .iter()
        .chain(&after[..length - 1])
        .collect::<String>();
    match super::emoji(&flag) {
        Some(known) if known == flag => length,
        _ => 0,
    }
}

/// Whether `last` takes a variation selector; digits only before a keycap.
fn takes_form(last: char, next: Option<char>) -> bool {
    let emoji = CodePointSetData::new::<Emoji>().contains(last);
    emoji && (!last.is_ascii() || next == Some(KEYCAP))
}

/// Whether a joiner between `last` and `next` forms one emoji.
fn joins_emoji(last: char, next: Option<char>) -> bool {
    let first = last == PICTURE_FORM
        || is_pictographic(last)
        || CodePointSetData::new::<EmojiModifier>().contains(last);
    first && next.is_some_and(is_pictographic)
}

/// Whether a joiner or non-joiner shapes an Indic syllable: it is next to a virama (RFC 5892,
/// appendix A.1 and A.2; in Bengali it may precede the virama).
fn shapes(last: char, next: Option<char>) -> bool {
    is_virama(last) || (!is_ignorable(last) && is_visible(last) && next.is_some_and(is_virama))
}

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

fn joining(c: char) -> JoiningType {
    CodePointMapData::<JoiningType>::new().get(c)
}

/// Whether a letter of this joining type joins the letter after it.
fn joins_forward(kind: JoiningType) -> bool {
    matches!(kind, JoiningType::DualJoining | JoiningType::LeftJoining)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

fn is_ideograph(c: char) -> bool {
    CodePointSetData::new::<Ideographic>().contains(c)
}

fn is_pictographic(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

/// Whether a character is a combining mark (Mn or Me) on the character before it.
pub(super) fn is_mark(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    )
}
