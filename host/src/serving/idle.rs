//! A body that may not stand still for longer than a limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Passes a body on, failing once no frame came for `limit` while one was waited for.
///
/// Time in which nobody asks for a frame does not count: then not the sender is slow.
pub struct IdleBody<B> {
    body: B,
    limit: Duration,
    /// Set while a frame is waited for.
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum IdleError<E> {
    /// No frame came for this long.
    #[error("the body stood still for {0:?}")]
    Idle(Duration),
    /// The body itself failed.
    #[error(transparent)]
    Body(E),
}

impl<B> IdleBody<B> {
    /// Watches over a body.
    pub fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, timer: Box::pin(tokio::time::sleep(limit)), waiting: false }
    }
}

impl<B: Body + Unpin> Body for IdleBody<B> {
    type Data = B::Data;
    type Error = IdleError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let mut frame = this.body.frame();
        if let Poll::Ready(frame) = Pin::new(&mut frame).poll(context) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(IdleError::Body)));
        }
        if !this.waiting {
            this.waiting = true;
            this.timer.as_mut().reset(Instant::now() + this.limit);
        }
        this.timer.as_mut().poll(context).map(|()| Some(Err(IdleError::Idle(this.limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
