//! A client's body on its way to a backend: hashed, counted, and held back at its end until
//! it is known to be right.

use super::request::{Incoming, Trailer};
use crate::body::{Body, BodyError, Refusal};
use crate::checksum::{Algorithm, Digests, Hashers};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Up to here a body is verified before its first byte leaves, in bytes.
pub(super) const SMALL: u64 = 64 << 10;

/// Frames on their way to the hashing task, which has one more. A client that sends fast makes frames of half a mebibyte:
/// this bounds what an upload takes of memory.
const HASHING_BACKLOG: usize = 1;

/// What a client's headers and trailers say of its body.
pub(super) struct Announced {
    size: u64,
    md5: Option<[u8; 16]>,
    checksums: Vec<(Algorithm, Vec<u8>)>,
    trailer: Option<Trailer>,
    compute: Option<Algorithm>,
}

impl Announced {
    /// Splits a request's body from what is said of it.
    pub(super) fn split(incoming: Incoming) -> (Self, Body) {
        let Incoming { body, size, md5, checksums, trailer, compute } = incoming;
        (Self { size, md5, checksums, trailer, compute }, body)
    }

    /// The MD5 that the client sent, if any.
    pub(super) fn md5(&self) -> Option<[u8; 16]> {
        self.md5
    }

    /// The length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<Algorithm> = self.checksums.iter().map(|(algorithm, _)| *algorithm).collect();
        algorithms.extend(self.trailer.as_ref().map(|trailer| trailer.algorithm));
        algorithms.extend(self.compute);
        let mut unique = Vec::new();
        for algorithm in algorithms {
            if !unique.contains(&algorithm) {
                unique.push(algorithm);
            }
        }
        unique
    }

    fn verify(&self, digests: &Digests) -> Result<(), BodyError> {
        let refuse = |what: String| Err(BodyError::Refused(Refusal::Digest(what)));
        if self.md5.is_some_and(|md5| md5 != digests.md5) {
            return refuse("Content-MD5".to_owned());
        }
        let computed = |algorithm: Algorithm| {
            digests.others.iter().find(|(one, _)| *one == algorithm).map(|(_, value)| value.as_slice())
        };
        for (algorithm, expected) in &self.checksums {
            if computed(*algorithm) != Some(expected.as_slice()) {
                return refuse(format!("x-amz-checksum-{}", algorithm.name()));
            }
        }
        let Some(trailer) = &self.trailer else {
            return Ok(());
        };
        let name = format!("x-amz-checksum-{}", trailer.algorithm.name());
        let Some(text) = trailer.value.get() else {
            return Err(BodyError::Refused(Refusal::Malformed(format!("the trailer {name} is missing"))));
        };
        match trailer.algorithm.decode(text) {
            Some(expected) if computed(trailer.algorithm) == Some(expected.as_slice()) => Ok(()),
            _ => refuse(name),
        }
    }
}

/// Reads a small body whole and verifies it. `announced.size()` is at most [`SMALL`].
pub(super) async fn collect(announced: &Announced, mut body: Body) -> Result<(Bytes, Digests), BodyError> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let length = collected.len() as u64 + data.len() as u64;
        if length > announced.size {
            return Err(BodyError::Length { expected: announced.size, actual: length });
        }
        collected.extend_from_slice(&data);
    }
    if collected.len() as u64 != announced.size {
        return Err(BodyError::Length { expected: announced.size, actual: collected.len() as u64 });
    }
    let mut hashers = Hashers::new(&announced.algorithms());
    hashers.update(&collected);
    let digests = hashers.finish();
    announced.verify(&digests)?;
    Ok((collected.freeze(), digests))
}

/// The gateway's hand on a body that is on its way.
pub(super) struct Held {
    digests: oneshot::Receiver<Digests>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until all bytes came and were found right. `None` when the body broke off or
    /// was dropped: whoever reads it has the error.
    pub(super) async fn digests(&mut self) -> Option<Digests> {
        (&mut self.digests).await.ok()
    }

    /// Lets the last frame go. Dropping instead cuts the body.
    pub(super) fn release(self) {
        // A reader that went away does not mind.
        let _ = self.release.send(());
    }
}

/// Wraps a large body: what comes out is its bytes, the last of them only after
/// [`Held::release`].
pub(super) fn hold(announced: Announced, body: Body) -> (Body, Held) {
    let (frames, mut to_hash) = mpsc::channel::<Bytes>(HASHING_BACKLOG);
    let mut hashers = Hashers::new(&announced.algorithms());
    // Hashing costs more than moving bytes: it runs on another core.
    let hashing = tokio::spawn(async move {
        while let Some(bytes) = to_hash.recv().await {
            hashers = hashers.update_together(vec![bytes]).await?;
        }
        Some(hashers.finish())
    });
    let (digests_sender, digests) = oneshot::channel();
    let (release, released) = oneshot::channel();
    let ingest = Ingest {
        body,
        announced,
        counted: 0,
        next: None,
        state: State::Flowing { frames: Permit::Open(frames), hashing },
        digests: Some(digests_sender),
        released: Some(released),
    };
    (ingest.boxed_unsync(), Held { digests, release })
}

type Reserving = Pin<Box<dyn Future<Output = Option<(mpsc::Sender<Bytes>, Bytes)>> + Send>>;

enum Permit {
    Open(mpsc::Sender<Bytes>),
    Reserving(Reserving),
    Gone,
}

