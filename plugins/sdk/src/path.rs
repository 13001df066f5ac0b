//! Percent-encodes what goes into a URL.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, with slashes left as they are.
const PATH: &AsciiSet = &COMPONENT.remove(b'/');

/// Encodes a path, leaving its slashes: `a b/c` becomes `a%20b/c`.
///
/// It is what SigV4 calls the canonical URI of S3: encoded once, slashes kept.
pub fn encode(path: &str) -> String {
    Cow::from(utf8_percent_encode(path, PATH)).into_owned()
}

/// Encodes one component of a path or query, slashes included.
pub fn encode_component(text: &str) -> String {
    Cow::from(utf8_percent_encode(text, COMPONENT)).into_owned()
}

/// Decodes what `encode` and `encode_component` made; `None` when that is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// Encodes a query with its question mark, in the order given; empty when there is nothing.
///
/// A parameter without a value keeps its `=`, as SigV4's canonical query has it.
pub fn query(parameters: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&encode_component(name));
        text.push('=');
        text.push_str(&encode_component(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slashes_stay_and_all_else_reserved_is_encoded() {
        assert_eq!(encode("a b/ü+%?#~"), "a%20b/%C3%BC%2B%25%3F%23~");
        assert_eq!(encode_component("a/b"), "a%2Fb");
    }

    #[test]
    fn a_query_starts_with_a_question_mark() {
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&[("uploadId", "a&b"), ("partNumber", "1"), ("acl", "")]),
            "?uploadId=a%26b&partNumber=1&acl="
        );
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "\\PC*") {
            prop_assert_eq!(decode(&encode(&text)), Some(text.clone()));
            prop_assert_eq!(decode(&encode_component(&text)), Some(text));
        }
    }
}
