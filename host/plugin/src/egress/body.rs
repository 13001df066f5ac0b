//! Bodies that know how long they have been standing still.

use crate::call::Call;
use crate::stillness::Stillness;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
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
    stillness: Stillness,
    /// Whose plugin may read it; `None` for an answer to the host.
    call: Option<Arc<Call>>,
}

impl Patient {
    pub(crate) fn new(body: Incoming, idle: Duration, call: Option<Arc<Call>>) -> Self {
        Self { body, stillness: Stillness::new(idle), call }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.stillness.end();
                if let (Some(Ok(frame)), Some(call)) = (&frame, &self.call) {
                    call.usage().moved(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Error::Hyper)))
            }
            Poll::Pending => {
                ready!(self.stillness.poll(cx));
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
