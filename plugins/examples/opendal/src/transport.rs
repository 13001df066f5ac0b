//! OpenDAL's HTTP, over the host's, with bodies that go beside it.
//!
//! OpenDAL takes what it writes as memory, and gives what it reads as memory. So it is given a stand-in to write, and the
//! request that has the stand-in for its body leaves with the client's body instead, unread. An answer that is read
//! keeps its body here, for the plugin to hand on, and OpenDAL sees the headers.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter, Operator};
use sallyport_plugin_sdk::http::{Method, Origin, Request, Response};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{Body, failure};
use send_wrapper::SendWrapper;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The most that is read of an answer that is no object, in bytes: WebDAV lists a folder in one.
const LONGEST_ANSWER: usize = 16 << 20;

/// What OpenDAL writes in place of a client's body. No request of its own looks like it.
const STAND_IN: &[u8] = b"sallyport: the body of this request goes another way \x00\xff\x00\xff";

/// One call of the contract: what its requests carry beside OpenDAL, and how the last of them went.
pub(crate) struct Exchange {
    upload: RefCell<Option<(Body, u64)>>,
    sent: Cell<bool>,
    /// Whether the body of a GET's answer is kept here.
    reads: bool,
    download: RefCell<Option<Response>>,
    /// Why the last request has no good answer.
    failed: RefCell<Option<Failure>>,
}

impl Exchange {
    pub(crate) fn new() -> Rc<Self> {
        Self::with(None, false)
    }

    /// For a call that writes a body of so many bytes.
    pub(crate) fn writing(body: Body, size: u64) -> Rc<Self> {
        Self::with(Some((body, size)), false)
    }

    /// For a call that reads one.
    pub(crate) fn reading() -> Rc<Self> {
        Self::with(None, true)
    }

    fn with(upload: Option<(Body, u64)>, reads: bool) -> Rc<Self> {
        Rc::new(Self {
            upload: RefCell::new(upload),
            sent: Cell::new(false),
            reads,
            download: RefCell::new(None),
            failed: RefCell::new(None),
        })
    }

    /// The operator, with requests that go through here.
    pub(crate) fn operator(self: &Rc<Self>, operator: &Operator) -> Operator {
        let transport = HttpTransporter::new(Transport(SendWrapper::new(Rc::clone(self))));
        let context = operator.context().with_http_transport(transport);
        operator.clone().with_context(context)
    }

    /// What OpenDAL is to write.
    pub(crate) fn stand_in() -> Buffer {
        Buffer::from(STAND_IN)
    }

    /// Whether the client's body went out. OpenDAL may have stored the stand-in if not.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent.get()
    }

    /// The answer whose body was kept, when there was one.
    pub(crate) fn downloaded(&self) -> Option<Response> {
        self.download.take()
    }

    /// An error of OpenDAL's in the contract's words: what the last request came to says more than the error does, which
    /// may also repeat what a request had in it.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        if let Some(failure) = self.failed.take() {
            return failure;
        }
        match error.kind() {
            ErrorKind::Unsupported => failure::unsupported("the service cannot do this"),
            ErrorKind::ConfigInvalid => failure::invalid("the service does not take the location's details"),
            // Silence is not absence: none of the answers said so.
            kind => failure::unavailable(format!("the backend's answer makes no sense: {kind}")),
        }
    }

    async fn send(&self, request: http::Request<Buffer>) -> Result<http::Response<HttpBody>, Failure> {
        let (parts, body) = request.into_parts();
        let answer = if parts.method.as_str() == "MKCOL" {
            Retry::default().run(|| make_folder(&parts)).await?
        } else {
            self.with_body(without_body(&parts)?, &body)?.send().await?
        };
        self.answered(&parts.method, answer).await
    }

    fn with_body(&self, request: Request, body: &Buffer) -> Result<Request, Failure> {
        if body.is_empty() {
            return Ok(request);
        }
        let bytes = body.to_vec();
        if bytes != STAND_IN {
            return Ok(request.bytes(bytes));
        }
        let (body, size) = self.upload.take().ok_or_else(|| made("a body a second time"))?;
        self.sent.set(true);
        Ok(request.stream(body, size))
    }

    async fn answered(&self, method: &http::Method, answer: Response) -> Result<http::Response<HttpBody>, Failure> {
        let status = StatusCode::from_u16(answer.status())
            .map_err(|_| failure::unavailable("an answer with an impossible status"))?;
        let headers = copied(&answer);
        let refusal = (!status.is_success()).then(|| refused(method, &answer));
        let body = if self.reads && method == http::Method::GET && matches!(answer.status(), 200 | 206) {
            self.download.replace(Some(answer));
            Vec::new()
        } else if method == http::Method::HEAD {
            Vec::new()
        } else {
            answer.read_to_limit(LONGEST_ANSWER).await?
        };
        if status == StatusCode::NOT_FOUND && is_without_container(&headers, &body) {
            return Err(failure::unavailable("the container is missing"));
        }
        self.failed.replace(refusal);
        let stream = futures::stream::iter([Ok(Buffer::from(body))]);
        let mut made = http::Response::new(HttpBody::new(stream, None));
        *made.status_mut() = status;
        *made.headers_mut() = headers;
        Ok(made)
    }
}

struct Transport(SendWrapper<Rc<Exchange>>);

