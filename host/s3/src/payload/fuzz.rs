//! Decodes a chunked body for the fuzzer.

use super::chunks::Chunks;
use super::decoded::{Decoded, Decoder};
use crate::auth::SeedSignature;
use http_body_util::BodyExt;
use sallyport_core::Trailer;
use sallyport_core::body::{Body, BodyError, Refusal};
use sallyport_core::checksum::Algorithm;
use std::sync::Arc;
use std::time::Duration;

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it came.
    Whole { data: Vec<u8>, trailer: Option<String> },
    /// It is refused; the same reason may count differently far.
    Refused(&'static str),
}

/// Reads a body to its end. With trailers, the one of CRC32C is looked for.
pub(crate) async fn decode(body: Body, seed: Option<SeedSignature>, trailers: bool, size: Option<u64>) -> Outcome {
    let trailer = trailers.then(|| Trailer { algorithm: Algorithm::Crc32c, value: Arc::default() });
    let decoder = Decoder::Chunked { chunks: Box::new(Chunks::new(seed, trailers)), trailer: trailer.clone() };
    match Decoded::new(body, decoder, size, Duration::from_secs(60)).collect().await {
        Ok(data) => Outcome::Whole {
            data: data.to_bytes().to_vec(),
            trailer: trailer.and_then(|trailer| trailer.value.get().cloned()),
        },
        Err(BodyError::Refused(Refusal::Signature)) => Outcome::Refused("signature"),
        Err(BodyError::Refused(Refusal::Malformed(_))) => Outcome::Refused("framing"),
        Err(BodyError::Length { .. }) => Outcome::Refused("length"),
        Err(_) => Outcome::Refused("something else"),
    }
}
