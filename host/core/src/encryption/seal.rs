//! Seals a body on its way to a backend.

use super::chunks::{CHUNK, Position, RunCipher, TAG, chunk_count, chunk_length};
use super::keys::CipherFailure;
use crate::body::{self, Body, BodyError};
use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use http_body_util::BodyExt;

/// Wraps a body of exactly `size` bytes. The last chunk leaves when the body has ended
/// without an error, so that one which is cut off is never whole.
pub fn seal(body: Body, cipher: RunCipher, size: u64) -> Body {
    let state = Sealing { body, cipher, size, index: 0, counted: 0, rest: Bytes::new() };
    body::from_stream(stream::try_unfold(state, |mut state| async move {
        Ok(state.next().await?.map(|chunk| (chunk, state)))
    }))
}

/// Seals bytes that are in memory already.
///
/// # Errors
/// None in practice: see [`RunCipher::seal`].
pub fn seal_whole(bytes: &[u8], cipher: &RunCipher) -> Result<Bytes, CipherFailure> {
    let size = bytes.len() as u64;
    let mut sealed = BytesMut::new();
    for index in 0..chunk_count(size) {
        let from = usize::try_from(index * CHUNK).map_err(|_| CipherFailure)?;
        let length = usize::try_from(chunk_length(size, index)).map_err(|_| CipherFailure)?;
        let mut chunk = BytesMut::from(bytes.get(from..from + length).ok_or(CipherFailure)?);
        cipher.seal(Position::of(size, index), &mut chunk)?;
        sealed.unsplit(chunk);
    }
    Ok(sealed.freeze())
}

struct Sealing {
    body: Body,
    cipher: RunCipher,
    size: u64,
    index: u64,
    /// Plain bytes that came.
    counted: u64,
    /// What came and belongs to later chunks.
    rest: Bytes,
}

impl Sealing {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.index == chunk_count(self.size) {
            return Ok(None);
        }
        let length = usize::try_from(chunk_length(self.size, self.index)).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::with_capacity(length.saturating_add(TAG as usize));
        while chunk.len() < length {
            if self.rest.is_empty() && !self.read().await? {
                return Err(BodyError::Length { expected: self.size, actual: self.counted });
            }
            let taken = self.rest.len().min(length - chunk.len());
            chunk.extend_from_slice(self.rest.get(..taken).unwrap_or_default());
            self.rest.advance(taken);
        }
        let position = Position::of(self.size, self.index);
        self.index += 1;
        if self.index == chunk_count(self.size) {
            while self.counted <= self.size && self.read().await? {}
            if self.counted > self.size {
                return Err(BodyError::Length { expected: self.size, actual: self.counted });
            }
        }
        self.cipher.seal(position, &mut chunk).map_err(|error| BodyError::Backend(error.to_string()))?;
        Ok(Some(chunk.freeze()))
    }

    /// Whether more came, perhaps of no bytes.
    async fn read(&mut self) -> Result<bool, BodyError> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        if let Ok(data) = frame?.into_data() {
            self.counted += data.len() as u64;
            self.rest = data;
        }
        Ok(true)
    }
}
