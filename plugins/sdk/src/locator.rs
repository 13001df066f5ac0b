//! Encodes locators and tokens.
//!
//! A format byte, then fields in a fixed order. A later version of a plugin that needs other
//! fields takes the next format byte and goes on reading this one.

use crate::failure;
use crate::types::Failure;

/// The longest locator or token that the contract allows, in bytes.
pub const LONGEST: usize = 4096;

/// Puts a locator together.
#[derive(Clone, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts with the format byte.
    pub fn new(format: u8) -> Self {
        Self(vec![format])
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, mut number: u64) -> Self {
        // Seven bits a byte, the lowest first, as LEB128 has it.
        while number > 0x7f {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    /// Adds bytes with their length.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut longer = self.number(bytes.len() as u64);
        longer.0.extend_from_slice(bytes);
        longer
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a text that may be absent, which is not the same as empty.
    #[must_use]
    pub fn maybe_text(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.number(1).text(text),
            None => self.number(0),
        }
    }

    /// The locator.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a locator apart.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Answers the format byte with a reader of the fields behind it.
    pub fn new(locator: &'a [u8]) -> Result<(u8, Self), Failure> {
        let (format, rest) = locator.split_first().ok_or_else(broken)?;
        Ok((*format, Self(rest)))
    }

    /// Takes a number.
    pub fn number(&mut self) -> Result<u64, Failure> {
        let mut number = 0_u64;
        for position in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or_else(broken)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * position);
            if shifted >> (7 * position) != bits {
                return Err(broken());
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(broken())
    }

    /// Takes bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Failure> {
        let length = usize::try_from(self.number()?).map_err(|_| broken())?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Takes a text.
    pub fn text(&mut self) -> Result<&'a str, Failure> {
        std::str::from_utf8(self.bytes()?).map_err(|_| broken())
    }

    /// Takes a text that may be absent.
    pub fn maybe_text(&mut self) -> Result<Option<&'a str>, Failure> {
        match self.number()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(broken()),
        }
    }

    /// Makes sure that nothing is left.
    pub fn finish(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(broken()) }
    }
}

/// A locator or token of a format that this version does not know.
pub fn unknown_format(format: u8) -> Failure {
    failure::invalid(format!("a locator of the unknown format {format}"))
}

fn broken() -> Failure {
    failure::invalid("a locator that this plugin did not write")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reading_undoes_writing(
            format: u8, number: u64, text in ".*", absent in proptest::option::of(".*"),
        ) {
            let locator = Writer::new(format)
                .number(number)
                .text(&text)
                .maybe_text(absent.as_deref())
                .finish();
            let (read, mut reader) = Reader::new(&locator).unwrap();
            prop_assert_eq!(read, format);
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert_eq!(reader.text().unwrap(), text);
            prop_assert_eq!(reader.maybe_text().unwrap(), absent.as_deref());
            reader.finish().unwrap();
        }

        #[test]
        fn garbage_is_refused_without_a_panic(bytes: Vec<u8>) {
            if let Ok((_, mut reader)) = Reader::new(&bytes) {
                while reader.maybe_text().is_ok() {}
            }
        }
    }

    #[test]
    fn what_follows_the_last_field_is_refused() {
        let locator = Writer::new(1).text("a").text("b").finish();
        let (_, mut reader) = Reader::new(&locator).unwrap();
        assert_eq!(reader.text().unwrap(), "a");
        assert_eq!(reader.finish().unwrap_err().code, "invalid");
    }
}
