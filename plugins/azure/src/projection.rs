//! What an object carries beside its bytes, in the forms that Azure takes.
//!
//! A metadata name has to be a C# identifier, and HTTP gives up its case. `-` becomes `_`;
//! everything else that is not a letter or digit, `_` included, becomes `__` and two
//! hexadecimal digits per byte, and so does a `-` that would stand before another `_`, a
//! leading digit, and the first letter of a name that this plugin uses itself. A value that
//! is not plain ASCII becomes an RFC 2047 encoded word, as S3 itself shows it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The metadata name of the id of the write that made a blob.
pub(crate) const WRITE_ID: &str = "sallyportwriteid";
/// The metadata name of the id of the upload that waits at a blob: not an object yet.
pub(crate) const UPLOAD_ID: &str = "sallyportupload";
/// The metadata name of the header `expires`, which Azure does not have.
const EXPIRES: &str = "sallyportexpires";
/// The metadata name of all tags as a JSON object, as CloudServer wrote them.
const TAGS: &str = "tags";
/// What the names of our own metadata start with.
const OURS: &str = "sallyport";

/// In front of a header's name when it is metadata.
const META: &str = "x-ms-meta-";
/// Azure's limit for all metadata of a blob, names and values together.
const MOST_METADATA: usize = 8 * 1024;
/// Azure's limit of index tags.
const MOST_TAGS: usize = 10;

/// All but RFC 3986's unreserved characters.
const TAG_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A header of a request.
pub(crate) type Header = (String, String);

/// The host's projection of an object, by reference.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Projected<'a> {
    pub(crate) content: &'a [(String, String)],
    pub(crate) metadata: &'a [(String, String)],
    pub(crate) tags: &'a [(String, String)],
}

/// Headers, with the names of what they had to leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) headers: Vec<Header>,
    pub(crate) left_out: Vec<String>,
}

impl Projected<'_> {
    /// The content headers as Azure's own.
    pub(crate) fn content_headers(&self) -> Encoded {
        let mut encoded = Encoded::default();
        for (name, value) in self.content {
            let Some(header) = content_header(name) else { continue };
            if is_header_text(value) {
                encoded.headers.push((header.to_owned(), value.clone()));
            } else {
                encoded.left_out.push(name.clone());
            }
        }
        encoded
    }

    /// All metadata: ours first, then what CloudServer wrote, then the user's as far as it
    /// fits. `mark` is the name of the id (see [`WRITE_ID`] and [`UPLOAD_ID`]).
    pub(crate) fn metadata_headers(&self, mark: &str, id: &str) -> Encoded {
        let mut entries = Vec::new();
        if !id.is_empty() {
            entries.push((mark.to_owned(), id.to_owned(), mark.to_owned()));
        }
        if let Some((name, value)) = self.content.iter().find(|(name, _)| name == "expires") {
            entries.push((EXPIRES.to_owned(), encode_value(value), name.clone()));
        }
        for (name, value) in self.metadata {
            entries.push((encode_name(name), encode_value(value), name.clone()));
        }
        if !self.tags.is_empty() {
            entries.push((TAGS.to_owned(), tags_json(self.tags), TAGS.to_owned()));
        }
        fit(entries)
    }

    /// The tags as a query string, when Azure's index takes them all.
    pub(crate) fn index_tags(&self) -> Option<String> {
        if self.tags.is_empty() || !self.tags_fit_the_index() {
            return None;
        }
        let escape = |text: &String| utf8_percent_encode(text, TAG_ESCAPES).to_string();
        let pairs: Vec<String> =
            self.tags.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
        Some(pairs.join("&"))
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/set-blob-tags>
    pub(crate) fn tags_fit_the_index(&self) -> bool {
        let is_tag_text =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +-./:=_".contains(&byte));
        self.tags.len() <= MOST_TAGS
            && self.tags.iter().all(|(key, value)| {
                (1..=128).contains(&key.len()) && value.len() <= 256 && is_tag_text(key) && is_tag_text(value)
            })
    }
}

fn content_header(name: &str) -> Option<&'static str> {
    match name {
        "content-type" => Some("x-ms-blob-content-type"),
        "cache-control" => Some("x-ms-blob-cache-control"),
        "content-disposition" => Some("x-ms-blob-content-disposition"),
        "content-encoding" => Some("x-ms-blob-content-encoding"),
        "content-language" => Some("x-ms-blob-content-language"),
        _ => None,
    }
}

