//! Where the file of a write is, and what its locator says.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::locator::{Reader, Writer, unknown_format};
use sallyport_plugin_sdk::types::{Failure, Locator};

/// The one format of locators so far: the write id, then the size. A later one takes the next number, and this one is
/// read for ever.
const FORMAT: u8 = 1;

/// The bytes of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    write_id: String,
    pub(crate) size: u64,
}

impl Stored {
    /// Accepts what the contract allows as a write id and nothing else: it becomes part of a path.
    pub(crate) fn new(write_id: &str, size: u64) -> Result<Self, Failure> {
        if write_id.len() != 32 || !write_id.bytes().all(is_digit) {
            return Err(failure::invalid("a write id is 32 lower-case hexadecimal digits"));
        }
        Ok(Self { write_id: write_id.to_owned(), size })
    }

    pub(crate) fn write_id(&self) -> &str {
        &self.write_id
    }

    /// The name of one of 256 folders, so that none grows beyond what a service lists.
    pub(crate) fn shard(&self) -> &str {
        self.write_id.get(30..).unwrap_or_default()
    }

    /// The write's file, below the root.
    pub(crate) fn file(&self) -> String {
        format!("{}/{}", self.shard(), self.write_id)
    }

    /// Where the file is until it is whole, on a service that shows what is half written.
    pub(crate) fn unfinished(&self) -> String {
        format!("{}.unfinished", self.write_id)
    }

    pub(crate) fn locator(&self) -> Locator {
        Writer::new(FORMAT).text(&self.write_id).number(self.size).finish()
    }

    pub(crate) fn read(locator: &[u8]) -> Result<Self, Failure> {
        let (format, mut reader) = Reader::new(locator)?;
        if format != FORMAT {
            return Err(unknown_format(format));
        }
        let write_id = reader.text()?;
        let size = reader.number()?;
        reader.finish()?;
        Self::new(write_id, size)
    }

    /// A file of another size was changed behind our back.
    pub(crate) fn verify_size(&self, found: u64) -> Result<(), Failure> {
        if found == self.size {
            return Ok(());
        }
        Err(failure::changed(format!("{} has {found} bytes instead of {}", self.write_id, self.size)))
    }
}

/// Whether a folder may be a shard.
pub(crate) fn is_shard(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_write_has_a_file_of_its_own() {
        let stored = Stored::new(ID, 5).unwrap();
        assert_eq!(stored.file(), format!("ef/{ID}"));
        assert_eq!(stored.unfinished(), format!("{ID}.unfinished"));
        assert!(is_shard(stored.shard()));
    }

    #[test]
    fn what_is_no_write_id_names_no_file() {
        for id in ["", "../../etc/passwd", &ID.to_uppercase(), &format!("{ID}0"), "é123456789abcdef0123456789abcde"] {
            assert!(Stored::new(id, 0).is_err(), "{id}");
        }
    }

    #[test]
    fn a_locator_reads_as_what_was_stored() {
        let stored = Stored::new(ID, 1 << 40).unwrap();
        assert_eq!(Stored::read(&stored.locator()), Ok(stored));
        for broken in [&b""[..], &[9, 1, 2], &[1], &[1, 32]] {
            assert_eq!(Stored::read(broken).unwrap_err().code, "invalid");
        }
    }

    #[test]
    fn a_file_of_another_size_was_changed() {
        let stored = Stored::new(ID, 5).unwrap();
        assert_eq!(stored.verify_size(4).unwrap_err().code, "changed");
    }
}
