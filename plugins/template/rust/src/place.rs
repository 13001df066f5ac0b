//! Where the file of a write is, and what its locator says.

use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::Origin;
use sallyport_plugin_sdk::locator::{Reader, Writer, unknown_format};
use sallyport_plugin_sdk::types::{Failure, Locator};
use std::fmt;

/// The one format of locators so far: the write id, then the size. A later one takes the next
/// number, and this one is read for ever.
const FORMAT: u8 = 1;

/// The collection below which all files are.
pub struct Root {
    origin: Origin,
    path: String,
}

impl Root {
    /// The path begins with a slash, or is empty for the server's own.
    pub fn new(origin: Origin, path: &str) -> Self {
        Self { origin, path: format!("{}/", path.trim_end_matches('/')) }
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Ends with a slash, as that of every collection.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of one of 256 collections, so that none grows beyond what a server lists.
    pub fn shard<'a>(&self, stored: &'a Stored) -> &'a str {
        stored.write_id.get(30..).unwrap_or("00")
    }

    /// Whether a collection may be one of them.
    pub fn is_shard(name: &str) -> bool {
        name.len() == 2 && name.bytes().all(is_digit)
    }

    /// The path of a write's collection.
    pub fn collection(&self, stored: &Stored) -> String {
        format!("{}{}/", self.path, self.shard(stored))
    }

    /// The write's file.
    pub fn file(&self, stored: &Stored) -> String {
        format!("{}{}", self.collection(stored), stored.write_id)
    }

    /// Where the file is until it is whole.
    pub fn unfinished(&self, stored: &Stored) -> String {
        format!("{}{}.unfinished", self.path, stored.write_id)
    }

    /// A path of this server as a URL.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin, self.path.trim_end_matches('/'))
    }
}

/// The bytes of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    write_id: String,
    pub size: u64,
}

impl Stored {
    /// Accepts what the contract allows as a write id and nothing else: it becomes part of a path.
    pub fn new(write_id: &str, size: u64) -> Result<Self, Failure> {
        if write_id.len() != 32 || !write_id.bytes().all(is_digit) {
            return Err(failure::invalid("a write id is 32 lower-case hexadecimal digits"));
        }
        Ok(Self { write_id: write_id.to_owned(), size })
    }

    pub fn write_id(&self) -> &str {
        &self.write_id
    }

    pub fn locator(&self) -> Locator {
        Writer::new(FORMAT).text(&self.write_id).number(self.size).finish()
    }

    pub fn read(locator: &[u8]) -> Result<Self, Failure> {
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
    pub fn verify_size(&self, found: u64) -> Result<(), Failure> {
        if found == self.size {
            return Ok(());
        }
        Err(failure::changed(format!("{} has {found} bytes instead of {}", self.write_id, self.size)))
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn root(path: &str) -> Root {
        Root::new(Origin::parse("http://127.0.0.1:8080", true).unwrap().0, path)
    }

    #[test]
    fn a_write_has_a_file_of_its_own() {
        let stored = Stored::new(ID, 5).unwrap();
        assert_eq!(root("/store").file(&stored), format!("/store/ef/{ID}"));
        assert_eq!(root("").file(&stored), format!("/ef/{ID}"));
        assert_eq!(root("/store").unfinished(&stored), format!("/store/{ID}.unfinished"));
    }

    #[test]
    fn a_shard_has_two_digits() {
        assert!(Root::is_shard("0f"));
        for name in ["", "0", "0F", "000", "..", "é"] {
            assert!(!Root::is_shard(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_write_id_names_no_file() {
        for id in ["", "../../etc/passwd", &ID.to_uppercase(), &format!("{ID}0")] {
            assert!(Stored::new(id, 0).is_err(), "{id}");
        }
    }

    #[test]
    fn a_locator_reads_as_what_was_stored() {
        let stored = Stored::new(ID, 1 << 40).unwrap();
        assert_eq!(Stored::read(&stored.locator()), Ok(stored));
        assert_eq!(Stored::read(&[9, 1, 2]).unwrap_err().code, "invalid");
    }

    #[test]
    fn a_file_of_another_size_was_changed() {
        let stored = Stored::new(ID, 5).unwrap();
        assert_eq!(stored.verify_size(4).unwrap_err().code, "changed");
    }
}