/// Leaves out what Azure's limit has no room for, and every second name that another one
/// reads like.
fn fit(entries: Vec<(String, String, String)>) -> Encoded {
    let mut encoded = Encoded::default();
    let mut room = MOST_METADATA;
    let mut seen = std::collections::HashSet::new();
    for (name, value, shown) in entries {
        let size = META.len() + name.len() + value.len();
        if size > room || !seen.insert(name.clone()) {
            encoded.left_out.push(shown);
            continue;
        }
        room -= size;
        encoded.headers.push((format!("{META}{name}"), value));
    }
    encoded
}

/// The name that Azure keeps for a name of user metadata.
pub(crate) fn encode_name(name: &str) -> String {
    if name.is_empty() {
        return "__".to_owned();
    }
    let reserved = name == TAGS || name.starts_with(OURS);
    let bytes = name.as_bytes();
    let mut encoded = String::with_capacity(name.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let first = at == 0;
        let next = bytes.get(at + 1).copied();
        match byte {
            b'a'..=b'z' if !(first && reserved) => encoded.push(char::from(byte)),
            b'0'..=b'9' if !first => encoded.push(char::from(byte)),
            b'-' if next.is_none_or(|next| next.is_ascii_lowercase() || next.is_ascii_digit()) => {
                encoded.push('_');
            }
            _ => encoded.push_str(&format!("__{byte:02x}")),
        }
    }
    encoded
}

/// Plain ASCII as it is, everything else as an encoded word.
pub(crate) fn encode_value(value: &str) -> String {
    if is_header_text(value) && !value.is_empty() && !is_encoded_word(value) {
        return value.to_owned();
    }
    format!("{WORD_START}{}{WORD_END}", STANDARD.encode(value))
}

const WORD_START: &str = "=?UTF-8?B?";
const WORD_END: &str = "?=";

fn is_encoded_word(value: &str) -> bool {
    value.starts_with(WORD_START) && value.ends_with(WORD_END)
}

/// What a header takes and every proxy leaves alone.
fn is_header_text(value: &str) -> bool {
    value.bytes().all(|byte| (0x20..=0x7E).contains(&byte)) && value.trim() == value
}

/// A JSON object in ASCII, sorted by key.
fn tags_json(tags: &[(String, String)]) -> String {
    let sorted: BTreeMap<&str, &str> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut ascii = String::new();
    for unit in serde_json::json!(sorted).to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() && byte != 0x7F => ascii.push(char::from(byte)),
            _ => ascii.push_str(&format!("\\u{unit:04x}")),
        }
    }
    ascii
}

/// What headers show of a blob that lies there already, tags left out. Names that this plugin
/// encoded are decoded; those that others chose are shown as they are.
pub(crate) fn shown<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    is_ours: bool,
) -> (Vec<Header>, Vec<Header>) {
    let (mut content, mut metadata) = (Vec::new(), Vec::new());
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if content_header(&name).is_some() {
            content.push((name, value.to_owned()));
            continue;
        }
        let Some(name) = name.strip_prefix(META) else { continue };
        match name {
            WRITE_ID | UPLOAD_ID | TAGS => {}
            EXPIRES => content.push(("expires".to_owned(), decode_value(value))),
            other if is_ours => {
                let name = decode_name(other).unwrap_or_else(|| other.to_owned());
                metadata.push((name, decode_value(value)));
            }
            other => metadata.push((other.to_owned(), decode_value(value))),
        }
    }
    (content, metadata)
}

/// The tags that the metadata has, as this plugin and CloudServer wrote them.
pub(crate) fn shown_tags(json: &str) -> Option<Vec<(String, String)>> {
    let tags: BTreeMap<String, String> = serde_json::from_str(json).ok()?;
    Some(tags.into_iter().collect())
}

/// The name that [`encode_name`] was given; `None` for what it never made.
fn decode_name(encoded: &str) -> Option<String> {
    if encoded == "__" {
        return Some(String::new());
    }
    let mut bytes = Vec::new();
    let mut rest = encoded;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("__") {
            let (digits, after) = behind.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
            continue;
        }
        bytes.push(if letter == '_' { b'-' } else { u8::try_from(letter).ok()? });
        rest = rest.split_at_checked(letter.len_utf8())?.1;
    }
    String::from_utf8(bytes).ok()
}

