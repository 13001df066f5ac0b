//! Fits content headers, user metadata and tags into what S3 can hold, reversibly.
//!
//! - A metadata value that is no plain ASCII text, or that looks encoded already, becomes an
//!   encoded word of RFC 2047, as S3 itself answers such values.
//! - A metadata name that is no token, or that is in our own space, becomes `sallyport-name-`
//!   with the name's bytes in hexadecimal digits.
//! - A content header that is no plain ASCII text goes into the metadata, under
//!   `sallyport-` with its name.
//! - A tag with characters that S3 refuses becomes `sallyport:` with each refused byte, and each
//!   equals sign, as an equals sign and two hexadecimal digits.
//! - What is too much is left out, the last first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sallyport_plugin_sdk::path;
use sallyport_plugin_sdk::types::Projection;

/// The user metadata that says which write stored an object.
pub(crate) const WRITE_ID: &str = "sallyport-write-id";
/// What every name of ours starts with.
const OWN: &str = "sallyport-";
const ENCODED_NAME: &str = "sallyport-name-";
const ENCODED_TAG: &str = "sallyport:";
const WORD: (&str, &str) = ("=?UTF-8?B?", "?=");
/// What S3 keeps of an object beside its metadata, by the host's names.
const CONTENT: [&str; 6] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];
/// Names and values of user metadata together, in bytes.
const MAX_METADATA: usize = 2048;
const MAX_TAGS: usize = 10;
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;
/// CloudServer kept the location's name there; it is not the backend's business.
const LOCATION_CONSTRAINT: &str = "scal-location-constraint";

/// What an object carries beside its bytes, ready to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fitted {
    /// Content headers.
    pub(crate) content: Vec<(String, String)>,
    /// User metadata without its prefix, the write id included.
    pub(crate) metadata: Vec<(String, String)>,
    /// Tags.
    pub(crate) tags: Vec<(String, String)>,
    /// Sentences about what was left out.
    pub(crate) left_out: Vec<String>,
}

type Pairs = [(String, String)];

impl Fitted {
    /// Fits the projection of one write.
    pub(crate) fn of(object: &Projection, write_id: &str) -> Self {
        Self::new(&object.content, &object.metadata, &object.tags, write_id)
    }

    /// Fits what the host wants to be seen on the backend.
    pub(crate) fn new(content: &Pairs, metadata: &Pairs, tags: &Pairs, write_id: &str) -> Self {
        let mut fitted = Self::default();
        let mut room = MAX_METADATA;
        fitted.push_metadata(&mut room, WRITE_ID.to_owned(), write_id.to_owned());
        for (name, value) in content.iter().filter(|(_, value)| !value.is_empty()) {
            if is_plain(value) {
                fitted.content.push((name.clone(), value.clone()));
            } else {
                fitted.push_metadata(&mut room, format!("{OWN}{name}"), encode_word(value));
            }
        }
        for (name, value) in metadata.iter().filter(|(name, _)| name != LOCATION_CONSTRAINT) {
            fitted.push_metadata(&mut room, fit_name(name), fit_value(value));
        }
        fitted.tags = fit_tags(tags, &mut fitted.left_out);
        fitted
    }

    /// The tags as the header `x-amz-tagging` has them; absent without tags.
    pub(crate) fn tagging(&self) -> Option<String> {
        if self.tags.is_empty() {
            return None;
        }
        let tags: Vec<_> = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        path::query(&tags).strip_prefix('?').map(str::to_owned)
    }

    /// All of it as headers, and the sentences about what was left out.
    pub(crate) fn into_headers(self) -> (Vec<(String, String)>, Vec<String>) {
        let tagging = self.tagging();
        let mut headers = self.content;
        headers.extend(self.metadata.into_iter().map(|(name, value)| (["x-amz-meta-", &name].concat(), value)));
        headers.extend(tagging.map(|tagging| ("x-amz-tagging".to_owned(), tagging)));
        (headers, self.left_out)
    }

    fn push_metadata(&mut self, room: &mut usize, name: String, value: String) {
        match room.checked_sub(name.len() + value.len()) {
            Some(left) => {
                *room = left;
                self.metadata.push((name, value));
            }
            None => self.left_out.push(format!("metadata '{name}' does not fit into {MAX_METADATA} bytes")),
        }
    }
}

