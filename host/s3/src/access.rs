//! What is said of each request once it is over: a line in the log, and the numbers.

use crate::log_line::{LogLine, Removed};
use crate::tally::Tally;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sallyport_core::body::{Body, BodyError};
use sallyport_core::names::AccountId;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// One request, from its head to the last byte of its answer.
pub(crate) struct Access {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) operation: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) requester: String,
    pub(crate) remote: String,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) complete: bool,
    pub(crate) started: Instant,
    /// Set when the bucket's owner wants to know of the request.
    pub(crate) line: Option<Box<LogLine>>,
    /// The keys of a deletion of many.
    pub(crate) batch: Vec<Removed>,
    /// The object's size in bytes, when the request was about one.
    pub(crate) object_size: Option<u64>,
    /// Where it is counted.
    pub(crate) tally: Arc<Tally>,
}

impl Access {
    /// Whether nobody signed.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.requester.is_empty() || self.requester == AccountId::anonymous().as_str()
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        if let Some(line) = self.line.take() {
            line.write(self);
        }
        tracing::info!(
            target: "access",
            method = self.method,
            request.id = self.request_id,
            operation = self.operation,
            bucket.name = self.bucket,
            object.key = self.key,
            status = self.status,
            code = self.code,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            complete = self.complete,
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            requester = self.requester,
            remote = self.remote,
            // Without the bucket: the name that was asked for may have any bytes, and a message in
            // text is written as it is.
            "{} {}",
            self.operation,
            self.status,
        );
        self.tally.count(self.operation, self.status, duration, (self.bytes_in, self.bytes_out));
    }
}

/// An answer's body that counts what leaves, and speaks when it is over.
pub(crate) struct Counted {
    pub(crate) body: Body,
    pub(crate) access: Access,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                this.access.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(Some(Err(error))) => {
                // The status is out already, so cutting the connection is all that is left to say.
                this.access.complete = false;
                tracing::error!(request.id = this.access.request_id, %error, "an answer's body broke off");
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
