//! Bytes to store and bodies that behave in one way or another.

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sallyport_core::body::{self, Body, BodyError};
use std::time::Duration;

/// Bytes in which every position differs from its neighbours and every seed from every other.
pub(crate) fn pattern(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // Xorshift: no position can be told from noise, and a run costs nothing.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// A body in frames of a size.
pub(crate) fn in_frames(bytes: &Bytes, frame: usize) -> Body {
    body::from_stream(frames(bytes.clone(), frame).map(Ok))
}

/// A body that pauses before each frame.
pub(crate) fn slow(bytes: &Bytes, frame: usize, pause: Duration) -> Body {
    let paused = frames(bytes.clone(), frame).then(move |bytes| async move {
        tokio::time::sleep(pause).await;
        Ok(bytes)
    });
    body::from_stream(paused)
}

/// A body of which only some bytes come, and then an error.
pub(crate) fn broken(bytes: &Bytes, after: usize) -> Body {
    let sent = frames(bytes.slice(..after.min(bytes.len())), 16_384).map(Ok);
    let end = stream::once(async { Err(BodyError::Client("the kit breaks it off".to_owned())) });
    body::from_stream(sent.chain(end))
}

/// A body of which only some bytes come, and then nothing for ever.
pub(crate) fn stuck(bytes: &Bytes, after: usize) -> Body {
    let sent = frames(bytes.slice(..after.min(bytes.len())), 16_384).map(Ok);
    body::from_stream(sent.chain(stream::pending()))
}

fn frames(bytes: Bytes, frame: usize) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(bytes, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        let next = left.split_to(frame.min(left.len()));
        Some((next, left))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_body_in_frames_is_the_same_bytes() {
        let bytes = pattern(7, 1000);
        let body = in_frames(&bytes, 7).collect().await.unwrap();
        assert_eq!(body.to_bytes(), bytes);
    }

    #[tokio::test]
    async fn a_broken_body_ends_with_an_error() {
        assert!(broken(&pattern(7, 1000), 500).collect().await.is_err());
    }

    #[test]
    fn seeds_and_positions_differ() {
        assert_ne!(pattern(1, 64), pattern(2, 64));
        let bytes = pattern(1, 64);
        assert_ne!(bytes.slice(..32), bytes.slice(32..));
    }
}