/// The tags that fit.
pub(crate) fn fit_tags(tags: &Pairs, left_out: &mut Vec<String>) -> Vec<(String, String)> {
    let mut fitted = Vec::new();
    for (key, value) in tags {
        let (shown, held) = (fit_tag(key), fit_tag(value));
        let fits = shown.chars().count() <= MAX_TAG_KEY && held.chars().count() <= MAX_TAG_VALUE;
        if fits && fitted.len() < MAX_TAGS {
            fitted.push((shown, held));
        } else {
            left_out.push(format!("tag '{shown}' does not fit: the backend takes {MAX_TAGS} tags"));
        }
    }
    fitted
}

fn fit_name(name: &str) -> String {
    let is_token = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token && !name.starts_with(OWN) {
        return name.to_owned();
    }
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{ENCODED_NAME}{digits}")
}

fn fit_value(value: &str) -> String {
    let looks_encoded = value.starts_with("=?") && value.ends_with("?=");
    if is_plain(value) && !looks_encoded { value.to_owned() } else { encode_word(value) }
}

fn encode_word(value: &str) -> String {
    format!("{}{}{}", WORD.0, STANDARD.encode(value), WORD.1)
}

/// Whether a header carries the text unchanged: blanks around it and runs of them are folded on
/// the way.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && !value.as_bytes().windows(2).any(|pair| pair == b"  ")
}

fn fit_tag(text: &str) -> String {
    let is_free = |character: char| character.is_alphanumeric() || " +-._:/@".contains(character);
    let is_legal = text.chars().all(|character| is_free(character) || character == '=');
    let reserved = text.starts_with(ENCODED_TAG) || text.to_ascii_lowercase().starts_with("aws:");
    if is_legal && !reserved && text.trim() == text {
        return text.to_owned();
    }
    let mut encoded = ENCODED_TAG.to_owned();
    let mut buffer = [0; 4];
    for character in text.chars() {
        if is_free(character) && character != ' ' {
            encoded.push(character);
        } else {
            for byte in character.encode_utf8(&mut buffer).bytes() {
                encoded.push_str(&format!("={byte:02X}"));
            }
        }
    }
    encoded
}

/// What headers of an object show, with what [`Fitted`] did undone. What only looks fitted stays
/// as it is: others store objects too.
pub(crate) fn shown<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> (Option<String>, Projection) {
    let mut object = Projection { content: Vec::new(), metadata: Vec::new(), tags: Vec::new() };
    let mut write_id = None;
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if CONTENT.contains(&name.as_str()) {
            object.content.push((name, value.to_owned()));
            continue;
        }
        let Some(name) = name.strip_prefix("x-amz-meta-") else { continue };
        let value = decode_word(value);
        if name == WRITE_ID {
            write_id = Some(value);
        } else if let Some(original) = name.strip_prefix(ENCODED_NAME).and_then(decode_digits) {
            object.metadata.push((original, value));
        } else if let Some(content) = name.strip_prefix(OWN).filter(|content| CONTENT.contains(content)) {
            object.content.push((content.to_owned(), value));
        } else {
            object.metadata.push((name.to_owned(), value));
        }
    }
    (write_id, object)
}

/// The tag that was fitted.
pub(crate) fn shown_tag(text: &str) -> String {
    let Some(encoded) = text.strip_prefix(ENCODED_TAG) else { return text.to_owned() };
    // Equals signs are in it as percent signs are in a URL.
    path::decode(&encoded.replace('%', "%25").replace('=', "%")).unwrap_or_else(|| text.to_owned())
}

