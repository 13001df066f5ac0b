//! Decides which file holds a write.
//!
//! The file of the write `w` is `ab/cd/w`, where `abcd` are the first four hexadecimal digits
//! of SHA-256 over `w`. A write id may begin with the time, its hash is spread evenly: 256
//! folders of 256 folders are 65,536 leaves, which hold 15 files each at a million of them,
//! 1,500 at a hundred million and 3,000 at two hundred million. Fewer leaves would grow beyond
//! a few thousand entries at a size that a disk holds; more would cost a folder per file.
//!
//! Bucket and key are not in the path: the write id is the file's identity, the database knows
//! what it belongs to, and a key of 1,024 bytes fits no file name.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::locator::{Reader, Writer, unknown_format};
use sallyport_plugin_sdk::types::{Failure, Locator};
use sha2::{Digest, Sha256};
use std::fmt;

/// The one format of locators so far: 16 bytes of write id, then the size.
const FORMAT: u8 = 1;

/// What a write is called: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteId([u8; 16]);

impl WriteId {
    /// Accepts what the contract allows and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let is_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (is_lower_case && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }

    /// Parses what the host sent.
    pub(crate) fn from_host(text: &str) -> Result<Self, Failure> {
        Self::parse(text).ok_or_else(|| failure::invalid("a write id is 32 lower-case hexadecimal digits"))
    }

    /// The write's file, below the location's folder.
    pub(crate) fn path(&self) -> String {
        let name = self.to_string();
        let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(name.as_bytes()));
        format!("{first:02x}/{second:02x}/{name}")
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// Whether a name can be that of a folder in either level.
pub(crate) fn is_folder(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) write: WriteId,
    pub(crate) size: u64,
}

impl Stored {
    pub(crate) fn locator(&self) -> Locator {
        Writer::new(FORMAT).bytes(&self.write.0).number(self.size).finish()
    }

    pub(crate) fn read(locator: &[u8]) -> Result<Self, Failure> {
        let (format, mut reader) = Reader::new(locator)?;
        if format != FORMAT {
            return Err(unknown_format(format));
        }
        let write =
            reader.bytes()?.try_into().map_err(|_| failure::invalid("a locator with a write id of another length"))?;
        let size = reader.number()?;
        reader.finish()?;
        Ok(Self { write: WriteId(write), size })
    }

    /// A file of another size was changed behind our back.
    pub(crate) fn verify_size(&self, found: u64) -> Result<(), Failure> {
        if found == self.size {
            Ok(())
        } else {
            Err(failure::changed(format!("{} has {found} bytes instead of {}", self.write.path(), self.size)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_path_is_two_folders_and_the_write_id() {
        let path = WriteId::parse(ID).unwrap().path();
        let segments: Vec<&str> = path.split('/').collect();
        assert!(is_folder(segments[0]) && is_folder(segments[1]), "{path}");
        assert_eq!(segments[2], ID);
        assert_eq!(segments.len(), 3);
    }

    #[test]
    fn the_layout_is_the_same_for_ever() {
        // Files that exist are where SHA-256 of their write id put them: 84e0….
        let zero = WriteId::parse("00000000000000000000000000000000").unwrap();
        assert_eq!(zero.path(), "84/e0/00000000000000000000000000000000");
    }

    #[test]
    fn what_is_no_write_id_names_no_file() {
        for text in ["", "0", "../../etc/passwd", &ID.to_uppercase(), &format!("{ID}0")] {
            assert_eq!(WriteId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ids_that_count_up_are_spread_evenly() {
        let mut leaves: HashMap<String, u32> = HashMap::new();
        for number in 0..65_536_u128 {
            let path = WriteId(number.to_be_bytes()).path();
            *leaves.entry(path[..5].to_owned()).or_default() += 1;
        }
        // One file per leaf on average: 63 % of the leaves are in use, none has many.
        assert!(leaves.values().all(|files| *files <= 12));
        assert!(leaves.len() > 40_000);
    }

    #[test]
    fn a_locator_of_a_later_format_is_refused_by_its_number() {
        let failure = Stored::read(&[9, 1, 2]).unwrap_err();
        assert_eq!(failure.code, "invalid");
        assert!(failure.message.contains('9'));
    }

    #[test]
    fn a_file_of_another_size_was_changed() {
        let stored = Stored { write: WriteId::parse(ID).unwrap(), size: 5 };
        assert_eq!(stored.verify_size(5), Ok(()));
        assert_eq!(stored.verify_size(4).unwrap_err().code, "changed");
    }

    proptest! {
        #[test]
        fn a_locator_reads_as_what_was_stored(id: [u8; 16], size: u64) {
            let stored = Stored { write: WriteId(id), size };
            prop_assert_eq!(Stored::read(&stored.locator()).unwrap(), stored);
        }

        #[test]
        fn a_write_id_reads_as_it_is_shown(id: [u8; 16]) {
            let id = WriteId(id);
            prop_assert_eq!(WriteId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn garbage_is_no_locator(bytes: Vec<u8>) {
            if let Ok(stored) = Stored::read(&bytes) {
                prop_assert_eq!(Stored::read(&stored.locator()).unwrap(), stored);
            }
        }
    }
}