/// The value that [`encode_value`] was given; what only looks encoded stays as it is.
fn decode_value(encoded: &str) -> String {
    let word = encoded.strip_prefix(WORD_START).and_then(|rest| rest.strip_suffix(WORD_END));
    let bytes = word.and_then(|word| STANDARD.decode(word).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| encoded.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn ordinary_names_look_as_cloudserver_wrote_them() {
        for (name, encoded) in [
            ("author", "author"),
            ("s3cmd-attrs", "s3cmd_attrs"),
            ("a_b", "a__5fb"),
            ("a--b", "a__2d_b"),
            ("1st", "__31st"),
            ("a.b", "a__2eb"),
            ("tags", "__74ags"),
            ("sallyportwriteid", "__73allyportwriteid"),
            ("", "__"),
        ] {
            assert_eq!(encode_name(name), encoded);
        }
    }

    #[test]
    fn values_beyond_ascii_become_encoded_words() {
        assert_eq!(encode_value("plain text"), "plain text");
        assert_eq!(encode_value("Grüße"), "=?UTF-8?B?R3LDvMOfZQ==?=");
        assert_eq!(encode_value(""), "=?UTF-8?B??=");
        assert_eq!(encode_value(" x"), "=?UTF-8?B?IHg=?=");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let long = "v".repeat(9000);
        let metadata = pairs(&[("small", "1"), ("large", &long), ("also-small", "2")]);
        let projected = Projected { metadata: &metadata, ..Projected::default() };
        let encoded = projected.metadata_headers(WRITE_ID, "id");
        assert_eq!(encoded.left_out, ["large"]);
        assert_eq!(
            encoded.headers,
            pairs(&[("x-ms-meta-sallyportwriteid", "id"), ("x-ms-meta-small", "1"), ("x-ms-meta-also_small", "2")])
        );
    }

    #[test]
    fn content_headers_become_azures_own() {
        let content = pairs(&[("content-type", "text/plain"), ("content-disposition", "é"), ("expires", "Thu")]);
        let projected = Projected { content: &content, ..Projected::default() };
        let encoded = projected.content_headers();
        assert_eq!(encoded.headers, pairs(&[("x-ms-blob-content-type", "text/plain")]));
        assert_eq!(encoded.left_out, ["content-disposition"]);
        let metadata = projected.metadata_headers(WRITE_ID, "");
        assert_eq!(metadata.headers, pairs(&[("x-ms-meta-sallyportexpires", "Thu")]));
    }

    #[test]
    fn tags_are_index_tags_when_azure_takes_them_and_json_always() {
        let tags = pairs(&[("team", "a b"), ("cost", "1+1=2")]);
        let projected = Projected { tags: &tags, ..Projected::default() };
        assert_eq!(projected.index_tags().as_deref(), Some("team=a%20b&cost=1%2B1%3D2"));
        let metadata = projected.metadata_headers(WRITE_ID, "");
        assert_eq!(metadata.headers, pairs(&[("x-ms-meta-tags", r#"{"cost":"1+1=2","team":"a b"}"#)]));

        let tags = pairs(&[("größe", "@")]);
        let projected = Projected { tags: &tags, ..Projected::default() };
        assert_eq!(projected.index_tags(), None);
        let metadata = projected.metadata_headers(WRITE_ID, "");
        assert_eq!(metadata.headers, pairs(&[("x-ms-meta-tags", r#"{"gr\u00f6\u00dfe":"@"}"#)]));
    }

    #[test]
    fn a_blob_shows_what_it_was_stored_with() {
        let headers = [
            ("Content-Type", "text/plain"),
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-meta-sallyportwriteid", "w"),
            ("x-ms-meta-sallyportexpires", "Thu"),
            ("x-ms-meta-a_b", "=?UTF-8?B?w6k=?="),
            ("x-ms-meta-tags", "{}"),
        ];
        let content = pairs(&[("content-type", "text/plain"), ("expires", "Thu")]);
        assert_eq!(shown(headers.into_iter(), true), (content.clone(), pairs(&[("a-b", "é")])));
        assert_eq!(shown(headers.into_iter(), false), (content, pairs(&[("a_b", "é")])));
        assert_eq!(shown_tags(r#"{"gr\u00f6\u00dfe":"1"}"#), Some(pairs(&[("größe", "1")])));
        assert_eq!(shown_tags("[]"), None);
    }

    proptest! {
        #[test]
        fn names_decode_to_what_they_were(name in prop_oneof!["[-_a-f0-9.]{0,8}", any::<String>()]) {
            let encoded = encode_name(&name);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
            prop_assert!(!encoded.as_bytes()[0].is_ascii_digit());
            prop_assert_eq!(decode_name(&encoded), Some(name));
        }

        #[test]
        fn values_decode_to_what_they_were(value in any::<String>()) {
            let encoded = encode_value(&value);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode_value(&encoded), value);
        }
    }
}