fn decode_word(value: &str) -> String {
    let word = value.strip_prefix(WORD.0).and_then(|rest| rest.strip_suffix(WORD.1));
    let bytes = word.and_then(|word| STANDARD.decode(word).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

fn decode_digits(digits: &str) -> Option<String> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8(pairs.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn metadata(name: &str, value: &str) -> (String, String) {
        Fitted::new(&[], &pairs(&[(name, value)]), &[], "w").metadata[1].clone()
    }

    #[test]
    fn plain_metadata_is_sent_as_it_is() {
        assert_eq!(metadata("colour", "deep blue"), ("colour".to_owned(), "deep blue".to_owned()));
    }

    #[test]
    fn the_write_id_comes_first_and_cannot_be_taken() {
        let fitted = Fitted::new(&[], &pairs(&[(WRITE_ID, "mine")]), &[], "w");
        assert_eq!(fitted.metadata[0], (WRITE_ID.to_owned(), "w".to_owned()));
        assert!(fitted.metadata[1].0.starts_with(ENCODED_NAME));
    }

    #[test]
    fn text_beyond_ascii_becomes_an_encoded_word() {
        assert_eq!(metadata("n", "é").1, "=?UTF-8?B?w6k=?=");
        assert_eq!(metadata("n", " x").1, "=?UTF-8?B?IHg=?=");
        assert_eq!(metadata("n", "=?UTF-8?B?w6k=?=").1, "=?UTF-8?B?PT9VVEYtOD9CP3c2az0/PQ==?=");
    }

    #[test]
    fn names_that_no_header_can_have_are_written_in_digits() {
        assert_eq!(metadata("a b", "v").0, "sallyport-name-612062");
    }

    #[test]
    fn the_location_header_stays_with_the_gateway() {
        let fitted = Fitted::new(&[], &pairs(&[(LOCATION_CONSTRAINT, "aws-test")]), &[], "w");
        assert_eq!(fitted.metadata.len(), 1);
    }

    #[test]
    fn a_content_header_that_cannot_be_sent_moves_into_the_metadata() {
        let content = pairs(&[("content-type", "text/plain"), ("content-disposition", "inline; filename=é")]);
        let fitted = Fitted::new(&content, &[], &[], "w");
        assert_eq!(fitted.content, pairs(&[("content-type", "text/plain")]));
        assert_eq!(fitted.metadata[1].0, "sallyport-content-disposition");
    }

    #[test]
    fn metadata_beyond_the_limit_is_left_out_by_name() {
        let large = "v".repeat(1500);
        let fitted = Fitted::new(&[], &pairs(&[("a", &large), ("b", &large), ("c", "small")]), &[], "w");
        assert_eq!(fitted.metadata.len(), 3);
        assert!(fitted.left_out[0].contains("'b'"));
    }

    #[test]
    fn tags_are_sent_as_a_query() {
        let fitted = Fitted::new(&[], &[], &pairs(&[("a b", "1+1=2"), ("ключ", "")]), "w");
        assert_eq!(fitted.tagging().unwrap(), "a%20b=1%2B1%3D2&%D0%BA%D0%BB%D1%8E%D1%87=");
    }

    #[test]
    fn tags_that_are_refused_are_encoded() {
        assert_eq!(fit_tag("a&b=c"), "sallyport:a=26b=3Dc");
        assert_eq!(fit_tag("aws:x"), "sallyport:aws:x");
        assert_eq!(fit_tag("sallyport:x"), "sallyport:sallyport:x");
    }

    fn read(headers: &[(String, String)]) -> (Option<String>, Projection) {
        shown(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    #[test]
    fn what_was_fitted_reads_as_it_was() {
        let content = pairs(&[("content-type", "text/plain"), ("content-disposition", "inline; filename=é")]);
        let metadata = pairs(&[("colour", "=?UTF-8?B?w6k=?="), ("a b", " ü "), (WRITE_ID, "mine")]);
        let (write_id, object) = read(&Fitted::new(&content, &metadata, &[], "w").into_headers().0);
        assert_eq!(write_id.as_deref(), Some("w"));
        assert_eq!((object.content, object.metadata), (content, metadata));
        for tag in ["plain", "a&b=c%41", " ü ", "aws:x", "sallyport:x", "größe"] {
            assert_eq!(shown_tag(&fit_tag(tag)), tag);
        }
    }

    #[test]
    fn what_others_stored_is_shown_as_it_is() {
        let headers = pairs(&[
            ("Content-Type", "text/x"),
            ("ETag", "x"),
            ("x-amz-meta-Colour", "=?UTF-8?B?!?="),
            ("x-amz-meta-sallyport-name-xy", "1"),
            ("x-amz-meta-sallyport-etag", "2"),
        ]);
        let (write_id, object) = read(&headers);
        assert_eq!(write_id, None);
        assert_eq!(object.content, pairs(&[("content-type", "text/x")]));
        let expected = [("colour", "=?UTF-8?B?!?="), ("sallyport-name-xy", "1"), ("sallyport-etag", "2")];
        assert_eq!(object.metadata, pairs(&expected));
        assert_eq!(shown_tag("sallyport:=FF"), "sallyport:=FF");
    }

    #[test]
    fn only_ten_tags_are_sent() {
        let many: Vec<_> = (0..12).map(|number| (format!("k{number}"), "v".to_owned())).collect();
        let fitted = Fitted::new(&[], &[], &many, "w");
        assert_eq!((fitted.tags.len(), fitted.left_out.len()), (10, 2));
    }
}
