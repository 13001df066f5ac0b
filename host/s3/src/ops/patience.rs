//! Answers operations that take longer than clients wait in silence.

use crate::error::S3Error;
use crate::ops::answer::{self, Answer, error_document};
use crate::ops::call::Call;
use crate::xml::DECLARATION;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use sallyport_core::body::{self, BodyError};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type Working = Pin<Box<dyn Future<Output = Result<Answer, S3Error>> + Send>>;

/// What an answer's second half needs to know of its request.
struct Late {
    work: Working,
    every: Duration,
    resource: String,
    request_id: String,
    host_id: Arc<str>,
}

/// Waits for an operation that answers with a document. When it takes long, the answer begins
/// with 200 and the XML declaration, blanks keep the connection alive, and the document
/// follows, or an error in its place: clients of S3 look for one there.
pub(crate) async fn wait(
    call: &Call,
    work: impl Future<Output = Result<Answer, S3Error>> + Send + 'static,
) -> Result<Answer, S3Error> {
    let caller = call.clone();
    let mut work: Working = Box::pin(async move { work.await.map_err(|error| caller.tell(error)) });
    if let Ok(outcome) = tokio::time::timeout(call.patience, &mut work).await {
        return outcome;
    }
    let late = Late {
        work,
        every: call.patience,
        resource: call.head.path.clone(),
        request_id: call.request_id.clone(),
        host_id: call.host_id.clone(),
    };
    let begun = stream::once(async { Ok(Bytes::from_static(DECLARATION.as_bytes())) });
    let rest = stream::unfold(Some(late), |late| async move {
        let mut late = late?;
        match tokio::time::timeout(late.every, &mut late.work).await {
            Err(_) => Some((Ok(Bytes::from_static(b" ")), Some(late))),
            Ok(outcome) => Some((late.document(outcome).await, None)),
        }
    });
    let mut answer = answer::empty(http::StatusCode::OK).map(|_| body::from_stream(begun.chain(rest)));
    answer::set(&mut answer, "content-type", "application/xml");
    Ok(answer)
}

impl Late {
    /// The document without its declaration, which is out already.
    async fn document(self, outcome: Result<Answer, S3Error>) -> Result<Bytes, BodyError> {
        let whole = match outcome {
            Ok(answer) => answer.into_body().collect().await?.to_bytes(),
            Err(error) => {
                let cause = error.operator.as_deref().unwrap_or(&error.message);
                let (id, code) = (&self.request_id, error.code.name());
                tracing::error!(request.id = id, code, "an operation failed after its answer had begun: {cause}");
                error_document(&error, &self.resource, &self.request_id, &self.host_id).into()
            }
        };
        let declared = whole.starts_with(DECLARATION.as_bytes());
        Ok(if declared { whole.slice(DECLARATION.len()..) } else { whole })
    }
}
