//! Bodies that know how long they have been standing still.

use crate::call::Call;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// A request's body, which tells its call when the last byte is gone.
pub(crate) struct Watched {
    body: WasiBody,
    call: Arc<Call>,
}

impl Watched {
    pub(crate) fn new(body: WasiBody, call: Arc<Call>) -> Self {
        if !body.is_end_stream() {
            call.begin_sending();
        }
        Self { body, call }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.call.is_cut() {
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.call.touch();
        if frame.is_none() || self.body.is_end_stream() {
            self.call.end_sending();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.call.end_sending();
    }
}

/// An answer's body, which fails when the upstream sends nothing for too long.
pub(crate) struct Patient {
    body: Incoming,
    idle: Duration,
    /// Whose plugin may read it; `None` for an answer to the host.
    call: Option<Arc<Call>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub(crate) fn new(body: Incoming, idle: Duration, call: Option<Arc<Call>>) -> Self {
        Self { body, idle, call, sleep: None }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.sleep = None;
                if let (Some(Ok(frame)), Some(call)) = (&frame, &self.call) {
                    call.usage().moved(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Error::Hyper)))
            }
            Poll::Pending => {
                let idle = self.idle;
                let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
