//! Which characters XML 1.0 allows, and where.

/// Whether XML 1.0 can carry the character at all (production 2, `Char`).
pub fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// The first character of the text that XML 1.0 cannot carry, and where it stands.
pub(super) fn first_unfit(text: &str) -> Option<(usize, char)> {
    // Control characters and what begins with 0xEF, as U+FFFE does, are rare. To look for those bytes in whole chunks,
    // without leaving at the first, takes a tenth of the time that going by characters takes.
    let suspect =
        |byte: u8| ((byte < b' ') & !matches!(byte, b'\t' | b'\n' | b'\r')) | (byte == 0xEF);
    let mut chunks = text.as_bytes().chunks(64);
    if !chunks.any(|chunk| chunk.iter().fold(false, |found, &byte| found | suspect(byte))) {
        return None;
    }
    text.char_indices().find(|&(_, character)| !is_xml(character))
}

/// Whether the character is white space to XML (production 3, `S`), which is less than Unicode means by it.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Whether the text is white space through and through, or empty.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// Whether the text can name an element, an attribute or a processing instruction (production 5, `Name`).
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(starts_name) && characters.all(continues_name)
}

fn starts_name(character: char) -> bool {
    matches!(character,
        'a'..='z' | 'A'..='Z' | ':' | '_'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn continues_name(character: char) -> bool {
    starts_name(character)
        || matches!(character,
            '0'..='9' | '-' | '.' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
