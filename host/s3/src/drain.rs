//! What becomes of a body whose request was refused before the body was read.

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use sallyport_core::body::{Body, BodyError};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// A refused request's body up to here is read, so that its client hears the answer: the
/// parts that clients send are rarely larger.
const MAX_DRAINED: u64 = 16 << 20;
/// Whoever takes longer than this is not waited for.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A body that comes back to the front when whoever had it lets it go unread.
pub(crate) struct Lent {
    body: Option<Body>,
    home: Option<oneshot::Sender<Body>>,
}

/// Where a lent body comes back to.
pub(crate) struct Home(oneshot::Receiver<Body>);

/// Lends a body.
pub(crate) fn lend(body: Body) -> (Body, Home) {
    let (sender, receiver) = oneshot::channel();
    (Lent { body: Some(body), home: Some(sender) }.boxed_unsync(), Home(receiver))
}

impl Home {
    /// Reads what is left of the body, within limits. A client that is still sending would
    /// miss the answer when the connection closes under it; one that waits for
    /// `100 Continue` would be told to go on, so it is left alone.
    pub(crate) async fn drain(mut self, announced: u64, expects_continue: bool) {
        if expects_continue || announced > MAX_DRAINED {
            return;
        }
        let Ok(mut body) = self.0.try_recv() else { return };
        let mut drained = 0;
        let draining = async {
            while let Some(Ok(frame)) = body.frame().await {
                drained += frame.data_ref().map_or(0, |data| data.len() as u64);
                if drained > MAX_DRAINED {
                    break;
                }
            }
        };
        // It is over either way.
        let _ = tokio::time::timeout(DRAIN_TIME, draining).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(home)) = (self.body.take(), self.home.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it after a success.
            let _ = home.send(body);
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_core::body;

    #[tokio::test]
    async fn an_unread_body_comes_back_and_a_read_one_does_not() {
        let (lent, mut home) = lend(body::full("abc"));
        drop(lent);
        assert!(home.0.try_recv().is_ok());
        let (lent, mut home) = lend(body::full("abc"));
        lent.collect().await.expect("whole");
        assert!(home.0.try_recv().is_err());
    }
}
