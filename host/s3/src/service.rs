//! The way of a request through the front: identify, route, run, word the answer.

use crate::access::{Access, Counted};
use crate::auth::{self, Credentials, Head, Identity};
use crate::drain;
use crate::error::{Code, S3Error};
use crate::form::Spool;
use crate::log_line::{LogLine, Removed};
use crate::ops::answer::{self, Answer, error_document};
use crate::ops::call::{Call, Seen, bucket_name};
use crate::ops::{self, cors, encryption, headers, website};
use crate::router::{self, Hosts, Operation, Resolved, Target};
use crate::tally::Tally;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use sallyport_core::Gateway;
use sallyport_core::access::Caller;
use sallyport_core::body::{Body, BodyError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Where buckets go that name no location, at hosts that name none either.
const DEFAULT_LOCATION: &str = "us-east-1";

/// What an operator sets of the front.
#[derive(Clone)]
pub struct S3Options {
    /// `restEndpoints`: host names with the location of buckets created there.
    pub rest_endpoints: BTreeMap<String, String>,
    /// `websiteEndpoints`: host names below which buckets are websites.
    pub website_endpoints: Vec<String>,
    /// Who may come in.
    pub credentials: Arc<dyn Credentials>,
    /// How far ahead a SigV2 URL may expire (`PRE_SIGN_URL_EXPIRY`).
    pub presign_expiry: Duration,
    /// How long a client may send nothing of its body.
    pub idle_body_timeout: Duration,
    /// How long a completion or copy may take before its answer begins, to keep the connection alive.
    pub patience: Duration,
    /// Requests come over TLS.
    pub tls: bool,
    /// Where the files of forms wait until their length is known.
    pub spool_folder: PathBuf,
    /// How many bytes of them may wait there at a time.
    pub spool_limit: u64,
    /// Clients may send their own encryption keys without TLS.
    pub customer_keys_without_tls: bool,
}

impl S3Options {
    /// The defaults: no host names (addresses only), a week, a minute, five seconds, no TLS.
    pub fn new(credentials: Arc<dyn Credentials>) -> Self {
        Self {
            rest_endpoints: BTreeMap::new(),
            website_endpoints: Vec::new(),
            credentials,
            presign_expiry: Duration::from_secs(604_800),
            idle_body_timeout: Duration::from_secs(60),
            patience: Duration::from_secs(5),
            tls: false,
            spool_folder: std::env::temp_dir(),
            spool_limit: 8 << 30,
            customer_keys_without_tls: true,
        }
    }
}

/// The S3 front; cheap to clone.
#[derive(Clone)]
pub struct S3Service {
    shared: Arc<Shared>,
}

struct Shared {
    gateway: Arc<Gateway>,
    options: S3Options,
    hosts: Hosts,
    host_id: Arc<str>,
    spool: Arc<Spool>,
    tally: Arc<Tally>,
}

impl S3Service {
    /// A front before a gateway.
    pub fn new(gateway: Arc<Gateway>, options: S3Options) -> Self {
        let hosts = Hosts::new(options.rest_endpoints.keys().cloned());
        let hosts = hosts.with_websites(options.website_endpoints.iter().cloned());
        let options = S3Options {
            rest_endpoints: options
                .rest_endpoints
                .into_iter()
                .map(|(host, location)| (host.to_ascii_lowercase(), location))
                .collect(),
            ..options
        };
        let spool = Arc::new(Spool::new(options.spool_folder.clone(), options.spool_limit));
        let tally = Arc::new(Tally::new());
        Self { shared: Arc::new(Shared { gateway, options, hosts, host_id: random_hex(24).into(), spool, tally }) }
    }

    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub async fn handle<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let (parts, body) = request.into_parts();
        let body = body.map_err(|error| BodyError::Client(error.to_string())).boxed_unsync();
        let is_head = parts.method == Method::HEAD;
        let path = parts.uri.path().to_owned();
        let mut access = Access {
            request_id: random_hex(8).to_ascii_uppercase(),
            method: parts.method.to_string(),
            operation: "Unknown",
            bucket: String::new(),
            key: String::new(),
            requester: String::new(),
            remote: peer.map(|peer| peer.to_string()).unwrap_or_default(),
            status: 0,
            code: "",
            bytes_in: 0,
            bytes_out: 0,
            complete: true,
            started: Instant::now(),
            line: None,
            batch: Vec::new(),
            object_size: None,
            tally: Arc::clone(&self.shared.tally),
        };
        let outcome = self.answer(&parts, body, peer, &mut access).await;
        let mut answer = outcome.unwrap_or_else(|error| {
            access.code = error.code.name();
            self.word(&error, &path, &access.request_id)
        });
        self.notice(&parts, &mut access, &mut answer).await;
        self.finish(&mut answer, &access.request_id);
        if is_confusing(&parts, answer.status()) {
            answer::set(&mut answer, "connection", "close");
        }
        access.status = answer.status().as_u16();
        if is_head {
            answer = silence(answer);
        }
        answer.map(|body| Counted { body, access }.boxed_unsync())
    }

    /// What a bucket's owner wants of every answer: headers for scripts, lines for the log.
    async fn notice(&self, parts: &http::request::Parts, access: &mut Access, answer: &mut Answer) {
        let Ok(name) = bucket_name(&access.bucket) else { return };
        let gateway = &self.shared.gateway;
        let Ok(bucket) = gateway.bucket(&name).await else { return };
        if parts.method != Method::OPTIONS {
            cors::dress(&bucket, parts, answer);
        }
        if bucket.settings.logging.is_some() {
            access.batch = answer.extensions_mut().remove::<Vec<Removed>>().unwrap_or_default();
            access.object_size = object_size(access, parts, answer);
            let line = LogLine::new(Arc::clone(gateway), bucket, parts, access, &self.shared.host_id);
            access.line = Some(Box::new(line));
        }
    }

    async fn answer(
        &self,
        parts: &http::request::Parts,
        body: Body,
        peer: Option<SocketAddr>,
        access: &mut Access,
    ) -> Result<Answer, S3Error> {
        access.bytes_in = content_length(parts);
        let (body, home) = drain::lend(body);
        let outcome = match Head::parse(parts).and_then(|head| self.identify(head, peer, access)) {
            Ok(Asked::Operation(call, operation)) => {
                ops::run(&call, operation, body).await.map_err(|error| call.tell(error))
            }
            Ok(Asked::Visit(call)) => {
                access.operation = "WebsiteGet";
                Ok(website::visit(&call).await)
            }
            Ok(Asked::Preflight(head, target)) => {
                access.operation = "Preflight";
                let (bucket, key) = (target.bucket.as_deref(), target.key.as_deref());
                cors::preflight(&self.shared.gateway, &head, bucket, key).await
            }
            Err(error) => {
                drop(body);
                Err(error)
            }
        };
        if outcome.is_err() {
            home.drain(access.bytes_in, parts.headers.contains_key("expect")).await;
        }
        outcome
    }

    /// Everything that is decided by the head alone.
    fn identify(&self, head: Head, peer: Option<SocketAddr>, access: &mut Access) -> Result<Asked, S3Error> {
        headers::refuse_oversized(&head)?;
        let shared = &self.shared;
        if let Some(bucket) = shared.hosts.website(&head.host) {
            return self.visit(head, bucket, peer, access);
        }
        let resolved = shared.hosts.resolve(&head.host)?;
        let target = router::target(&head.path, &resolved)?;
        access.bucket = target.bucket.clone().unwrap_or_default();
        access.key = target.key.clone().unwrap_or_default();
        if head.method == Method::OPTIONS {
            return Ok(Asked::Preflight(Box::new(head), target));
        }
        let options = &shared.options;
        let identity = auth::authenticate(
            &head,
            resolved.bucket.as_deref(),
            options.credentials.as_ref(),
            options.presign_expiry,
            OffsetDateTime::now_utc(),
        )?;
        access.requester = identity.account.as_str().to_owned();
        let head = headers::with_signed_query(head, &identity)?;
        headers::refuse_ambiguous(&head)?;
        let route = router::route(&head, target)?;
        access.operation = route.operation.name();
        headers::refuse_unhonoured(&head)?;
        let keys_may_come = options.tls || options.customer_keys_without_tls;
        encryption::refuse_readable_keys(&head, keys_may_come)?;
        let default_location = options.rest_endpoints.get(&resolved.endpoint).cloned();
        let target = Target { bucket: route.bucket, key: route.key };
        let mut call = self.call(head, identity, target, peer, access);
        call.default_location = default_location.unwrap_or_else(|| DEFAULT_LOCATION.to_owned());
        Ok(Asked::Operation(Box::new(call), route.operation))
    }

    /// A visit of a website: whatever it asks, nobody signs it.
    fn visit(
        &self,
        head: Head,
        bucket: String,
        peer: Option<SocketAddr>,
        access: &mut Access,
    ) -> Result<Asked, S3Error> {
        let resolved = Resolved { endpoint: String::new(), bucket: Some(bucket) };
        let target = router::target(&head.path, &resolved)?;
        access.bucket = target.bucket.clone().unwrap_or_default();
        access.key = target.key.clone().unwrap_or_default();
        if head.method == Method::OPTIONS {
            return Ok(Asked::Preflight(Box::new(head), target));
        }
        Ok(Asked::Visit(Box::new(self.call(head, Identity::anonymous(), target, peer, access))))
    }

    fn call(&self, head: Head, identity: Identity, target: Target, peer: Option<SocketAddr>, access: &Access) -> Call {
        let (shared, options) = (&self.shared, &self.shared.options);
        let head = Arc::new(head);
        let seen = Seen {
            head: Arc::clone(&head),
            source: peer.map(|peer| peer.ip()),
            secure: options.tls,
            request_id: access.request_id.clone(),
            host_id: Arc::clone(&shared.host_id),
            is_form: false,
            signature: identity.signature,
            payload: identity.payload.clone(),
        };
        let caller = Caller {
            account: identity.account.clone(),
            short_id: identity.short_id.as_str().into(),
            context: Some(Arc::new(seen)),
        };
        Call {
            gateway: Arc::clone(&shared.gateway),
            head,
            caller,
            identity,
            credentials: Arc::clone(&options.credentials),
            spool: Arc::clone(&shared.spool),
            bucket: target.bucket,
            key: target.key,
            default_location: DEFAULT_LOCATION.to_owned(),
            idle: options.idle_body_timeout,
            patience: options.patience,
            keys_may_come: options.tls || options.customer_keys_without_tls,
            scheme: if options.tls { "https" } else { "http" },
            request_id: access.request_id.clone(),
            host_id: Arc::clone(&shared.host_id),
        }
    }

    fn word(&self, error: &S3Error, path: &str, request_id: &str) -> Answer {
        if let Some(cause) = &error.operator {
            let code = error.code.name();
            if error.code.status().is_server_error() {
                tracing::error!(request.id = request_id, code, "{cause}");
            } else {
                tracing::info!(request.id = request_id, code, "{cause}");
            }
        }
        let status = error.code.status();
        let mut answer = if error.code == Code::NotModified {
            answer::empty(status)
        } else {
            answer::xml(error_document(error, path, request_id, &self.shared.host_id))
        };
        *answer.status_mut() = status;
        for (name, value) in &error.headers {
            answer::set(&mut answer, name, value);
        }
        if matches!(error.code, Code::RequestTimeout | Code::IncompleteBody | Code::RequestHeaderSectionTooLarge) {
            answer::set(&mut answer, "connection", "close");
        }
        answer
    }

    fn finish(&self, answer: &mut Answer, request_id: &str) {
        answer::set(answer, "x-amz-request-id", request_id);
        answer::set(answer, "x-amz-id-2", &self.shared.host_id);
        answer::set(answer, "server", "Sallyport");
    }
}

