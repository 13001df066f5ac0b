//! Where an object lies in the container.
//!
//! A plain place reads like bucket and key. What Azure refuses or resolves is written as `%`
//! and two upper-case hexadecimal digits per byte of UTF-8, in the blob's name itself:
//! control characters and others outside RFC 3987's, backslashes, dots at the end of a
//! segment, slashes that would make an empty segment, and a `%` that would read like an
//! escape. What is then still too long is named by its hash.
//!
//! Everything that is not a plain place lies below [`RESERVED`], which no plain place can
//! start with.

use sha2::{Digest, Sha256};

/// The folder that users' keys cannot reach.
pub(crate) const RESERVED: &str = ".sallyport/";

/// Azure counts a blob's name in UTF-16 units.
/// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>
const LONGEST_NAME: usize = 1024;

/// Azure's limit of path segments; the account and the container take none of them.
const MOST_SEGMENTS: usize = 254;

/// How a location turns the host's names into names of blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Names {
    /// `true`: the blob's name is the object's key; `false`: the bucket comes first.
    pub(crate) bucket_match: bool,
}

impl Names {
    /// The place that shows bucket and key as they are, as far as Azure takes them.
    pub(crate) fn plain(self, bucket: &str, key: &str) -> String {
        let escaped =
            if self.bucket_match { escape_key(key) } else { format!("{}/{}", escape_segment(bucket), escape_key(key)) };
        if fits(&escaped) {
            return escaped;
        }
        format!("{RESERVED}long/{}/{}", escape_segment(bucket), digest(bucket, key))
    }

    /// A place of its own for a token that the host never uses twice.
    pub(crate) fn derived(self, bucket: &str, key: &str, token: &str) -> String {
        format!("{RESERVED}derived/{}/{}/{}", escape_segment(bucket), digest(bucket, key), escape_segment(token))
    }

    /// What all plain places of a bucket start with, within the container.
    pub(crate) fn prefix(self, bucket: &str) -> String {
        if self.bucket_match { String::new() } else { format!("{}/", escape_segment(bucket)) }
    }
}

fn fits(name: &str) -> bool {
    name.encode_utf16().count() <= LONGEST_NAME && name.split('/').count() <= MOST_SEGMENTS
}

/// Tells a bucket's key from any other bucket's: a bucket's name has no NUL.
fn digest(bucket: &str, key: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(bucket.as_bytes());
    hash.update([0]);
    hash.update(key.as_bytes());
    hex::encode(hash.finalize())
}

fn escape_key(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut before = '/';
    for (at, letter) in key.char_indices() {
        let rest = key.get(at + letter.len_utf8()..).unwrap_or_default();
        if needs_escape(before, letter, rest) || (at == 0 && key.starts_with(RESERVED)) {
            push_escaped(&mut name, letter);
        } else {
            name.push(letter);
        }
        before = letter;
    }
    name
}

fn escape_segment(text: &str) -> String {
    escape_key(text).replace('/', "%2F")
}

/// Whether `letter` cannot stand as it is, after `before` (a slash at the start) and in
/// front of `rest`.
fn needs_escape(before: char, letter: char, rest: &str) -> bool {
    match letter {
        '/' => before == '/' || rest.is_empty(),
        '.' => {
            let behind = rest.trim_start_matches('.');
            behind.is_empty() || behind.starts_with('/')
        }
        '%' => reads_like_an_escape(rest),
        '\\' => true,
        _ => !is_allowed(letter),
    }
}

/// Whether what follows a `%` makes it one of the escapes that this module writes: `%20` is
/// none, so a key that looks like a URL stays as it is.
fn reads_like_an_escape(rest: &str) -> bool {
    let Some([high, low]) = rest.as_bytes().first_chunk() else { return false };
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let (Some(high), Some(low)) = (digit(high), digit(low)) else { return false };
    matches!(high << 4 | low, 0..0x20 | b'%' | b'.' | b'/' | b'\\' | 0x7F..)
}

/// Printable ASCII and RFC 3987's `ucschar`.
fn is_allowed(letter: char) -> bool {
    match u32::from(letter) {
        0x20..=0x7E | 0xA0..=0xD7FF | 0xF900..=0xFDCF | 0xFDF0..=0xFFEF => true,
        astral @ 0x1_0000..=0xE_FFFD => astral & 0xFFFF <= 0xFFFD,
        _ => false,
    }
}

