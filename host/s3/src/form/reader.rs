//! Takes a form apart while it streams.

use crate::error::{Code, S3Error};
use crate::form::Fields;
use crate::payload::within;
use bytes::Bytes;
use futures::Stream;
use http_body::Body as HttpBody;
use multer::{Field, Multipart};
use sallyport_core::body::{Body, BodyError};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// The most that all fields before the file may hold, names and values, as AWS has it.
const MAX_FIELDS: usize = 20_480;
/// The most that is read before the file begins: the fields with their headers, and a frame.
const MAX_HEAD: u64 = 1 << 20;

/// The file of a form, on its way.
pub(crate) struct Part(Field<'static>);

/// A form up to its file.
pub(crate) struct Form {
    /// What came before the file, with its name where fields refer to it.
    pub(crate) fields: Fields,
    /// Comes last: what follows it is ignored.
    pub(crate) file: Part,
}

impl Form {
    /// Reads the fields. Nothing of the file is read.
    pub(crate) async fn read(content_type: &str, body: Body, idle: Duration) -> Result<Self, S3Error> {
        let Ok(boundary) = multer::parse_boundary(content_type) else {
            let condition = "Bucket POST must be of the enclosure-type multipart/form-data";
            return Err(S3Error::new(Code::PreconditionFailed).with("Condition", condition));
        };
        let in_head = Arc::new(AtomicBool::new(true));
        let feed = Feed { body: within(body, idle), in_head: Arc::clone(&in_head), read: 0, resting: false };
        let mut parts = Multipart::new(feed, boundary);
        let mut fields = Fields::default();
        let mut size = 0;
        while let Some(mut field) = parts.next_field().await.map_err(refused)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name.eq_ignore_ascii_case("file") {
                in_head.store(false, Ordering::Relaxed);
                fields.expand(field.file_name().unwrap_or_default());
                return Ok(Self { fields, file: Part(field) });
            }
            let mut value = Vec::new();
            // Also a field of nothing takes room: each may become a header.
            size += name.len().max(1);
            while let Some(chunk) = field.chunk().await.map_err(refused)? {
                size += chunk.len();
                if size > MAX_FIELDS {
                    return Err(too_large());
                }
                value.extend_from_slice(&chunk);
            }
            if size > MAX_FIELDS {
                return Err(too_large());
            }
            let value = String::from_utf8(value).map_err(|_| S3Error::new(Code::MalformedPOSTRequest))?;
            fields.push(&name, value);
        }
        Err(S3Error::argument("file", "0", "POST requires exactly one file upload per request."))
    }
}

impl Part {
    /// The next bytes of the file.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, S3Error> {
        self.0.chunk().await.map_err(refused)
    }
}

/// The body as the parser takes it. The parser keeps all that it gets at once, so it gets one
/// frame at a time, and before the file only so many.
struct Feed {
    body: Body,
    in_head: Arc<AtomicBool>,
    read: u64,
    resting: bool,
}

impl Stream for Feed {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.resting) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // The frame that reaches the limit may hold the file's beginning; no other follows it.
        if this.in_head.load(Ordering::Relaxed) && this.read > MAX_HEAD {
            return Poll::Ready(Some(Err(BodyError::Length { expected: MAX_HEAD, actual: this.read })));
        }
        loop {
            let frame = match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            this.read += data.len() as u64;
            this.resting = true;
            return Poll::Ready(Some(Ok(data)));
        }
    }
}

fn too_large() -> S3Error {
    S3Error::new(Code::MaxPostPreDataLengthExceeded).with("MaxPostPreDataLengthBytes", MAX_FIELDS.to_string())
}

/// A body that broke off is worded as on every other upload; all else is a malformed form.
fn refused(error: multer::Error) -> S3Error {
    let multer::Error::StreamReadFailed(cause) = error else {
        return Code::MalformedPOSTRequest.into();
    };
    match cause.downcast::<BodyError>() {
        Ok(error) if matches!(*error, BodyError::Length { .. }) => too_large(),
        Ok(error) => sallyport_core::Error::from(*error).into(),
        Err(_) => Code::IncompleteBody.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sallyport_core::body;

    const TYPE: &str = "multipart/form-data; boundary=xyz";

    fn part(name: &str, value: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    async fn read(text: String) -> Result<(Fields, Vec<u8>), S3Error> {
        // Frames of three bytes cut every delimiter; large texts come in larger ones.
        let size = if text.len() > 1000 { 64 << 10 } else { 3 };
        let frames: Vec<Result<Bytes, BodyError>> =
            text.as_bytes().chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let body = body::from_stream(futures::stream::iter(frames));
        let mut form = Form::read(TYPE, body, Duration::from_secs(5)).await?;
        let mut file = Vec::new();
        while let Some(chunk) = form.file.chunk().await? {
            file.extend_from_slice(&chunk);
        }
        Ok((form.fields, file))
    }

    #[tokio::test]
    async fn fields_come_before_the_file_and_what_follows_is_ignored() {
        let text = format!(
            "{}--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nbytes\r\n--x\r\n{}--xyz--\r\n",
            part("Key", "user/${filename}"),
            part("late", "1"),
        );
        let (fields, file) = read(text).await.expect("legal");
        assert_eq!(fields.value("key"), Some("user/a.txt"));
        assert_eq!(fields.value("late"), None);
        assert_eq!(file, b"bytes\r\n--x");
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused_in_s3s_words() {
        let code = |text: String| async move { read(text).await.expect_err("refused").code };
        assert_eq!(code("nothing".to_owned()).await, Code::MalformedPOSTRequest);
        assert_eq!(code(format!("{}--xyz--\r\n", part("key", "k"))).await, Code::InvalidArgument);
        assert_eq!(
            code(part("key", &"k".repeat(MAX_FIELDS + 1)) + "--xyz--").await,
            Code::MaxPostPreDataLengthExceeded
        );
        let many: String = (0..6_000).map(|number| part(&format!("x-amz-{number}"), "")).collect();
        assert_eq!(code(many + "--xyz--").await, Code::MaxPostPreDataLengthExceeded, "names count as values do");
        assert_eq!(code("x".repeat(2 << 20)).await, Code::MaxPostPreDataLengthExceeded);
        let other = Form::read("text/plain", body::empty(), Duration::from_secs(5)).await;
        assert_eq!(other.err().expect("refused").code, Code::PreconditionFailed);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(text in "(--xyz|\r\n|Content-Disposition: form-data; name=\"file\"|--|:|a){0,30}") {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            let _ = runtime.block_on(read(text));
        }
    }
}
