//! Recognition of emoji (UTS 51).

/// Length of the longest emoji (families, flags of regions), in Unicode scalar values.
#[cfg(not(feature = "ssr"))]
const MAX_CHARS: usize = 10;

/// Variation selector 16: emoji presentation (UTS 51).
#[cfg(feature = "ssr")]
const PICTURE_FORM: char = '\u{FE0F}';

/// Parses exactly one emoji that Unicode recommends for general interchange (emoji-test.txt of
/// UTS 51). The result is fully qualified: `❤` becomes `❤️`.
#[cfg(feature = "ssr")]
pub fn emoji(text: &str) -> Option<String> {
    let known = emojis::get(text)?.as_str();
    // The table matches some incomplete sequences, such as `1` with a selector for a keycap.
    let shown = |text: &str| text.replace(PICTURE_FORM, "");
    (shown(text) == shown(known)).then(|| known.to_owned())
}

/// The text if it can be an emoji: short and not ASCII. The browser has no table of emoji;
/// the server checks the text against it.
#[cfg(not(feature = "ssr"))]
pub fn emoji(text: &str) -> Option<String> {
    let short = text.chars().count() <= MAX_CHARS;
    (short && !text.is_ascii()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::emoji;

    #[test]
    fn every_emoji_that_unicode_recommends_is_accepted() {
        let mut count = 0;
        for known in emojis::iter() {
            let toned = known.skin_tones().into_iter().flatten();
            for known in std::iter::once(known).chain(toned) {
                assert_eq!(emoji(known.as_str()).as_deref(), Some(known.as_str()));
                count += 1;
            }
        }
        assert!(count > 3_500, "only {count}");
    }

    #[test]
    fn symbols_keycaps_flags_families_and_skin_tones_are_emoji() {
        for text in [
            "👍",
            "❤️",
            "ℹ️",
            "🅰️",
            "Ⓜ️",
            "㊙️",
            "™️",
            "1️⃣",
            "#️⃣",
            "*️⃣",
            "🇰🇷",
            "👨‍👩‍👧‍👦",
            "👍🏽",
            "🧑🏿‍🤝‍🧑🏻",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "🏳️‍🌈",
            "❤️‍🔥",
        ] {
            assert_eq!(emoji(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_emoji_without_its_selector_is_the_same_emoji() {
        assert_eq!(emoji("❤").as_deref(), Some("❤️"));
        assert_eq!(emoji("ℹ").as_deref(), Some("ℹ️"));
    }

    #[test]
    fn words_punctuation_and_incomplete_emoji_are_not_emoji() {
        for text in [
            "",
            "a",
            "가",
            "1",
            "#",
            ":)",
            "…",
            "—",
            "\u{200D}",
            "\u{FE0F}",
            "\u{20E3}",
            "🇰",
            "👍 ",
            "👍👍",
            "👍\u{200D}",
            "<👍>",
            "1\u{FE0F}",
            "🏴\u{E0067}\u{E007F}",
            "Ω",
            "\u{3164}",
        ] {
            assert_eq!(emoji(text), None, "{text:?}");
        }
    }
}
