//! Which form of a page a client prefers, by its `Accept` header.

use super::headers::Headers;

/// Whether the client prefers JSON to HTML. A client that does not say so, or not clearly, gets HTML, as people do.
pub(super) fn prefers_json(headers: &Headers<'_>) -> bool {
    let Ok(values) = headers.values("accept") else { return false };
    let ranges = || values.iter().flat_map(|value| value.split(',')).map(Range::read);
    let quality = |types: [&str; 2]| {
        let named = ranges().filter(|range| types.iter().any(|name| range.is(name)));
        named.map(|range| range.quality).reduce(f32::max)
    };
    let json = quality(["application/json", "application/*"]);
    let html = quality(["text/html", "text/*"]);
    json.is_some_and(|json| 0.0 < json && html.unwrap_or(0.0) < json)
}

/// A media range with its quality.
struct Range<'a> {
    media: &'a str,
    /// From 0 to 1.
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Range<'a> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        Range { media, quality: quality.unwrap_or(1.0) }
    }

    fn is(&self, name: &str) -> bool {
        self.media.eq_ignore_ascii_case(name)
    }
}
