//! Bodies that are larger than a backend takes at once, as several native streams.

use super::Gateway;
use super::write::Begin;
use crate::backend::{
    BackendError, CompleteUpload, CompletedPart, CreateUpload, Digest, FailureCode, Projection, PutPart, Stored, Token,
    Traits,
};
use crate::body::{Body, BodyError};
use crate::error::Error;
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Largest part that S3 lets a client send, in bytes.
const CLIENT_PART: u64 = 5 << 30;

/// A body that is handed out piece by piece.
pub(super) struct Splitter {
    rest: Arc<Mutex<(Body, Option<Bytes>)>>,
}

impl Splitter {
    pub(super) fn new(body: Body) -> Self {
        Self { rest: Arc::new(Mutex::new((body, None))) }
    }

    /// The next `length` bytes as a body. One piece at a time is read.
    pub(super) fn piece(&self, length: u64) -> Body {
        let rest = Arc::clone(&self.rest);
        crate::body::from_stream(stream::try_unfold((rest, length), |(rest, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut guard = rest.lock().await;
            let Some(mut bytes) = next_bytes(&mut guard).await? else {
                return Ok(None);
            };
            let wanted = usize::try_from(left).unwrap_or(usize::MAX);
            if bytes.len() > wanted {
                guard.1 = Some(bytes.split_off(wanted));
            }
            drop(guard);
            let left = left - bytes.len() as u64;
            Ok(Some((bytes, (rest, left))))
        }))
    }

    /// Reads to the end, so that what follows the last byte is checked too.
    pub(super) async fn finish(&self) -> Result<(), BodyError> {
        let mut guard = self.rest.lock().await;
        while let Some(bytes) = next_bytes(&mut guard).await? {
            if !bytes.is_empty() {
                return Err(BodyError::Client("more bytes than announced".to_owned()));
            }
        }
        Ok(())
    }
}

async fn next_bytes(rest: &mut (Body, Option<Bytes>)) -> Result<Option<Bytes>, BodyError> {
    if let Some(bytes) = rest.1.take() {
        return Ok(Some(bytes));
    }
    while let Some(frame) = rest.0.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Lengths of the pieces of `size` bytes: as few as the backend allows, alike but the last.
pub(super) fn pieces(size: u64, largest: u64) -> Vec<u64> {
    if size == 0 || largest == 0 {
        return vec![size];
    }
    let count = size.div_ceil(largest);
    let each = size.div_ceil(count);
    (0..count).map(|index| each.min(size - index * each)).collect()
}

/// How many backend parts one client part may need, so that numbers never meet.
fn pieces_per_part(traits: &Traits) -> u32 {
    u32::try_from(CLIENT_PART.div_ceil(traits.max_part.max(1))).unwrap_or(u32::MAX)
}

/// The number of a client's part's first piece on the backend.
fn first_piece(number: u32, traits: &Traits) -> u32 {
    number.saturating_sub(1).saturating_mul(pieces_per_part(traits)).saturating_add(1)
}

/// Refuses a part for which the backend has no numbers left.
pub(super) fn check_number(number: u32, size: u64, traits: &Traits) -> Result<(), Error> {
    let pieces = size.div_ceil(traits.max_part.max(1)).max(1);
    if u64::from(first_piece(number, traits)) + pieces - 1 <= u64::from(traits.max_parts) {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        argument: "partNumber",
        message: "The object's location does not take a part of this number and size".to_owned(),
    })
}

/// The largest part that is stored without taking the numbers of the next one.
pub(super) fn largest_part(traits: &Traits) -> u64 {
    traits.max_part.saturating_mul(u64::from(pieces_per_part(traits)))
}

/// A client's part on the backend.
pub(super) struct Pieces {
    /// Number, token and size of each backend part.
    pub(super) parts: Vec<(u32, Token, u64)>,
    /// What the backend computed of the whole, where it got it as one.
    pub(super) checksums: Vec<Digest>,
}

/// Stores a client's part in as many backend parts as it takes.
pub(super) async fn put_part(
    backend: &dyn crate::backend::Backend,
    upload: &Token,
    number: u32,
    size: u64,
    body: Body,
) -> Result<Pieces, BackendError> {
    put_pieces(backend, upload, first_piece(number, backend.traits()), size, body).await
}

