//! A data file of a report in the making: compressed lines, in memory.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// Compressed lines. Its owner ends it when it is large enough, so that it is never more.
pub(crate) struct DataFile {
    encoder: GzEncoder<Vec<u8>>,
    is_empty: bool,
}

impl DataFile {
    /// One without lines.
    pub(crate) fn new() -> Self {
        Self { encoder: GzEncoder::new(Vec::new(), Compression::default()), is_empty: true }
    }

    /// Adds a line, with its end.
    pub(crate) fn add(&mut self, line: &str) -> io::Result<()> {
        self.is_empty = false;
        self.encoder.write_all(line.as_bytes())
    }

    /// Whether it has no line.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Compressed bytes so far, but for some that the compressor still holds.
    pub(crate) fn size(&self) -> u64 {
        self.encoder.get_ref().len() as u64
    }

    /// All of it.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        self.encoder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_was_added_comes_out_again() {
        let mut file = DataFile::new();
        assert!(file.is_empty());
        for number in 0..10_000 {
            file.add(&format!("line {number}\n")).unwrap();
        }
        assert!(!file.is_empty() && file.size() > 0);
        let bytes = file.finish().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 10_000);
        assert!(text.ends_with("line 9999\n"));
    }
}
