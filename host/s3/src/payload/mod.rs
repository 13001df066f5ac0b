//! Bodies of requests: what their headers announce, and the decoding that follows from it.

mod chunks;
mod decoded;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

use crate::auth::{Head, Identity};
use crate::error::{Code, S3Error};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chunks::Chunks;
use decoded::{Decoded, Decoder};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use md5::Md5;
use sallyport_core::body::Body;
use sallyport_core::checksum::Algorithm;
use sallyport_core::{Incoming, Trailer};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// What a request's headers say of its body.
#[derive(Debug)]
pub(crate) struct Payload {
    encoding: Encoding,
    /// The decoded length in bytes; `None` when no header says it.
    pub(crate) size: Option<u64>,
    md5: Option<[u8; 16]>,
    checksums: Vec<(Algorithm, Vec<u8>)>,
    trailer: Option<Trailer>,
    /// `x-amz-sdk-checksum-algorithm`.
    pub(crate) compute: Option<Algorithm>,
}

#[derive(Debug)]
enum Encoding {
    Plain,
    Hashed(Vec<u8>),
    Chunked { signed: bool, trailers: bool },
}

impl Payload {
    /// Reads the headers but for checksums, which then are not the body's.
    pub(crate) fn parse_unchecked(head: &Head, identity: &Identity) -> Result<Self, S3Error> {
        Self::read(head, identity, Vec::new())
    }

    /// Reads the headers; nothing of the body is read.
    pub(crate) fn parse(head: &Head, identity: &Identity) -> Result<Self, S3Error> {
        Self::read(head, identity, parse_checksums(head)?)
    }

