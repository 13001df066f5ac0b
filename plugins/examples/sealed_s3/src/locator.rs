//! What a locator of this plugin says: that of `aws_s3`, and how the bytes it names were sealed.
//!
//! Since the server keeps locators, an object's nonce is not believed from the bucket: bytes that were sealed for
//! another object do not open here, whoever moved them.

use crate::sealing::Header;
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::locator::{Reader, Writer, unknown_format};
use sallyport_plugin_sdk::types::Failure;

/// The one format of locators so far.
const FORMAT: u8 = 1;

/// Stored bytes, and how to open them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locator {
    /// What `aws_s3` calls them.
    pub(crate) stored: Vec<u8>,
    /// As it stands in front of them.
    pub(crate) header: Header,
}

impl Locator {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::new(FORMAT).bytes(&self.stored).bytes(&self.header.encode()).finish()
    }

    pub(crate) fn decode(locator: &[u8]) -> Result<Self, Failure> {
        let (format, mut reader) = Reader::new(locator)?;
        if format != FORMAT {
            return Err(unknown_format(format));
        }
        let stored = reader.bytes()?.to_vec();
        let header = Header::decode(reader.bytes()?);
        reader.finish()?;
        let header = header.ok_or_else(|| failure::invalid("a locator with a header of an unknown format"))?;
        Ok(Self { stored, header })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::{KeyId, NONCE};

    #[test]
    fn a_locator_reads_as_it_was_written() {
        let header = Header::new(KeyId::new("k1").unwrap(), &[5; NONCE]).unwrap();
        let locator = Locator { stored: b"\x01of another".to_vec(), header };
        assert_eq!(Locator::decode(&locator.encode()), Ok(locator.clone()));
        let mut newer = locator.encode();
        newer[0] = 2;
        assert_eq!(Locator::decode(&newer).unwrap_err().code, "invalid");
        assert!(Locator::decode(&locator.encode()[..10]).is_err());
    }
}
