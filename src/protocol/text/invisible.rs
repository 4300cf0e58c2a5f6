//! Invisible characters, as ranges small enough for the browser.

/// Whether a character has Unicode's property `Default_Ignorable_Code_Point`. A test compares
/// the ranges with Unicode's data.
pub(super) fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Whether a character marks an annotation or an embedded object (U+FFF9 to U+FFFC), which
/// plain text does not contain.
pub(super) fn is_annotation(c: char) -> bool {
    matches!(c, '\u{FFF9}'..='\u{FFFC}')
}

/// Whether a character has an empty glyph without being white space: the blank Braille cell,
/// the null notehead, the blank hieroglyphs.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{1D159}' | '\u{13441}' | '\u{13442}')
}

/// Whether a character has no visible glyph.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_ignorable(c) || is_annotation(c) || is_blank(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use icu_properties::CodePointSetData;
    use icu_properties::props::DefaultIgnorableCodePoint;

    #[test]
    fn the_ranges_of_ignorable_characters_are_those_of_unicode() {
        let unicode = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let different = (0..=0x10_FFFF)
            .filter_map(char::from_u32)
            .find(|c| unicode.contains(*c) != is_ignorable(*c));
        assert_eq!(different, None);
    }
}
