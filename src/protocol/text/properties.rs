//! Property tests: invariants of every accepted text.

use super::clean::{is_mark, is_visible, nfc};
use super::invisible::is_ignorable;
use super::{MAX_MARKS, emoji, key, look, message, name};
use icu_properties::CodePointSetData;
use icu_properties::props::BidiControl;
use proptest::prelude::*;

/// A character, mostly from the ranges that the rules treat specially.
fn character() -> impl Strategy<Value = char> {
    let ranges = [
        '\u{0}'..='\u{7F}',
        '\u{A0}'..='\u{AF}',
        '\u{300}'..='\u{36F}',
        '\u{5B0}'..='\u{5EA}',
        '\u{600}'..='\u{6FF}',
        '\u{900}'..='\u{9FF}',
        '\u{D00}'..='\u{DFF}',
        '\u{F40}'..='\u{FBC}',
        '\u{1100}'..='\u{11FF}',
        '\u{1780}'..='\u{17D3}',
        '\u{1800}'..='\u{182F}',
        '\u{2000}'..='\u{2070}',
        '\u{20D0}'..='\u{20F0}',
        '\u{2600}'..='\u{27BF}',
        '\u{2800}'..='\u{2801}',
        '\u{3099}'..='\u{30FF}',
        '\u{3164}'..='\u{3165}',
        '\u{6F22}'..='\u{6F24}',
        '\u{AC00}'..='\u{AC20}',
        '\u{F900}'..='\u{F910}',
        '\u{FE00}'..='\u{FE0F}',
        '\u{FF00}'..='\u{FFFF}',
        '\u{1F1E6}'..='\u{1F1FF}',
        '\u{1F3F4}'..='\u{1F3F4}',
        '\u{1F3FB}'..='\u{1F3FF}',
        '\u{1F466}'..='\u{1F46A}',
        '\u{E0020}'..='\u{E007F}',
        '\u{E0100}'..='\u{E0110}',
    ];
    let often = prop::sample::select(
        "\u{200C}\u{200D}\u{FE0F}\u{FE0E}\u{94D}\u{301}\u{20E3} 1a"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop_oneof![
        3 => prop::sample::select(ranges.to_vec()).prop_flat_map(|range| prop::char::range(*range.start(), *range.end())),
        3 => often,
        1 => any::<char>(),
    ]
}

/// A text of fewer than `max` such characters.
fn text(max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..max).prop_map(String::from_iter)
}

/// Checks the invariants of an accepted text.
fn check(text: &str) -> Result<(), TestCaseError> {
    let bidi = CodePointSetData::new::<BidiControl>();
    prop_assert_eq!(nfc(text), text, "normal form");
    prop_assert!(
        !text.chars().any(|c| bidi.contains(c)),
        "direction characters"
    );
    prop_assert!(text.chars().any(is_visible), "a visible character");
    prop_assert_eq!(text.trim(), text);
    let mut marks = 0;
    for c in text.chars().filter(|c| !is_ignorable(*c)) {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        prop_assert!(marks <= MAX_MARKS, "marks");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parsing_a_name_is_idempotent(typed in text(60)) {
        if let Ok(kept) = name(&typed, 64) {
            prop_assert_eq!(name(&kept, 64), Ok(kept.clone()));
            check(&kept)?;
            prop_assert!(kept.chars().count() <= 64);
            prop_assert!(!kept.contains("  ") && !kept.chars().any(char::is_control));
            let spaces = kept.chars().filter(|c| c.is_whitespace());
            prop_assert!(spaces.into_iter().all(|c| c == ' '));
            let invisible = kept.chars().filter(|c| is_ignorable(*c));
            let allowed = |c| matches!(c, '\u{200D}' | '\u{FE0F}' | '\u{E0020}'..='\u{E007F}');
            prop_assert!(invisible.into_iter().all(allowed), "invisible characters");
        }
    }

    #[test]
    fn parsing_a_message_is_idempotent(typed in text(80)) {
        if let Ok(kept) = message(&typed, 4_000) {
            prop_assert_eq!(message(&kept, 4_000), Ok(kept.clone()));
            check(&kept)?;
        }
    }

    #[test]
    fn composed_and_decomposed_are_one_name(typed in text(30)) {
        let decomposed = icu_normalizer::DecomposingNormalizerBorrowed::new_nfd().normalize(&typed).into_owned();
        prop_assert_eq!(name(&typed, 64), name(&decomposed, 64));
    }

    #[test]
    fn a_look_is_bounded_and_differs_from_the_key(typed in text(40)) {
        let look = look(&typed);
        prop_assert!(look.as_ref().is_none_or(|look| look.chars().count() <= 32 && *look != key(&typed)));
    }

    #[test]
    fn parsing_an_emoji_is_idempotent(typed in text(6)) {
        if let Some(known) = emoji(&typed) {
            prop_assert_eq!(emoji(&known), Some(known));
        }
    }
}

#[test]
fn every_emoji_stays_whole_in_names_and_messages() {
    for known in emojis::iter() {
        let toned = known.skin_tones().into_iter().flatten();
        for known in std::iter::once(known).chain(toned) {
            let text = format!("a {known} b");
            assert_eq!(name(&text, 64).as_ref(), Ok(&text));
            assert_eq!(message(&text, 64).as_ref(), Ok(&text));
        }
    }
}
