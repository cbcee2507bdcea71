//! Which characters text may have.

/// Whether XML 1.0 can carry the character at all (production 2, `Char`).
pub fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// The first character of the text that XML 1.0 cannot carry, and where it stands.
pub fn first_unfit(text: &str) -> Option<(usize, char)> {
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
