//! The two bodies that cross the host's edge: the client's on its way in, the backend's on its way out.

use crate::call::Call;
use crate::stillness::Stillness;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sallyport_core::body::{Body, BodyError};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// A body that has to have exactly so many bytes.
struct Exact<B> {
    body: B,
    length: u64,
    counted: u64,
    call: Arc<Call>,
}

impl<B: HttpBody<Data = Bytes> + Unpin> Exact<B> {
    /// The next bytes; `word` says of the body's error what it means here.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        word: impl Fn(B::Error) -> BodyError,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.call.touch();
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => data,
                    Ok(_) | Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(word(error)))),
                None if self.is_whole() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(self.wrong_length()))),
            };
            self.counted += data.len() as u64;
            self.call.usage().moved(data.len());
            if self.counted > self.length {
                return Poll::Ready(Some(Err(self.wrong_length())));
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }

    fn wrong_length(&self) -> BodyError {
        BodyError::Length { expected: self.length, actual: self.counted }
    }

    fn is_whole(&self) -> bool {
        self.counted == self.length
    }

    fn left(&self) -> SizeHint {
        SizeHint::with_exact(self.length.saturating_sub(self.counted))
    }
}

/// A client's body that is taken back when its call ends, from wherever the plugin keeps it: as
/// long as somebody has it, the client's connection serves no other request.
#[derive(Clone)]
struct Lent(Arc<Mutex<Lending>>);

struct Lending {
    body: Option<Body>,
    /// Who waits for its next frame.
    waiting: Option<Waker>,
}

/// Takes a body back when dropped.
pub(crate) struct Loan(Lent);

impl Lent {
    fn state(&self) -> MutexGuard<'_, Lending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let (body, waiting) = {
            let mut state = self.0.state();
            (state.body.take(), state.waiting.take())
        };
        // Not under the lock: what a body does when it goes is its own affair.
        drop(body);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.state();
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err(BodyError::Backend("its call has ended".to_owned()))));
        };
        let polled = Pin::new(body).poll_frame(cx);
        state.waiting = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

/// A client's body: counted, timed, and its error kept, since a plugin cannot word it.
pub(crate) struct Upload {
    body: Exact<Lent>,
    /// Tells the plugin that the body came to its end in good order.
    complete: Option<oneshot::Sender<()>>,
}

impl Upload {
    /// The body, what to hold while the call goes on, and the word that all of it came.
    pub(crate) fn new(body: Body, size: u64, call: Arc<Call>) -> (Self, Loan, oneshot::Receiver<()>) {
        let (complete, completed) = oneshot::channel();
        let body = Lent(Arc::new(Mutex::new(Lending { body: Some(body), waiting: None })));
        let loan = Loan(body.clone());
        if size > 0 {
            call.begin_sending();
        } else {
            call.take_all();
        }
        let body = Exact { body, length: size, counted: 0, call };
        (Self { body, complete: Some(complete) }, loan, completed)
    }

    fn end(&mut self) {
        self.body.call.end_sending();
        if let Some(complete) = self.complete.take() {
            let _ = complete.send(());
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.body.call.is_cut() {
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        }
        match ready!(self.body.poll(cx, std::convert::identity)) {
            Some(Ok(data)) => {
                if self.body.is_whole() {
                    self.body.call.take_all();
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => {
                self.complete = None;
                self.body.call.fail_body(error);
                self.body.call.end_sending();
                Poll::Ready(Some(Err(Error::ConnectionTerminated)))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.body.is_end_stream() && self.body.is_whole()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.left()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.body.is_whole() {
            // An upstream that knows the length stops asking after the last byte.
            self.end();
        } else {
            self.body.call.end_sending();
        }
    }
}

/// A backend's body: exactly as long as it was announced, or an error.
pub(crate) struct Download {
    body: Exact<WasiBody>,
    failed: bool,
    /// While somebody reads, wherever its bytes come from.
    stillness: Stillness,
}

impl Download {
    pub(crate) fn new(body: WasiBody, length: u64, idle: Duration, call: Arc<Call>) -> Self {
        Self { body: Exact { body, length, counted: 0, call }, failed: false, stillness: Stillness::new(idle) }
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        if let Poll::Ready(data) = self.body.poll(cx, |error| BodyError::Backend(error.to_string())) {
            self.stillness.end();
            self.failed = matches!(data, Some(Err(_)));
            if data.is_none() {
                self.body.call.end_reading();
            }
            return Poll::Ready(data.map(|data| data.map(Frame::data)));
        }
        ready!(self.stillness.poll(cx));
        self.failed = true;
        Poll::Ready(Some(Err(BodyError::Backend("it stood still for too long".to_owned()))))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || (self.body.is_whole() && self.body.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.left()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.body.call.end_reading();
        // A plugin that still writes this body writes it for nobody; one that wrote all of it ends by itself.
        if self.failed || !self.body.is_whole() || !self.body.call.is_written() {
            self.body.call.cut_off();
        }
    }
}
