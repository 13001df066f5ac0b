//! A connection whose client may neither be silent at first nor stop reading, and hears all that it is told.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// As many bytes as tell HTTP/2 from HTTP/1; from then on hyper watches the head itself.
const PREFACE: usize = 24;
/// How long a client of HTTP/1 may be silent before its connection is closed for good: it sends
/// on only while it has not read that it was refused.
const QUIET: Duration = Duration::from_secs(2);
/// The same with HTTP/2, where whoever reads slowly tells of it only now and then.
const QUIET_HTTP2: Duration = Duration::from_secs(10);
/// How long it is closed for good at the latest, whatever it sends.
const LINGER: Duration = Duration::from_secs(30);
/// Bytes that are thrown away at most.
const DISCARDED: usize = 64 << 20;

/// Limits the time in which a client sends its first bytes, and for which it may leave an
/// answer unread.
///
/// After the end of our side it goes on reading for a while, and throws that away. The system
/// resets a connection that is closed while something of the client's is unread, and a reset
/// takes with it what is still on its way to the client: the end of a download, or the answer to
/// a body that nobody read.
pub(super) struct Guarded<S> {
    stream: S,
    received: usize,
    first: Pin<Box<Sleep>>,
    idle: Duration,
    stalled: Pin<Box<Sleep>>,
    waiting: bool,
    is_http2: bool,
    /// When a byte last came or went.
    active: Instant,
    /// When our side ended.
    shut: Option<Instant>,
    discarded: usize,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, header: Duration, idle: Duration) -> Self {
        Self {
            stream,
            received: 0,
            first: Box::pin(tokio::time::sleep(header)),
            idle,
            stalled: Box::pin(tokio::time::sleep(idle)),
            waiting: false,
            is_http2: false,
            active: Instant::now(),
            shut: None,
            discarded: 0,
        }
    }

    /// Lets a write's outcome through, unless writing has been stuck for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, outcome: Poll<Result<T>>) -> Poll<Result<T>> {
        if outcome.is_ready() {
            self.waiting = false;
            return outcome;
        }
        if !self.waiting {
            self.waiting = true;
            self.stalled.as_mut().reset(Instant::now() + self.idle);
        }
        ready!(self.stalled.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client stopped reading")))
    }

    fn wrote(&mut self, context: &mut Context<'_>, outcome: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if outcome.is_ready() {
            self.active = Instant::now();
        }
        self.watch(context, outcome)
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads until the client has ended its side, too, or is silent, or has had its time.
    fn discard(&mut self, shut: Instant, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0_u8; 8 << 10];
        while self.discarded < DISCARDED {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.discarded = self.discarded.saturating_add(buffer.filled().len());
                    self.active = Instant::now();
                }
                // It is done, or gone.
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    let quiet = if self.is_http2 { QUIET_HTTP2 } else { QUIET };
                    // Nothing is written any more, so that the timer is free.
                    self.stalled.as_mut().reset((self.active + quiet).min(shut + LINGER));
                    return self.stalled.as_mut().poll(context);
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if this.received == 0 {
                this.is_http2 = new.starts_with(b"PRI ");
            }
            this.received = this.received.saturating_add(new.len());
            this.active = Instant::now();
            return Poll::Ready(outcome);
        }
        if this.received >= PREFACE {
            return Poll::Pending;
        }
        ready!(this.first.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client sent no request")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.wrote(context, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.wrote(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.watch(context, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let shut = match this.shut {
            Some(shut) => shut,
            None => {
                let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
                ready!(this.watch(context, outcome))?;
                *this.shut.insert(Instant::now())
            }
        };
        this.discard(shut, context).map(Ok)
    }
}
