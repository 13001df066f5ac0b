//! Bodies that come in frames of chosen sizes, and a runtime to read them in.

use bytes::Bytes;
use sallyport_core::body::{self, Body, BodyError};
use std::future::Future;

/// A body in frames of these sizes, again and again; of one frame when there are none.
pub(super) fn cut(bytes: &[u8], sizes: &[usize]) -> Body {
    let frames: Vec<Result<Bytes, BodyError>> =
        pieces(bytes, sizes).into_iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    body::from_stream(futures::stream::iter(frames))
}

/// The pieces themselves; none is empty.
pub(super) fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut sizes = sizes.iter().copied().filter(|size| *size > 0).cycle();
    while !bytes.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX).min(bytes.len());
        let (piece, rest) = bytes.split_at(size);
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Runs a future that waits for nothing but itself.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: std::io::Result<tokio::runtime::Runtime> =
            tokio::runtime::Builder::new_current_thread().enable_time().build();
    }
    RUNTIME.with(|runtime| {
        #[expect(clippy::expect_used, reason = "without a runtime there is nothing to fuzz")]
        runtime.as_ref().expect("a runtime").block_on(work)
    })
}