enum State {
    Flowing { frames: Permit, hashing: JoinHandle<Option<Digests>> },
    Hashing(JoinHandle<Option<Digests>>),
    Waiting,
    Ended,
}

struct Ingest {
    body: Body,
    announced: Announced,
    counted: u64,
    /// The newest frame, held back until another one follows or the end is right.
    next: Option<Bytes>,
    state: State,
    digests: Option<oneshot::Sender<Digests>>,
    released: Option<oneshot::Receiver<()>>,
}

impl HttpBody for Ingest {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Flowing { frames, .. } => {
                    // Backpressure: the next frame is read once the last one was taken over
                    // for hashing.
                    if let Permit::Reserving(reserving) = frames {
                        let Some((sender, bytes)) = ready!(reserving.as_mut().poll(context)) else {
                            return this.fail(BodyError::Client("hashing stopped".to_owned()));
                        };
                        *frames = Permit::Open(sender);
                        if let Some(previous) = this.next.replace(bytes) {
                            return Poll::Ready(Some(Ok(Frame::data(previous))));
                        }
                        continue;
                    }
                    match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                        Some(Err(error)) => return this.fail(error),
                        Some(Ok(frame)) => {
                            if let Ok(data) = frame.into_data()
                                && let Err(error) = this.take(data)
                            {
                                return this.fail(error);
                            }
                        }
                        None => this.end_of_body(),
                    }
                }
                State::Hashing(hashing) => {
                    let Ok(Some(digests)) = ready!(Pin::new(hashing).poll(context)) else {
                        return this.fail(BodyError::Client("hashing stopped".to_owned()));
                    };
                    let expected = this.announced.size;
                    if this.counted != expected {
                        return this.fail(BodyError::Length { expected, actual: this.counted });
                    }
                    if let Err(error) = this.announced.verify(&digests) {
                        return this.fail(error);
                    }
                    if let Some(sender) = this.digests.take() {
                        let _ = sender.send(digests);
                    }
                    this.state = State::Waiting;
                }
                State::Waiting => {
                    let Some(released) = &mut this.released else {
                        this.state = State::Ended;
                        continue;
                    };
                    if ready!(Pin::new(released).poll(context)).is_err() {
                        return this.fail(BodyError::Client("the write was refused".to_owned()));
                    }
                    this.state = State::Ended;
                    if let Some(last) = this.next.take() {
                        return Poll::Ready(Some(Ok(Frame::data(last))));
                    }
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

impl Ingest {
    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.state = State::Ended;
        self.digests = None;
        Poll::Ready(Some(Err(error)))
    }

    fn take(&mut self, data: Bytes) -> Result<(), BodyError> {
        if data.is_empty() {
            return Ok(());
        }
        self.counted += data.len() as u64;
        if self.counted > self.announced.size {
            return Err(BodyError::Length { expected: self.announced.size, actual: self.counted });
        }
        let State::Flowing { frames, .. } = &mut self.state else {
            return Ok(());
        };
        let Permit::Open(sender) = std::mem::replace(frames, Permit::Gone) else {
            return Ok(());
        };
        *frames = Permit::Reserving(Box::pin(async move {
            sender.send(data.clone()).await.ok()?;
            Some((sender, data))
        }));
        Ok(())
    }

    fn end_of_body(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        if let State::Flowing { frames, hashing } = state {
            // Closing the channel is what ends the hashing task.
            drop(frames);
            self.state = State::Hashing(hashing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    fn incoming(bytes: &'static [u8], size: u64) -> Incoming {
        let chunks = bytes.chunks(3).map(|chunk| Ok(Bytes::from_static(chunk))).collect::<Vec<_>>();
        let body = body::from_stream(futures::stream::iter(chunks));
        Incoming { body, size, md5: None, checksums: Vec::new(), trailer: None, compute: None }
    }

    async fn run(incoming: Incoming) -> Result<Vec<u8>, BodyError> {
        let (announced, body) = Announced::split(incoming);
        let (body, mut held) = hold(announced, body);
        let reader = async move { body.collect().await.map(|all| all.to_bytes().to_vec()) };
        let gateway = async move {
            if held.digests().await.is_some() {
                held.release();
            }
        };
        let (bytes, ()) = tokio::join!(reader, gateway);
        bytes
    }

    #[tokio::test]
    async fn all_bytes_pass_once_released() {
        assert_eq!(run(incoming(b"hello world", 11)).await.unwrap(), b"hello world");
        assert_eq!(run(incoming(b"", 0)).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn the_last_frame_waits_for_its_release() {
        let (announced, body) = Announced::split(incoming(b"abcdef", 6));
        let (mut body, mut held) = hold(announced, body);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&first[..], b"abc");
        tokio::select! {
            biased;
            _ = body.frame() => panic!("the last frame came early"),
            digests = held.digests() => assert!(digests.is_some()),
        }
        drop(held);
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_wrong_length_or_digest_ends_in_an_error() {
        assert!(matches!(run(incoming(b"abcd", 5)).await, Err(BodyError::Length { .. })));
        assert!(matches!(run(incoming(b"abcd", 3)).await, Err(BodyError::Length { .. })));
        let mut wrong = incoming(b"abcd", 4);
        wrong.md5 = Some([0; 16]);
        assert!(matches!(run(wrong).await, Err(BodyError::Refused(_))));
    }
}
