//! The part of the rules that needs Unicode's tables: the server's.

use super::input::{Kind, MAX_MARKS};
use super::invisible::{is_annotation, is_blank, is_ignorable};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{
    CanonicalCombiningClass, Emoji, EmojiModifier, ExtendedPictographic, GeneralCategory,
    Ideographic, JoiningType, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;

/// How often a text is gone through until nothing changes any more. One pass can make
/// another necessary, as what is dropped may have stood between a letter and its mark; more
/// than two passes take a text made for it, which then loses every invisible character.
const PASSES: usize = 4;

const ZWNJ: char = '\u{200C}';
const ZWJ: char = '\u{200D}';
/// Asks for the text form of an emoji.
const TEXT_FORM: char = '\u{FE0E}';
/// Asks for the picture form of an emoji.
const PICTURE_FORM: char = '\u{FE0F}';
/// Makes a key of a digit.
const KEYCAP: char = '\u{20E3}';
/// What the flags of England, Scotland and Wales begin with; tag characters follow.
const BLACK_FLAG: char = '\u{1F3F4}';

/// The text in normal form NFC.
pub fn nfc(text: &str) -> String {
    composed(text).into_owned()
}

/// The text in normal form NFC: itself where it is in that form.
pub fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// The text as it is kept. Idempotent.
pub(super) fn clean(text: &str, kind: Kind) -> String {
    // Nearly every Latin message: ASCII is in normal form and has nothing invisible.
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
    // Without ignorable characters a pass leaves nothing for the next one but to compose.
    let bare = pass(&text, kind, false);
    pass(&bare, kind, false)
}

/// Whether a character shows something by itself.
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

/// Composes, then drops what does not stay. `invisible`: whether any invisible character may
/// stay.
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

/// What stays of a text, as far as it was read.
struct Kept {
    /// What it is for.
    kind: Kind,
    /// Text kept so far.
    text: String,
    /// The last character of it.
    last: Option<char>,
    /// How many marks the last letter has; none where there is no letter to carry one.
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

    /// Keeps a character that is not ignorable, unless the rules drop it.
    fn push(&mut self, c: char) {
        let space = self.kind == Kind::Name && (c.is_whitespace() || is_blank(c));
        if is_annotation(c) || (space && self.last == Some(' ')) {
            return;
        }
        let c = if space { ' ' } else { c };
        if is_mark(c) {
            // In a name a mark without a letter hides or joins what stands before the name.
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

    /// How many characters, beginning with the ignorable `c`, stay as they are needed here.
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

    /// How the last letter joins the next one; marks have no part in it.
    fn joining(&self) -> Option<JoiningType> {
        let joining = self.text.chars().rev().take(2 * MAX_MARKS).map(joining);
        joining
            .into_iter()
            .find(|kind| *kind != JoiningType::Transparent)
    }

    /// Whether the letters on both sides would join (RFC 5892, appendix A.1).
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

/// The length of the tags that make a flag of `last`, beginning with `c`; 0 where Unicode
/// knows no such flag.
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

/// Whether `last` has a text and a picture form to choose from; digits only as a key.
fn takes_form(last: char, next: Option<char>) -> bool {
    let emoji = CodePointSetData::new::<Emoji>().contains(last);
    emoji && (!last.is_ascii() || next == Some(KEYCAP))
}

/// Whether a joiner makes one emoji of two.
fn joins_emoji(last: char, next: Option<char>) -> bool {
    let first = last == PICTURE_FORM
        || is_pictographic(last)
        || CodePointSetData::new::<EmojiModifier>().contains(last);
    first && next.is_some_and(is_pictographic)
}

/// Whether a joiner or non-joiner shapes a syllable of an Indic script: it stands beside a
/// virama (RFC 5892, appendix A.1 and A.2; Bengali has it before the virama, too).
fn shapes(last: char, next: Option<char>) -> bool {
    is_virama(last) || (!is_ignorable(last) && is_visible(last) && next.is_some_and(is_virama))
}

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

fn joining(c: char) -> JoiningType {
    CodePointMapData::<JoiningType>::new().get(c)
}

/// Whether a letter of this kind joins the one after it.
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

/// Whether a character is drawn onto the one before it.
pub(super) fn is_mark(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    )
}
