//! Escapes what backends resolve, trim or refuse in a name, reversibly.

/// Escapes a key.
///
/// - a dot at the end of a segment, and with it every dot segment;
/// - backslashes, control characters and what XML cannot hold;
/// - a percent sign, where it and what follows would read as one of these escapes;
/// - with `empty_segments`, slashes that make an empty segment.
pub(super) fn escape(key: &str, empty_segments: bool) -> String {
    if is_ordinary(key, empty_segments) {
        return key.to_owned();
    }
    let mut escaped = String::with_capacity(key.len());
    let mut rest = key.chars();
    let mut previous = None;
    while let Some(character) = rest.next() {
        let next = rest.as_str();
        let is_special = match character {
            '.' => next.is_empty() || next.starts_with('/'),
            '/' => empty_segments && (next.is_empty() || matches!(previous, None | Some('/'))),
            '%' => escaped_byte(next.as_bytes()).is_some(),
            '\\' | '\u{e000}' | '\u{fffe}' | '\u{ffff}' => true,
            other => other.is_control(),
        };
        if is_special {
            push_escaped(&mut escaped, character);
        } else {
            escaped.push(character);
        }
        previous = Some(character);
    }
    escaped
}

/// Whether there is nothing to escape, for the keys of which that is told at a glance.
fn is_ordinary(key: &str, empty_segments: bool) -> bool {
    let bytes = key.as_bytes();
    let next = bytes.iter().skip(1).chain(b"/");
    bytes.iter().zip(next).all(|(byte, next)| match byte {
        b'.' => *next != b'/',
        b'/' => !empty_segments,
        b'%' | b'\\' => false,
        other => matches!(other, b' '..=b'~'),
    })
}

/// Undoes `escape`; `None` when what comes out is not UTF-8.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let byte = (*first == b'%').then(|| escaped_byte(behind)).flatten();
        bytes.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => behind.get(2..).unwrap_or_default(),
            None => behind,
        };
    }
    String::from_utf8(bytes).ok()
}

/// The byte whose escape, without the percent sign, is in front.
fn escaped_byte(text: &[u8]) -> Option<u8> {
    let high = digit(*text.first()?)?;
    let low = digit(*text.get(1)?)?;
    let byte = high << 4 | low;
    // Only what `escape` may write reads as an escape, so that `a%20b` stays as it is.
    let is_written = !matches!(byte, 0x20..=0x7e) || b"%./\\".contains(&byte);
    is_written.then_some(byte)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn push_escaped(escaped: &mut String, character: char) {
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        escaped.push('%');
        for nibble in [byte >> 4, byte & 0xf] {
            let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            escaped.push(digit.to_ascii_uppercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_at_the_end_of_a_segment_are_escaped() {
        assert_eq!(escape(".", false), "%2E");
        assert_eq!(escape("..", false), ".%2E");
        assert_eq!(escape("a./b..", false), "a%2E/b.%2E");
        assert_eq!(escape("a.b", false), "a.b");
    }

    #[test]
    fn backslashes_and_controls_are_escaped() {
        assert_eq!(escape("a\\b\n\u{85}", false), "a%5Cb%0A%C2%85");
    }

    #[test]
    fn a_percent_sign_is_escaped_where_it_reads_as_an_escape() {
        assert_eq!(escape("%2E", false), "%252E");
        assert_eq!(escape("%25", false), "%2525");
        assert_eq!(escape("%2e%20%", false), "%2e%20%");
    }

    #[test]
    fn empty_segments_are_escaped_on_demand() {
        assert_eq!(escape("/a//b/", false), "/a//b/");
        assert_eq!(escape("/a//b/", true), "%2Fa/%2Fb%2F");
    }

    #[test]
    fn a_percent_sign_before_an_escape_is_no_part_of_it() {
        for key in ["%.", "%2.", "%\n", "%2\\", "%%2E", "%2%2E"] {
            assert_eq!(unescape(&escape(key, false)).as_deref(), Some(key));
        }
    }
}
