//! The stream of an object's bytes, from socket to backend.

use bytes::Bytes;
use futures::Stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use std::convert::Infallible;

/// A body on its way; every frame is data. Its length travels beside it.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body ended before its last byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client went away or sent something that is not HTTP.
    #[error("the client's body broke off: {0}")]
    Client(String),
    /// The client sent nothing for longer than the idle limit.
    #[error("the client's body stalled")]
    Idle,
    /// The client's body contradicts what its headers or trailers said of it.
    #[error("the client's body is refused: {0}")]
    Refused(Refusal),
    /// The backend's body broke off.
    #[error("the backend's body broke off: {0}")]
    Backend(String),
    /// More or fewer bytes came than were announced.
    #[error("{actual} bytes came where {expected} were announced")]
    Length {
        /// Announced, in bytes.
        expected: u64,
        /// Counted until the body ended or overran, in bytes.
        actual: u64,
    },
}

/// How a body contradicts its announcement; each has its own S3 error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Content-MD5 or a checksum differs.
    #[error("the {0} that was sent does not match the bytes")]
    Digest(String),
    /// `x-amz-content-sha256` differs.
    #[error("x-amz-content-sha256 does not match the bytes")]
    ContentSha256,
    /// A chunk's or trailer's signature differs.
    #[error("a chunk's signature does not match")]
    Signature,
    /// The aws-chunked framing is broken.
    #[error("the chunked encoding is malformed: {0}")]
    Malformed(String),
}

/// A body of bytes that are in memory already.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body of no bytes.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body from a stream of chunks.
pub fn from_stream(stream: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static) -> Body {
    use futures::StreamExt;
    StreamBody::new(stream.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}
