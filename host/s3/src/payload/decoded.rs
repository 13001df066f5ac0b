//! A client's body without its encoding: counted, verified, and cut when it stalls.

use crate::payload::chunks::Chunks;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sallyport_core::Trailer;
use sallyport_core::body::{BodyError, Refusal};
use sha2::{Digest, Sha256};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// What has to be taken off or verified.
pub(crate) enum Decoder {
    /// Nothing.
    Plain,
    /// The SHA-256 of all bytes is known beforehand.
    Hashed { hash: Sha256, expected: Vec<u8> },
    /// aws-chunked.
    Chunked { chunks: Box<Chunks>, trailer: Option<Trailer> },
}

/// The body as the gateway reads it: exactly the bytes of the object.
pub(crate) struct Decoded<B> {
    inner: Pin<Box<B>>,
    decoder: Decoder,
    /// What came and is not decoded yet.
    input: Bytes,
    expected: Option<u64>,
    counted: u64,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// The client is waited for; as long as nobody reads, it is not the slow one.
    waiting: bool,
    ended: bool,
}

impl<B> Decoded<B> {
    pub(crate) fn new(inner: B, decoder: Decoder, expected: Option<u64>, idle: Duration) -> Self {
        Self {
            inner: Box::pin(inner),
            decoder,
            input: Bytes::new(),
            expected,
            counted: 0,
            idle,
            timer: Box::pin(sleep(idle)),
            waiting: false,
            ended: false,
        }
    }

    /// The next decoded bytes among those that came already.
    fn decode(&mut self) -> Result<Option<Bytes>, BodyError> {
        let data = match &mut self.decoder {
            Decoder::Plain => (!self.input.is_empty()).then(|| std::mem::take(&mut self.input)),
            Decoder::Hashed { hash, .. } => {
                let data = std::mem::take(&mut self.input);
                hash.update(&data);
                (!data.is_empty()).then_some(data)
            }
            Decoder::Chunked { chunks, .. } => chunks.next(&mut self.input).map_err(BodyError::Refused)?,
        };
        self.counted += data.as_ref().map_or(0, |data| data.len() as u64);
        if self.expected.is_some_and(|expected| self.counted > expected) {
            return Err(self.wrong_length());
        }
        Ok(data)
    }

    /// All bytes came: are they what was announced?
    fn finish(&mut self) -> Result<(), BodyError> {
        if let Decoder::Chunked { chunks, trailer } = &mut self.decoder {
            // A body that is cut is short first of all, however its framing looks.
            let trailers = match chunks.finish() {
                Ok(trailers) => trailers,
                Err(_) if self.is_short() => return Err(self.wrong_length()),
                Err(refusal) => return Err(BodyError::Refused(refusal)),
            };
            if let Some(trailer) = trailer {
                let name = format!("x-amz-checksum-{}", trailer.algorithm.name());
                if let Some((_, value)) = trailers.into_iter().find(|(candidate, _)| *candidate == name) {
                    // Set once, here: the decoder is the only writer.
                    let _ = trailer.value.set(value);
                }
            }
        }
        if self.is_short() {
            return Err(self.wrong_length());
        }
        if let Decoder::Hashed { hash, expected } = &mut self.decoder
            && hash.finalize_reset().as_slice() != expected.as_slice()
        {
            return Err(BodyError::Refused(Refusal::ContentSha256));
        }
        Ok(())
    }

    fn is_short(&self) -> bool {
        self.expected.is_some_and(|expected| self.counted < expected)
    }

    fn wrong_length(&self) -> BodyError {
        BodyError::Length { expected: self.expected.unwrap_or_default(), actual: self.counted }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.ended = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl<B> HttpBody for Decoded<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            match this.decode() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(error) => return this.fail(error),
            }
            let frame = match this.inner.as_mut().poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    if !std::mem::replace(&mut this.waiting, true) {
                        this.timer.as_mut().reset(Instant::now() + this.idle);
                    }
                    ready!(this.timer.as_mut().poll(context));
                    return this.fail(BodyError::Idle);
                }
            };
            this.waiting = false;
            match frame {
                // HTTP's own trailers mean nothing to S3.
                Some(Ok(frame)) => this.input = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return this.fail(BodyError::Client(error.to_string())),
                None => {
                    this.ended = true;
                    return match this.finish() {
                        Ok(()) => Poll::Ready(None),
                        Err(error) => Poll::Ready(Some(Err(error))),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.expected
            .map_or_else(SizeHint::default, |expected| SizeHint::with_exact(expected.saturating_sub(self.counted)))
    }
}
