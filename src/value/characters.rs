//! The characters that text may contain.

/// Whether XML 1.0 allows the character (production 2, `Char`).
pub fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
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