fn push_escaped(name: &mut String, letter: char) {
    let mut buffer = [0; 4];
    for byte in letter.encode_utf8(&mut buffer).bytes() {
        name.push('%');
        name.push_str(&hex::encode_upper([byte]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BESIDE: Names = Names { bucket_match: false };
    const MATCH: Names = Names { bucket_match: true };

    fn unescape(name: &str) -> String {
        let bytes = name.as_bytes();
        let mut text = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'%' && reads_like_an_escape(&String::from_utf8_lossy(&bytes[at + 1..])) {
                text.push(u8::from_str_radix(&name[at + 1..at + 3], 16).unwrap());
                at += 3;
            } else {
                text.push(bytes[at]);
                at += 1;
            }
        }
        String::from_utf8(text).unwrap()
    }

    fn awkward_key() -> impl Strategy<Value = String> {
        prop_oneof![
            "[./%2EF\\\\a]{1,12}",
            "\\PC{1,40}",
            any::<String>().prop_filter("a key is not empty", |key| !key.is_empty()),
        ]
    }

    #[test]
    fn an_ordinary_key_is_shown_as_it_is() {
        for key in ["a", "photos/2024/a b.jpg", "50% off", "a%20b", "ünï/côdé", "日本語", "a.b..c", ".hidden/x"]
        {
            assert_eq!(BESIDE.plain("bucket", key), format!("bucket/{key}"));
            assert_eq!(MATCH.plain("bucket", key), key);
        }
    }

    #[test]
    fn what_azure_resolves_is_escaped() {
        for (key, name) in [
            ("../other/x", "%2E%2E/other/x"),
            ("a/./b", "a/%2E/b"),
            ("a.", "a%2E"),
            ("dir./x", "dir%2E/x"),
            ("folder/", "folder%2F"),
            ("/a", "%2Fa"),
            ("a//b", "a/%2Fb"),
            ("a\\b", "a%5Cb"),
            ("a\nb", "a%0Ab"),
            ("a\u{81}", "a%C2%81"),
            ("a\u{e000}", "a%EE%80%80"),
            ("a%2Fb", "a%252Fb"),
        ] {
            assert_eq!(MATCH.plain("bucket", key), name);
        }
    }

    #[test]
    fn a_key_cannot_reach_the_reserved_folder() {
        let token = MATCH.derived("bucket", "key", "t1");
        assert!(token.starts_with(RESERVED));
        assert!(!MATCH.plain("bucket", &token).starts_with(RESERVED));
        assert!(!BESIDE.plain("bucket", &token).starts_with(RESERVED));
    }

    #[test]
    fn a_name_that_is_too_long_is_hashed() {
        let one = BESIDE.plain("bucket", &"k".repeat(1024));
        let other = BESIDE.plain("bucket", &format!("{}l", "k".repeat(1023)));
        assert!(one.starts_with(".sallyport/long/bucket/"));
        assert_ne!(one, other);
        assert_eq!(MATCH.plain("bucket", &"k".repeat(1024)).len(), 1024);
        assert!(MATCH.plain("bucket", &"a/".repeat(300)).starts_with(RESERVED));
    }

    proptest! {
        #[test]
        fn a_plain_name_can_be_read_back(key in awkward_key()) {
            prop_assert_eq!(unescape(&escape_key(&key)), key);
        }

        #[test]
        fn a_name_has_nothing_that_azure_refuses(key in awkward_key()) {
            for name in [MATCH.plain("bucket", &key), BESIDE.plain("bucket", &key), MATCH.derived("bucket", &key, "t")] {
                prop_assert!(!name.is_empty());
                prop_assert!(fits(&name));
                prop_assert!(!name.contains('\\'));
                prop_assert!(!name.chars().any(|letter| letter.is_control()));
                prop_assert!(name.split('/').all(|segment| !segment.is_empty() && !segment.ends_with('.')));
            }
        }

        #[test]
        fn a_plain_name_stays_out_of_the_reserved_folder(key in "\\.sallyport/[a-z/]{0,10}") {
            prop_assert!(!MATCH.plain("bucket", &key).starts_with(RESERVED));
        }
    }
}
