//! What the host keeps of a stored object, an upload or a part.
//!
//! Each starts with a byte for its format and reads back in every later version.

use thiserror::Error;

/// The only format of locators so far.
const LOCATOR: u8 = 1;
/// The only format of uploads so far.
const UPLOAD: u8 = 1;
/// A part that is a block.
const PART: u8 = 1;
/// A part of no bytes, which Azure would refuse as a block.
const EMPTY_PART: u8 = 2;

/// Names stored bytes: a blob and what tells its content from any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locator {
    /// The blob's name.
    pub(crate) blob: String,
    /// Without its quotes. Changes with the metadata too, not only with the bytes.
    pub(crate) etag: String,
    /// The id of the write that made the blob: the same id under another etag means that
    /// only what is beside the bytes changed. Empty for a blob that Sallyport did not write.
    pub(crate) write_id: String,
}

/// A locator or token that this plugin did not make.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the {0} is not one of this plugin")]
pub(crate) struct Unreadable(&'static str);

impl Locator {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(LOCATOR, &[&self.etag, &self.write_id, &self.blob])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let [etag, write_id, blob] = decode(LOCATOR, bytes).ok_or(Unreadable("locator"))?;
        Ok(Self { blob, etag, write_id })
    }
}

/// Names an open upload: the blob that its parts wait at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) blob: String,
    pub(crate) write_id: String,
}

impl Upload {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(UPLOAD, &[&self.write_id, &self.blob])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let [write_id, blob] = decode(UPLOAD, bytes).ok_or(Unreadable("upload token"))?;
        Ok(Self { blob, write_id })
    }
}

/// Names a stored part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The id of its block, as Azure wants it.
    Block(String),
    /// A part of no bytes.
    Empty,
}

impl Part {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Block(id) => encode(PART, &[id]),
            Self::Empty => vec![EMPTY_PART],
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes == [EMPTY_PART] {
            return Ok(Self::Empty);
        }
        let [id] = decode(PART, bytes).ok_or(Unreadable("part token"))?;
        Ok(Self::Block(id))
    }
}

/// The format, then each field behind its length in two bytes.
fn encode(format: u8, fields: &[&str]) -> Vec<u8> {
    let mut bytes = vec![format];
    for field in fields {
        // Names have at most 3,072 bytes and everything else is shorter.
        let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(field.bytes().take(usize::from(length)));
    }
    bytes
}

fn decode<const FIELDS: usize>(format: u8, bytes: &[u8]) -> Option<[String; FIELDS]> {
    let (&found, mut rest) = bytes.split_first()?;
    if found != format {
        return None;
    }
    let mut fields = Vec::with_capacity(FIELDS);
    for _ in 0..FIELDS {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (field, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        fields.push(String::from_utf8(field.to_vec()).ok()?);
        rest = behind;
    }
    if rest.is_empty() { fields.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_locator_keeps_its_bytes_for_ever() {
        let locator = Locator { blob: "b/k".into(), etag: "0x8D".into(), write_id: "ab".into() };
        assert_eq!(locator.encode(), b"\x01\0\x040x8D\0\x02ab\0\x03b/k");
    }

    #[test]
    fn a_locator_of_the_longest_name_fits() {
        let locator = Locator { blob: "日".repeat(1024), etag: "0x8DE2A1B2C3D4E5F".into(), write_id: "a".repeat(32) };
        assert!(locator.encode().len() <= 4096);
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        let bytes = Locator { blob: "b/k".into(), etag: "e".into(), write_id: String::new() }.encode();
        for end in 0..bytes.len() {
            assert!(Locator::decode(&bytes[..end]).is_err());
        }
        assert!(Locator::decode(&[&bytes[..], b"x"].concat()).is_err());
        assert!(Locator::decode(b"\x07whatever").is_err());
    }

    proptest! {
        #[test]
        fn locators_read_back(blob in ".{1,300}", etag in "[0-9A-Fx]{0,20}", write_id in "[0-9a-f]{0,32}") {
            let locator = Locator { blob, etag, write_id };
            prop_assert_eq!(Locator::decode(&locator.encode()), Ok(locator));
        }

        #[test]
        fn uploads_read_back(blob in ".{1,300}", write_id in "[0-9a-f]{32}") {
            let upload = Upload { blob, write_id };
            prop_assert_eq!(Upload::decode(&upload.encode()), Ok(upload));
        }

        #[test]
        fn parts_read_back(id in "[A-Za-z0-9+/=]{28}") {
            for part in [Part::Block(id.clone()), Part::Empty] {
                prop_assert_eq!(Part::decode(&part.encode()), Ok(part));
            }
        }
    }
}
