//! Decides which file holds a write.
//!
//! The file of the write `w` is `abc/w`, where `abc` is the second in which the write began, as
//! its id tells, modulo 4,096 in hexadecimal. Writes that come together share a folder, which a
//! file system makes once and syncs once for all of them: twice as many small writes fit into a
//! second as with folders that are spread evenly. After 68 minutes the folders are used again, so
//! there are never more than 4,096, of 2,400 files each at ten million of them.
//!
//! Bucket and key are not in the path: the write id is the file's identity, the database knows
//! what it belongs to, and a key of 1,024 bytes fits no file name.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::locator::{Reader, Writer, unknown_format};
use sallyport_plugin_sdk::types::{Failure, Locator};
use std::fmt;

/// How many folders there are at most.
const FOLDERS: u64 = 4096;
/// The one format of locators so far: 16 bytes of write id, then the size.
const FORMAT: u8 = 1;

/// What a write is called: 32 lower-case hexadecimal digits, the first 12 of which are the
/// milliseconds since 1970 when it began.
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
        let [a, b, c, d, e, f, ..] = self.0;
        let began = u64::from_be_bytes([0, 0, a, b, c, d, e, f]) / 1000;
        format!("{:03x}/{self}", began % FOLDERS)
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// Whether a name can be that of a folder.
pub(crate) fn is_folder(name: &str) -> bool {
    name.len() == 3 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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
    fn a_path_is_a_folder_and_the_write_id() {
        let path = WriteId::parse(ID).unwrap().path();
        let (folder, name) = path.split_once('/').unwrap();
        assert!(is_folder(folder), "{path}");
        assert_eq!(name, ID);
    }

    #[test]
    fn the_layout_is_the_same_for_ever() {
        // Files that exist are where these put them.
        let zero = WriteId::parse("00000000000000000000000000000000").unwrap();
        assert_eq!(zero.path(), "000/00000000000000000000000000000000");
        let id = format!("{:012x}00000000000000000000", 1_795_649_400_999_u64);
        assert_eq!(WriteId::parse(&id).unwrap().path(), format!("{:03x}/{id}", 1_795_649_400 % 4096));
    }

    #[test]
    fn what_is_no_write_id_names_no_file() {
        for text in ["", "0", "../../etc/passwd", &ID.to_uppercase(), &format!("{ID}0")] {
            assert_eq!(WriteId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_steady_stream_fills_all_folders_alike() {
        // One write in each tenth of a second, for three times around.
        let mut folders: HashMap<String, u32> = HashMap::new();
        for tenth in 0..3 * 4096 * 10_u128 {
            let path = WriteId(((1_795_649_400_000 + tenth * 100) << 80).to_be_bytes()).path();
            *folders.entry(path[..3].to_owned()).or_default() += 1;
        }
        assert_eq!(folders.len(), 4096);
        assert!(folders.values().all(|files| *files == 30));
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
