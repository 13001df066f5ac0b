//! Chunks: how a run of plain bytes is cut and sealed.

use super::keys::CipherFailure;
use bytes::BytesMut;
use ring::aead::{Aad, LessSafeKey, Nonce, Tag, UnboundKey};

/// Plain bytes of every chunk but the last.
pub const CHUNK: u64 = 64 << 10;
/// Bytes that sealing adds to each chunk.
pub const TAG: u64 = 16;

/// How many bytes a run of `size` plain bytes has when it is sealed.
pub fn sealed_size(size: u64) -> u64 {
    size.saturating_add(chunk_count(size).saturating_mul(TAG))
}

/// How many chunks a run has; an empty one has one, so that its emptiness is authentic.
pub(super) fn chunk_count(size: u64) -> u64 {
    size.div_ceil(CHUNK).max(1)
}

/// Plain bytes of a chunk of a run of `size`.
pub(super) fn chunk_length(size: u64, index: u64) -> u64 {
    size.saturating_sub(index.saturating_mul(CHUNK)).min(CHUNK)
}

/// Where a chunk is in its run; a chunk opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    index: u64,
    is_last: bool,
}

impl Position {
    /// The position of a chunk of a run of `size` plain bytes.
    pub fn of(size: u64, index: u64) -> Self {
        Self { index, is_last: index.saturating_add(1) == chunk_count(size) }
    }

    // A run's key is used for this run only, so a counter is as unique as a nonce has to be.
    fn nonce(self) -> Nonce {
        let mut nonce = [0; 12];
        let (head, counter) = nonce.split_at_mut(4);
        if let Some(flag) = head.last_mut() {
            *flag = u8::from(self.is_last);
        }
        counter.copy_from_slice(&self.index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Seals and opens the chunks of one run.
pub struct RunCipher(LessSafeKey);

impl RunCipher {
    pub(super) fn new(key: UnboundKey) -> Self {
        Self(LessSafeKey::new(key))
    }

    /// Seals a chunk in its place and adds its tag.
    ///
    /// # Errors
    /// When the chunk is larger than the cipher takes, which no chunk is.
    pub fn seal(&self, position: Position, chunk: &mut BytesMut) -> Result<(), CipherFailure> {
        let tag = self.0.seal_in_place_separate_tag(position.nonce(), Aad::empty(), chunk)?;
        chunk.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens a sealed chunk in its place and takes its tag away.
    ///
    /// # Errors
    /// When it is not exactly what was sealed at this position of this run.
    pub fn open(&self, position: Position, chunk: &mut BytesMut) -> Result<(), CipherFailure> {
        let length = chunk.len().checked_sub(TAG as usize).ok_or(CipherFailure)?;
        let tag = chunk.split_off(length);
        let tag = Tag::try_from(tag.as_ref()).map_err(|_| CipherFailure)?;
        self.0.open_in_place_separate_tag(position.nonce(), Aad::empty(), tag, chunk, 0..)?;
        Ok(())
    }
}

impl std::fmt::Debug for RunCipher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("RunCipher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_costs_one_tag() {
        assert_eq!(sealed_size(0), 16);
        assert_eq!(sealed_size(1), 17);
        assert_eq!(sealed_size(CHUNK), CHUNK + 16);
        assert_eq!(sealed_size(CHUNK + 1), CHUNK + 33);
    }

    #[test]
    fn only_the_last_chunk_is_the_last() {
        assert!(Position::of(0, 0).is_last);
        assert!(Position::of(CHUNK, 0).is_last);
        assert!(!Position::of(CHUNK + 1, 0).is_last);
        assert!(Position::of(CHUNK + 1, 1).is_last);
    }
}
