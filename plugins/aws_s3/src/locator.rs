//! The locator's format, which every later version of this plugin reads.
//!
//! Format 1: the byte 1, then key, version id, entity tag and write id, each as a length of two
//! bytes (big endian) with that many bytes of UTF-8. An absent field has the length 0xFFFF.

/// The first byte of what this version writes.
const FORMAT: u8 = 1;
const ABSENT: u16 = u16::MAX;

/// Names stored bytes on the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locator {
    /// The backend's key.
    pub(crate) key: String,
    /// The backend's version id, where the location records them.
    pub(crate) version: Option<String>,
    /// The entity tag as the backend sent it, quotes included; empty for a delete marker.
    pub(crate) etag: String,
    /// The write that stored the bytes, where it is known.
    pub(crate) write: Option<String>,
}

impl Locator {
    /// The bytes that the host keeps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let texts = [Some(&self.key), self.version.as_ref(), Some(&self.etag), self.write.as_ref()];
        let mut bytes = Vec::with_capacity(1 + texts.iter().map(|text| 2 + text.map_or(0, String::len)).sum::<usize>());
        bytes.push(FORMAT);
        push(&mut bytes, Some(&self.key));
        push(&mut bytes, self.version.as_deref());
        push(&mut bytes, Some(&self.etag));
        push(&mut bytes, self.write.as_deref());
        bytes
    }

    /// Reads what any version of this plugin wrote; absent when it is no such thing.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, mut rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let key = pull(&mut rest)??;
        let version = pull(&mut rest)?;
        let etag = pull(&mut rest)??;
        let write = pull(&mut rest)?;
        rest.is_empty().then_some(Self { key, version, etag, write })
    }
}

/// An open multipart upload, with the same format as a locator: key and upload id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The backend's key.
    pub(crate) key: String,
    /// The backend's upload id.
    pub(crate) id: String,
    /// The write that opened it, where it is known.
    pub(crate) write: Option<String>,
}

impl Upload {
    /// The token that the host keeps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        push(&mut bytes, Some(&self.key));
        push(&mut bytes, Some(&self.id));
        push(&mut bytes, self.write.as_deref());
        bytes
    }

    /// Reads what any version of this plugin wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, mut rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let upload = Self { key: pull(&mut rest)??, id: pull(&mut rest)??, write: pull(&mut rest)? };
        rest.is_empty().then_some(upload)
    }
}

/// The token of a stored part: its entity tag.
pub(crate) fn encode_part(etag: &str) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    push(&mut bytes, Some(etag));
    bytes
}

/// The entity tag in a part's token.
pub(crate) fn decode_part(bytes: &[u8]) -> Option<String> {
    let (format, mut rest) = bytes.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let etag = pull(&mut rest)??;
    rest.is_empty().then_some(etag)
}

fn push(bytes: &mut Vec<u8>, field: Option<&str>) {
    let length = field.map_or(ABSENT, |field| u16::try_from(field.len()).unwrap_or(ABSENT));
    bytes.extend_from_slice(&length.to_be_bytes());
    if length != ABSENT {
        bytes.extend_from_slice(field.unwrap_or_default().as_bytes());
    }
}

/// The outer absence is a broken encoding, the inner one an absent field.
fn pull(rest: &mut &[u8]) -> Option<Option<String>> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let length = u16::from_be_bytes(*length);
    if length == ABSENT {
        *rest = after;
        return Some(None);
    }
    let (field, after) = after.split_at_checked(usize::from(length))?;
    *rest = after;
    String::from_utf8(field.to_vec()).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator() -> Locator {
        Locator {
            key: "bucket/ключ".to_owned(),
            version: Some("v1".to_owned()),
            etag: "\"abc\"".to_owned(),
            write: None,
        }
    }

    #[test]
    fn a_locator_survives_its_encoding() {
        for version in [None, Some(String::new()), Some("3HL4kqtJ".to_owned())] {
            let locator = Locator { version, ..locator() };
            assert_eq!(Locator::decode(&locator.encode()), Some(locator));
        }
    }

    #[test]
    fn format_one_never_changes() {
        let bytes = b"\x01\x00\x03b/k\x00\x02v1\x00\x05\"abc\"\xff\xff";
        let read = Locator::decode(bytes).unwrap();
        assert_eq!((read.key.as_str(), read.version.as_deref(), read.etag.as_str()), ("b/k", Some("v1"), "\"abc\""));
        assert_eq!(read.write, None);
        assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn what_is_no_locator_is_refused() {
        let whole = locator().encode();
        for length in 0..whole.len() {
            assert_eq!(Locator::decode(&whole[..length]), None);
        }
        assert_eq!(Locator::decode(&[&whole[..], b"x"].concat()), None);
        assert_eq!(Locator::decode(&[&b"\x02"[..], &whole[1..]].concat()), None);
    }

    #[test]
    fn the_largest_locator_fits_the_contract() {
        let largest = Locator {
            key: "k".repeat(1024),
            version: Some("v".repeat(1024)),
            etag: "e".repeat(128),
            write: Some("0".repeat(32)),
        };
        assert!(largest.encode().len() <= 4096);
    }

    #[test]
    fn uploads_and_parts_survive_their_encoding() {
        let upload = Upload { key: "k".to_owned(), id: "u".to_owned(), write: Some("w".to_owned()) };
        assert_eq!(Upload::decode(&upload.encode()), Some(upload));
        assert_eq!(decode_part(&encode_part("\"e\"")), Some("\"e\"".to_owned()));
        assert_eq!(decode_part(b""), None);
    }
}