/// What a request turned out to be.
enum Asked {
    Operation(Box<Call>, Operation),
    /// Somebody looks at a website.
    Visit(Box<Call>),
    /// A browser's question, which nobody signs.
    Preflight(Box<Head>, Target),
}

/// Whether a request waits for `100 Continue` and has no body, so that it never comes. That
/// is [right](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1-11.1), yet botocore then
/// takes the next answer on the same connection for headers of this one. Or whether it was
/// refused, so that nobody knows whether its body comes all the same.
fn is_confusing(parts: &http::request::Parts, status: http::StatusCode) -> bool {
    let is_waiting = parts.version < http::Version::HTTP_2 && parts.headers.contains_key("expect");
    is_waiting && (content_length(parts) == 0 || status.is_client_error() || status.is_server_error())
}

/// The size of the object that an answer is about.
fn object_size(access: &Access, parts: &http::request::Parts, answer: &Answer) -> Option<u64> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    match access.operation {
        _ if !answer.status().is_success() => None,
        "PutObject" | "UploadPart" => Some(decoded_length(parts).unwrap_or(access.bytes_in)),
        "GetObject" | "HeadObject" | "WebsiteGet" => {
            let whole = header("content-range").and_then(|range| range.rsplit_once('/')).map(|(_, size)| size);
            whole.or_else(|| header("content-length"))?.parse().ok()
        }
        _ => None,
    }
}

/// An answer to HEAD says how long the body would be, and has none.
fn silence(answer: Answer) -> Answer {
    let (mut parts, body) = answer.into_parts();
    if !parts.headers.contains_key("content-length") && parts.status.is_success() {
        let length = body.size_hint().exact().unwrap_or_default();
        parts.headers.insert("content-length", length.into());
    }
    Response::from_parts(parts, sallyport_core::body::empty())
}

fn content_length(parts: &http::request::Parts) -> u64 {
    length(parts, "content-length").unwrap_or_default()
}

/// Of what travels in chunks: without what the chunks add.
fn decoded_length(parts: &http::request::Parts) -> Option<u64> {
    length(parts, "x-amz-decoded-content-length")
}

fn length(parts: &http::request::Parts, name: &str) -> Option<u64> {
    parts.headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Without random numbers ids repeat, which harms nobody but who reads the log.
fn random_hex(length: usize) -> String {
    thread_local! {
        /// Random bytes for some requests to come: one call to the system for all of them.
        static LEFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    LEFT.with_borrow_mut(|left| {
        if left.len() < length {
            left.resize(length.max(1_024), 0);
            let _ = getrandom::fill(left);
        }
        hex::encode(left.split_off(left.len() - length))
    })
}