async fn put_pieces(
    backend: &dyn crate::backend::Backend,
    upload: &Token,
    first: u32,
    size: u64,
    body: Body,
) -> Result<Pieces, BackendError> {
    let lengths = pieces(size, backend.traits().max_part);
    if let [size] = lengths.as_slice() {
        let request = PutPart { upload: upload.clone(), number: first, size: *size, checksums: Vec::new() };
        let stored = backend.put_part(request, body).await?;
        return Ok(Pieces { parts: vec![(first, stored.part, *size)], checksums: stored.checksums });
    }
    let splitter = Splitter::new(body);
    let mut stored = Vec::with_capacity(lengths.len());
    for (number, length) in (first..).zip(lengths) {
        let request = PutPart { upload: upload.clone(), number, size: length, checksums: Vec::new() };
        let part = backend.put_part(request, splitter.piece(length)).await?;
        stored.push((number, part.part, length));
    }
    splitter.finish().await?;
    Ok(Pieces { parts: stored, checksums: Vec::new() })
}

impl Gateway {
    /// Stores an object that is too large for one put through an upload of the backend's. When
    /// that fails, taking the write back aborts the upload.
    pub(super) async fn put_in_parts(
        &self,
        begun: &Begin,
        object: &Projection,
        size: u64,
        body: Body,
    ) -> Result<Stored, BackendError> {
        let traits = begun.backend.traits();
        let backend = begun.backend.as_ref();
        if !traits.multipart || size.div_ceil(traits.max_part.max(1)) > u64::from(traits.max_parts) {
            let message = format!("{size} bytes are more than the {} it takes", traits.max_put);
            return Err(BackendError::Answered { code: FailureCode::TooLarge, message, retry_after: None });
        }
        let request = CreateUpload { name: begun.name.clone(), write_id: begun.id.clone(), object: object.clone() };
        let upload = backend.create_upload(request).await?;
        if let Err(error) = self.metadata.note_upload(&begun.id, &upload).await {
            // Best effort: nobody else knows of it.
            let _ = backend.abort_upload(&upload).await;
            return Err(BackendError::Broke(format!("its upload could not be noted: {error}")));
        }
        let parts = put_pieces(backend, &upload, 1, size, body).await?;
        let parts = parts.parts.into_iter().map(|(number, part, size)| CompletedPart { number, part, size }).collect();
        backend.complete_upload(CompleteUpload { upload, parts, size }).await.map_err(not_the_clients)
    }
}

/// The upload and its parts are the gateway's own: when the backend finds them gone or wrong, the
/// object is not.
fn not_the_clients(error: BackendError) -> BackendError {
    match error {
        BackendError::Answered {
            code: FailureCode::NotFound | FailureCode::Changed | FailureCode::TooSmall,
            message,
            retry_after,
        } => BackendError::Answered { code: FailureCode::Unavailable, message, retry_after },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up() {
        for (size, largest) in [(0, 4), (4, 4), (5, 4), (9, 4), (100, 7), (10, 0)] {
            let pieces = pieces(size, largest);
            assert_eq!(pieces.iter().sum::<u64>(), size);
            assert!(largest == 0 || pieces.iter().all(|piece| *piece <= largest));
        }
    }

    #[test]
    fn a_part_needs_numbers_that_the_backend_has() {
        let traits = Traits {
            max_put: 5 << 30,
            min_part: 0,
            max_part: 4 << 30,
            max_parts: 1_000,
            keeps_overwritten: true,
            uploads_expire_after: None,
            multipart: true,
            copy: false,
            tagging: false,
            versions: false,
            listing: false,
            target: String::new(),
        };
        check_number(500, 5 << 30, &traits).unwrap();
        assert!(matches!(check_number(501, 1, &traits), Err(Error::InvalidArgument { argument: "partNumber", .. })));
        let odd = Traits { max_parts: 999, ..traits };
        check_number(500, 4 << 30, &odd).unwrap();
        assert!(check_number(500, 5 << 30, &odd).is_err());
    }

    #[tokio::test]
    async fn pieces_hold_the_bytes_in_order() {
        let chunks = [&b"abc"[..], b"defgh", b"ij"].map(|chunk| Ok(Bytes::from_static(chunk)));
        let splitter = Splitter::new(crate::body::from_stream(stream::iter(chunks)));
        let mut all = Vec::new();
        for length in [4, 4, 2] {
            let piece = splitter.piece(length).collect().await.unwrap().to_bytes();
            assert_eq!(piece.len() as u64, length);
            all.extend_from_slice(&piece);
        }
        splitter.finish().await.unwrap();
        assert_eq!(all, b"abcdefghij");
    }
}