    fn read(head: &Head, identity: &Identity, checksums: Vec<(Algorithm, Vec<u8>)>) -> Result<Self, S3Error> {
        let encoding = match identity.payload.as_deref().or_else(|| head.header("x-amz-content-sha256")) {
            None | Some("UNSIGNED-PAYLOAD") => Encoding::Plain,
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => Encoding::Chunked { signed: true, trailers: false },
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => Encoding::Chunked { signed: true, trailers: true },
            Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Encoding::Chunked { signed: false, trailers: true },
            Some(other) if other.starts_with("STREAMING-AWS4-ECDSA") => {
                return Err(S3Error::not_implemented("SigV4A"));
            }
            Some(hash) => Encoding::Hashed(parse_sha256(hash)?),
        };
        if matches!(encoding, Encoding::Chunked { signed: true, .. }) && identity.seed.is_none() {
            // Without a seed there is no chain to verify, and nothing to trust.
            return Err(S3Error::because(Code::InvalidRequest, "Signed chunks need a SigV4 signature."));
        }
        let chunked = matches!(encoding, Encoding::Chunked { .. });
        let size = if chunked { head.header("x-amz-decoded-content-length") } else { head.header("content-length") };
        let size = size
            .map(|size| size.parse::<u64>().map_err(|_| S3Error::because(Code::BadRequest, "A length is no number.")))
            .transpose()?;
        let trailer = match head.header("x-amz-trailer") {
            Some(names) if matches!(encoding, Encoding::Chunked { trailers: true, .. }) => parse_trailer(names)?,
            Some(_) => {
                let message = "The value specified in the x-amz-trailer header is not supported";
                return Err(S3Error::because(Code::InvalidRequest, message));
            }
            None => None,
        };
        if checksums.len() + usize::from(trailer.is_some()) > 1 {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        let compute = parse_algorithm(head, "x-amz-sdk-checksum-algorithm")?;
        let sent =
            checksums.iter().map(|(algorithm, _)| *algorithm).chain(trailer.as_ref().map(|one| one.algorithm)).next();
        if compute.zip(sent).is_some_and(|(named, sent)| named != sent) {
            let message = "Value for x-amz-sdk-checksum-algorithm header is invalid.";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        Ok(Self { encoding, size, md5: parse_md5(head)?, checksums, trailer, compute })
    }

    /// The length, without which nothing is stored.
    pub(crate) fn known_size(&self) -> Result<u64, S3Error> {
        self.size.ok_or_else(|| Code::MissingContentLength.into())
    }

    /// Whether a digest of the body was sent in any form.
    pub(crate) fn has_digest(&self) -> bool {
        self.md5.is_some()
            || !self.checksums.is_empty()
            || self.trailer.is_some()
            || matches!(self.encoding, Encoding::Hashed(_) | Encoding::Chunked { signed: true, .. })
    }

    /// The body as the gateway takes it; without a known length it ends where it ends.
    pub(crate) fn open<B>(self, body: B, identity: &Identity, idle: Duration) -> Incoming
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let size = self.size;
        let decoder = match self.encoding {
            Encoding::Plain => Decoder::Plain,
            Encoding::Hashed(expected) => Decoder::Hashed { hash: Sha256::new(), expected },
            Encoding::Chunked { signed, trailers } => Decoder::Chunked {
                chunks: Box::new(Chunks::new(identity.seed.clone().filter(|_| signed), trailers)),
                trailer: self.trailer.clone(),
            },
        };
        Incoming {
            body: Decoded::new(body, decoder, size, idle).boxed_unsync(),
            size: size.unwrap_or_default(),
            md5: self.md5,
            checksums: self.checksums,
            trailer: self.trailer,
            compute: self.compute,
        }
    }
}

/// A body that is read as it is, for as long as it does not stall.
pub(crate) fn within(body: Body, idle: Duration) -> Body {
    Decoded::new(body, Decoder::Plain, None, idle).boxed_unsync()
}

/// Compares a body that was read whole with what its headers and trailers say of it.
pub(crate) fn verify_document(incoming: &Incoming, bytes: &[u8]) -> Result<(), S3Error> {
    if incoming.md5.is_some_and(|md5| md5.as_slice() != Md5::digest(bytes).as_slice()) {
        return Err(Code::BadDigest.into());
    }
    let trailer = match &incoming.trailer {
        Some(trailer) => {
            let value = trailer.value.get().and_then(|text| trailer.algorithm.decode(text));
            Some((trailer.algorithm, value.ok_or(Code::BadDigest)?))
        }
        None => None,
    };
    for (algorithm, expected) in incoming.checksums.iter().chain(&trailer) {
        if algorithm.digest(bytes) != *expected {
            return Err(Code::BadDigest.into());
        }
    }
    Ok(())
}

fn parse_sha256(text: &str) -> Result<Vec<u8>, S3Error> {
    let hash = hex::decode(text).ok().filter(|hash| hash.len() == 32);
    hash.ok_or_else(|| {
        S3Error::argument(
            "x-amz-content-sha256",
            text,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        )
    })
}

fn parse_md5(head: &Head) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(value) = head.headers.get("content-md5") else { return Ok(None) };
    let md5 = STANDARD.decode(value.as_bytes()).ok().and_then(|md5| <[u8; 16]>::try_from(md5).ok());
    md5.map(Some).ok_or_else(|| Code::InvalidDigest.into())
}

/// The algorithm that a header names.
pub(crate) fn parse_algorithm(head: &Head, header: &'static str) -> Result<Option<Algorithm>, S3Error> {
    let Some(name) = head.header(header) else { return Ok(None) };
    let unknown = || {
        let message = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
                       [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
        S3Error::because(Code::InvalidRequest, message)
    };
    Algorithm::parse(name).map(Some).ok_or_else(unknown)
}

fn parse_checksums(head: &Head) -> Result<Vec<(Algorithm, Vec<u8>)>, S3Error> {
    let mut checksums = Vec::new();
    for algorithm in Algorithm::ALL {
        let name = format!("x-amz-checksum-{}", algorithm.name());
        let Some(text) = head.header(&name) else { continue };
        // What cannot be a digest is none of these bytes.
        let value = algorithm
            .decode(text)
            .ok_or_else(|| S3Error::because(Code::BadDigest, format!("Value for {name} header is invalid.")))?;
        checksums.push((algorithm, value));
    }
    Ok(checksums)
}

fn parse_trailer(names: &str) -> Result<Option<Trailer>, S3Error> {
    let mut trailer = None;
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let algorithm = name.to_ascii_lowercase().strip_prefix("x-amz-checksum-").and_then(Algorithm::parse);
        let Some(algorithm) = algorithm.filter(|_| trailer.is_none()) else {
            let message = "The value specified in the x-amz-trailer header is not supported";
            return Err(S3Error::because(Code::InvalidRequest, message));
        };
        trailer = Some(Trailer { algorithm, value: Arc::default() });
    }
    Ok(trailer)
}
