//! The aws-chunked framing, taken apart without copying and without any I/O.

use crate::auth::{EMPTY_SHA256, SeedSignature, sha256_hex};
use bytes::{Buf, Bytes, BytesMut};
use sallyport_core::body::Refusal;
use sha2::{Digest, Sha256};

/// A chunk's header: its size in hex, and a signature of 64 digits.
const MAX_HEADER: usize = 256;
/// All trailers together.
const MAX_TRAILERS: usize = 16 << 10;

/// Takes the framing off, and verifies the signatures in it.
#[derive(Debug)]
pub(crate) struct Chunks {
    state: State,
    /// A line that has not come whole yet.
    line: BytesMut,
    signatures: Option<Signatures>,
    trailers: Option<Trailers>,
}

#[derive(Debug)]
enum State {
    Header,
    Data {
        left: u64,
    },
    DataEnd,
    Trailers,
    /// The blank line after the last chunk; some clients leave it out.
    End,
    Done,
}

/// The chain of signatures: each one covers the one before it.
#[derive(Debug)]
struct Signatures {
    seed: SeedSignature,
    expected: String,
    hash: Sha256,
}

/// What comes after the last chunk.
#[derive(Debug, Default)]
struct Trailers {
    lines: Vec<(String, String)>,
    length: usize,
}

impl Chunks {
    /// `seed` is there when chunks are signed, `trailers` says whether trailers follow.
    pub(crate) fn new(seed: Option<SeedSignature>, trailers: bool) -> Self {
        Self {
            state: State::Header,
            line: BytesMut::new(),
            signatures: seed.map(|seed| Signatures { seed, expected: String::new(), hash: Sha256::new() }),
            trailers: trailers.then(Trailers::default),
        }
    }

    /// Takes from `input` until some data is there or nothing is left.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Refusal> {
        while !input.is_empty() {
            match &mut self.state {
                State::Data { left } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let data = input.split_to(take);
                    *left -= take as u64;
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    if let Some(signatures) = &mut self.signatures {
                        signatures.hash.update(&data);
                    }
                    return Ok(Some(data));
                }
                State::Done => return Err(malformed("bytes follow the last chunk")),
                State::Header | State::DataEnd | State::Trailers | State::End => {
                    if let Some(line) = self.take_line(input)? {
                        self.line(&line)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// The body is over: is the framing?
    pub(crate) fn finish(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        match self.state {
            State::Done => {}
            State::End if self.line.is_empty() => {}
            State::Trailers if self.line.is_empty() && self.signatures.is_none() => {}
            State::Header | State::Data { .. } | State::DataEnd | State::Trailers | State::End => {
                return Err(malformed("it ends before its last chunk does"));
            }
        }
        Ok(self.trailers.take().map(|trailers| trailers.lines).unwrap_or_default())
    }

    /// A whole line without its end, once there is one.
    fn take_line(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Refusal> {
        let limit = if matches!(self.state, State::Trailers) { MAX_TRAILERS } else { MAX_HEADER };
        let end = input.iter().position(|byte| *byte == b'\n');
        let piece = input.split_to(end.unwrap_or(input.len()));
        if self.line.len() + piece.len() > limit {
            return Err(malformed("a line is too long"));
        }
        self.line.extend_from_slice(&piece);
        if end.is_none() {
            return Ok(None);
        }
        input.advance(1);
        let mut line = self.line.split().freeze();
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        match self.state {
            State::Header => self.header(line),
            State::DataEnd if line.is_empty() => {
                self.verify_chunk()?;
                self.state = State::Header;
                Ok(())
            }
            State::DataEnd => Err(malformed("a chunk is longer than its header says")),
            State::Trailers => self.trailer(line),
            State::End if line.is_empty() => {
                self.state = State::Done;
                Ok(())
            }
            State::End | State::Done | State::Data { .. } => Err(malformed("bytes follow the last chunk")),
        }
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let line = std::str::from_utf8(line).map_err(|_| malformed("a chunk's header is not text"))?;
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let digits = Some(size.trim()).filter(|size| size.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let size = size.ok_or_else(|| malformed("a chunk's size is not a hex number"))?;
        if let Some(signatures) = &mut self.signatures {
            let signature = extension.trim().strip_prefix("chunk-signature=");
            let signature = signature.ok_or_else(|| malformed("a chunk has no signature"))?;
            signature.clone_into(&mut signatures.expected);
        }
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.verify_chunk()?;
        self.state = if self.trailers.is_some() { State::Trailers } else { State::End };
        Ok(())
    }

    fn verify_chunk(&mut self) -> Result<(), Refusal> {
        let Some(signatures) = &mut self.signatures else { return Ok(()) };
        let hash = hex::encode(signatures.hash.finalize_reset());
        let SeedSignature { time, scope, signature, key } = &mut signatures.seed;
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{signature}\n{EMPTY_SHA256}\n{hash}");
        if !key.verifies(&text, &signatures.expected) {
            return Err(Refusal::Signature);
        }
        signature.clone_from(&signatures.expected);
        Ok(())
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let Some(trailers) = &mut self.trailers else { return Ok(()) };
        if line.is_empty() {
            if self.signatures.is_some() {
                return self.verify_trailers();
            }
            self.state = State::Done;
            return Ok(());
        }
        trailers.length += line.len();
        if trailers.length > MAX_TRAILERS {
            return Err(malformed("the trailers are too long"));
        }
        let line = std::str::from_utf8(line).map_err(|_| malformed("a trailer is not text"))?;
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a trailer has no colon"))?;
        trailers.lines.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    fn verify_trailers(&mut self) -> Result<(), Refusal> {
        let (Some(trailers), Some(signatures)) = (&mut self.trailers, &self.signatures) else { return Ok(()) };
        let Some(position) = trailers.lines.iter().position(|(name, _)| name == "x-amz-trailer-signature") else {
            return Err(malformed("the trailers have no signature"));
        };
        let (_, expected) = trailers.lines.remove(position);
        let mut lines = trailers.lines.clone();
        lines.sort();
        let canonical: String = lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let SeedSignature { time, scope, signature, key } = &signatures.seed;
        let hash = sha256_hex(canonical.as_bytes());
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{time}\n{scope}\n{signature}\n{hash}");
        if !key.verifies(&text, &expected) {
            return Err(Refusal::Signature);
        }
        self.state = State::Done;
        Ok(())
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::Malformed(why.to_owned())
}
