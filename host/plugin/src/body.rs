//! The two bodies that cross the host's edge: the client's on its way in, the backend's on its way out.

use crate::call::Call;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use sallyport_core::body::{Body, BodyError};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// A client's body: counted, timed, and its error kept, since a plugin cannot word it.
pub(crate) struct Upload {
    body: Body,
    size: u64,
    counted: u64,
    call: Arc<Call>,
    /// Tells the plugin that the body came to its end in good order.
    complete: Option<oneshot::Sender<()>>,
}

impl Upload {
    pub(crate) fn new(body: Body, size: u64, call: Arc<Call>) -> (Self, oneshot::Receiver<()>) {
        let (complete, completed) = oneshot::channel();
        if size > 0 {
            call.begin_sending();
        }
        (Self { body, size, counted: 0, call, complete: Some(complete) }, completed)
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.complete = None;
        self.call.fail_body(error);
        self.call.end_sending();
        Poll::Ready(Some(Err(Error::ConnectionTerminated)))
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.call.is_cut() {
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        }
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.call.touch();
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => data,
                    Ok(_) | Err(_) => continue,
                },
                Some(Err(error)) => return self.fail(error),
                None if self.counted < self.size => {
                    let (expected, actual) = (self.size, self.counted);
                    return self.fail(BodyError::Length { expected, actual });
                }
                None => {
                    self.call.end_sending();
                    if let Some(complete) = self.complete.take() {
                        let _ = complete.send(());
                    }
                    return Poll::Ready(None);
                }
            };
            self.counted += data.len() as u64;
            if self.counted > self.size {
                let (expected, actual) = (self.size, self.counted);
                return self.fail(BodyError::Length { expected, actual });
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.counted == self.size
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size.saturating_sub(self.counted))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.call.end_sending();
        // An upstream that knows the length stops asking after the last byte.
        if self.counted == self.size
            && let Some(complete) = self.complete.take()
        {
            let _ = complete.send(());
        }
    }
}

/// A backend's body: exactly as long as it was announced, or an error.
pub(crate) struct Download {
    body: WasiBody,
    length: u64,
    counted: u64,
    call: Arc<Call>,
    failed: bool,
}

impl Download {
    pub(crate) fn new(body: WasiBody, length: u64, call: Arc<Call>) -> Self {
        Self { body, length, counted: 0, call, failed: false }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.failed = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.call.touch();
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => data,
                    Ok(_) | Err(_) => continue,
                },
                Some(Err(error)) => return self.fail(BodyError::Backend(error.to_string())),
                None if self.counted == self.length => return Poll::Ready(None),
                None => {
                    let (expected, actual) = (self.length, self.counted);
                    return self.fail(BodyError::Length { expected, actual });
                }
            };
            self.counted += data.len() as u64;
            if self.counted > self.length {
                let (expected, actual) = (self.length, self.counted);
                return self.fail(BodyError::Length { expected, actual });
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || (self.counted == self.length && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length.saturating_sub(self.counted))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // A plugin that still writes this body writes it for nobody.
        self.call.cut_off();
    }
}