impl HttpTransport for Transport {
    async fn fetch(&self, request: http::Request<Buffer>) -> Result<http::Response<HttpBody>, Error> {
        let exchange = Rc::clone(&self.0);
        // A component has one thread, which OpenDAL does not know.
        SendWrapper::new(async move {
            exchange.send(request).await.map_err(|failure| {
                exchange.failed.replace(Some(failure));
                Error::new(ErrorKind::Unexpected, "no answer")
            })
        })
        .await
    }
}

/// A request with all but its body.
fn without_body(parts: &http::request::Parts) -> Result<Request, Failure> {
    let uri = &parts.uri;
    let origin = format!("{}://{}", uri.scheme_str().unwrap_or("https"), uri.authority().map_or("", |a| a.as_str()));
    let (origin, _) = Origin::parse(&origin, true).map_err(|error| made(&error.to_string()))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut sent = Request::new(method(&parts.method), &origin, path);
    for (name, value) in &parts.headers {
        // The host and the length are set where the request is sent.
        if name != http::header::HOST && name != http::header::CONTENT_LENGTH {
            let value = value.to_str().map_err(|_| made("a header that is no text"))?;
            sent = sent.header(name.as_str(), value);
        }
    }
    Ok(sent)
}

/// Makes a folder. Who makes another one in the same folder just then locks this one out: that passes.
async fn make_folder(parts: &http::request::Parts) -> Result<Response, Failure> {
    let answer = without_body(parts)?.send().await?;
    if answer.status() == 423 { Err(refused(&parts.method, &answer)) } else { Ok(answer) }
}

fn made(what: &str) -> Failure {
    failure::internal(format!("OpenDAL made a request with {what}"))
}

fn method(method: &http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    }
}

/// The headers that are legal.
fn copied(answer: &Response) -> HeaderMap {
    let legal = |(name, value): &(String, Vec<u8>)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers().iter().filter_map(legal) {
        headers.append(name, value);
    }
    headers
}

/// The failure that an answer without success stands for. A redirect is one: the host follows none.
fn refused(method: &http::Method, answer: &Response) -> Failure {
    let status = answer.status();
    let mut failure = failure::of_status(status, format!("{method} was answered with {status}"));
    // What the service asks for wins over our own guess.
    if let Some(milliseconds) = answer.retry_after().filter(|_| failure.retry_after.is_some()) {
        failure.retry_after = Some(milliseconds);
    }
    failure
}

/// Whether a 404 is about more than one file.
fn is_without_container(headers: &HeaderMap, body: &[u8]) -> bool {
    const CODE: &str = "ContainerNotFound";
    let coded = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
    coded == Some(CODE) || String::from_utf8_lossy(body).contains(&format!("<Code>{CODE}</Code>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Nothing here waits: a canned answer is there at once.
    fn answered(exchange: &Exchange, status: u16, body: &str) -> Result<http::Response<HttpBody>, Failure> {
        let answer = Response::canned(status, &[("retry-after", "3"), ("etag", "\"e\"")], body);
        match pin!(exchange.answered(&http::Method::GET, answer)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn what_the_last_answer_said_is_the_failure() {
        let exchange = Exchange::new();
        let error = Error::new(ErrorKind::NotFound, "secret");
        assert_eq!(answered(&exchange, 503, "").unwrap().status(), 503);
        let failure = exchange.failure(&error);
        assert_eq!((failure.code.as_str(), failure.retry_after), ("unavailable", Some(3000)));
        assert!(answered(&exchange, 404, "").is_ok());
        assert_eq!(exchange.failure(&error).code, "not-found");
        assert!(answered(&exchange, 302, "").is_ok());
        assert_eq!(exchange.failure(&error).code, "internal");
    }

    #[test]
    fn an_error_without_a_refusal_is_no_absence_and_repeats_nothing() {
        let exchange = Exchange::new();
        assert!(answered(&exchange, 404, "").is_ok());
        assert!(answered(&exchange, 200, "<multistatus/>").is_ok());
        let failure = exchange.failure(&Error::new(ErrorKind::NotFound, "secret"));
        assert_eq!(failure.code, "unavailable");
        assert!(!failure.message.contains("secret"), "{failure:?}");
    }

    #[test]
    fn a_missing_container_is_no_missing_file() {
        let exchange = Exchange::new();
        let body = "<Error><Code>ContainerNotFound</Code></Error>";
        assert_eq!(answered(&exchange, 404, body).map(|_| ()).unwrap_err().code, "unavailable");
        assert!(answered(&exchange, 404, "<Error><Code>BlobNotFound</Code></Error>").is_ok());
    }

    #[test]
    fn an_object_stays_here_and_an_error_does_not() {
        let exchange = Exchange::reading();
        assert!(answered(&exchange, 404, "gone").is_ok());
        assert!(exchange.downloaded().is_none());
        assert_eq!(answered(&exchange, 206, "bytes").unwrap().headers()["etag"], "\"e\"");
        assert_eq!(exchange.downloaded().map(|answer| answer.status()), Some(206));
    }

    #[test]
    fn only_the_stand_in_is_replaced() {
        let exchange = Exchange::new();
        let (origin, _) = Origin::parse("http://127.0.0.1:8080", true).unwrap();
        let request = || Request::new(Method::Put, &origin, "/file");
        let other = exchange.with_body(request(), &Buffer::from("<propfind/>")).unwrap();
        assert_eq!(other.header_value("content-length"), Some("11"));
        assert!(!exchange.was_sent());
        // There is nothing to replace it with, and it must never be stored.
        assert_eq!(exchange.with_body(request(), &Exchange::stand_in()).unwrap_err().code, "internal");
    }
}
