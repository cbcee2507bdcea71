//! The characters that text may contain.

/// Whether XML 1.0 allows the character (production 2, `Char`).
pub fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether a terminal shows the character as it is. Control characters may steer the terminal. Others take no space, or
/// change the direction of the text around them, so that one text passes for another.
pub fn is_visible(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// The first character of the text that XML 1.0 does not allow, and its position.
pub fn first_unfit(text: &str) -> Option<(usize, char)> {
    // Control characters, and characters that start with 0xEF such as U+FFFE, are rare. Searching whole chunks for
    // these bytes without an early exit takes a tenth of the time of checking characters.
    let suspect =
        |byte: u8| ((byte < b' ') & !matches!(byte, b'\t' | b'\n' | b'\r')) | (byte == 0xEF);
    let mut chunks = text.as_bytes().chunks(64);
    if !chunks.any(|chunk| chunk.iter().fold(false, |found, &byte| found | suspect(byte))) {
        return None;
    }
    text.char_indices().find(|&(_, character)| !is_xml(character))
}
