//! One location's pool of connections, with what is done to each request and answer.

use super::body::{Patient, Watched};
use super::connector::{Connector, Diversion, Timely};
use super::minting::minted_by;
use super::narrow::Narrowing;
use super::policy::Policy;
use super::proxy::Proxies;
use super::redact::Redactor;
use super::resolver::Resolver;
use super::roots::SystemRoots;
use super::tasks::Connections;
use crate::call::Call;
use crate::error::PluginError;
use crate::lane::Lane;
use crate::limits::Limits;
use crate::secret::Secret;
use crate::sign::{Replacements, Signer};
use crate::whose::Whose;
use http::header;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Idle connections that are kept per upstream; fewer, and a burst opens new ones every time.
const IDLE_CONNECTIONS: usize = 128;
/// Upstreams close idle connections after some 20 s (S3) to minutes.
const IDLE_TIME: Duration = Duration::from_secs(15);

/// How one location's requests leave.
pub(crate) struct Egress {
    /// The location and its plugin, for logs and counters.
    whose: Whose,
    client: Client<Timely<HttpsConnector<Connector>>, WasiBody>,
    policy: Arc<Policy>,
    narrowing: Narrowing,
    proxies: Arc<Proxies>,
    signer: Option<Signer>,
    replacements: Replacements,
    /// What travels with requests.
    travelling: Redactor,
    /// All secrets of the location.
    secrets: Redactor,
    header_bytes: usize,
    first_byte: Duration,
    idle: Duration,
}

/// What an [`Egress`] is made of.
pub(crate) struct EgressParts<'a> {
    pub(crate) whose: Whose,
    pub(crate) policy: Policy,
    pub(crate) narrowing: Narrowing,
    /// Secrets with their placeholders.
    pub(crate) secrets: &'a [(Secret, String)],
    /// Where this server itself listens.
    pub(crate) own: Arc<[SocketAddr]>,
    pub(crate) overrides: Arc<HashMap<String, SocketAddr>>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) signer: Option<Signer>,
    pub(crate) replacements: Replacements,
    pub(crate) roots: &'a SystemRoots,
    /// A PEM file with further authorities.
    pub(crate) authorities: Option<&'a str>,
    pub(crate) limits: &'a Limits,
    pub(crate) lane: Arc<Lane>,
    pub(crate) diversion: Option<Arc<dyn Diversion>>,
}

impl Egress {
    pub(crate) fn new(parts: EgressParts<'_>) -> Result<Self, PluginError> {
        let policy = Arc::new(parts.policy);
        let connector = Connector {
            policy: policy.clone(),
            overrides: parts.overrides,
            proxies: parts.proxies.clone(),
            own: parts.own,
            resolver: parts.resolver,
            diversion: parts.diversion,
            permits: Arc::new(Semaphore::new(parts.limits.connections)),
            queue: parts.limits.queue,
        };
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(parts.roots, parts.authorities)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(Connections(parts.lane))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            // The library's own retry repeats a request whose connection died before the first
            // byte was sent, bodies included, which is safe: none of the body was taken.
            .retry_canceled_requests(true)
            .build(Timely::new(https, parts.limits.connect));
        let secrets = parts.secrets.iter().map(|(secret, _)| (secret.clone(), None));
        let in_queries = parts.replacements.pairs().map(|(placeholder, secret)| (secret, Some(placeholder)));
        let travels: Vec<(Secret, Option<String>)> =
            parts.signer.iter().flat_map(Signer::travelling).map(|secret| (secret, None)).collect();
        let travelling = Redactor::new(in_queries.clone().chain(travels.clone()));
        Ok(Self {
            whose: parts.whose,
            travelling,
            secrets: Redactor::new(in_queries.chain(travels).chain(secrets)),
            header_bytes: parts.limits.header_bytes,
            narrowing: parts.narrowing,
            client,
            policy,
            proxies: parts.proxies,
            signer: parts.signer,
            replacements: parts.replacements,
            first_byte: parts.limits.first_byte,
            idle: parts.limits.idle,
        })
    }

    /// Sends a request on behalf of a call.
    pub(crate) async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        call: &Arc<Call>,
    ) -> Result<http::Response<WasiBody>, Error> {
        self.admit(&request)?;
        let mut request = self.hold(request)?;
        request.headers_mut().remove(header::EXPECT);
        if sends_nothing(&request) {
            request = request.map(|_| nothing());
        }
        let reads_object = reads_object(&request);
        let may_be_encoded = asks_for_encoded(&mut request, reads_object);
        self.replacements.fill(&mut request, &self.policy);
        let mut token = None;
        if let Some(signer) = &self.signer {
            token = signer.sign(&mut request, &Plain { egress: self }).await?;
        }
        self.authorize_at_proxy(&mut request);
        // Not a PUT, though HTTP has it idempotent: where versions are kept, each that was
        // heard leaves one, and nobody knows of the first.
        let changes_nothing_more =
            matches!(*request.method(), http::Method::GET | http::Method::HEAD | http::Method::DELETE);
        let repeatable = request.body().is_end_stream() && changes_nothing_more;
        let again = repeatable.then(|| copy(&request));
        let first_byte =
            options.and_then(|options| options.first_byte_timeout).unwrap_or(self.first_byte).min(self.first_byte);
        let response = match (self.attempt(request, first_byte, call).await, again) {
            (Err(Failed::Stale), Some(again)) => self.attempt(again, first_byte, call).await,
            (first, _) => first,
        };
        match &response {
            Err(Failed::Answer(Error::DestinationIpProhibited)) => self.whose.deny("address"),
            Err(Failed::Answer(Error::ConnectionLimitReached)) => {
                self.whose.hit("connections");
                call.run_short();
            }
            Err(Failed::Answer(Error::ConnectionTimeout)) => self.whose.hit("connectMs"),
            Err(Failed::Answer(Error::ConnectionReadTimeout)) => self.whose.hit("firstByteMs"),
            Ok(_) | Err(_) => {}
        }
        let mut response = response.map_err(Failed::into_error)?;
        if size_of(response.headers()) > self.header_bytes {
            self.whose.deny("response-headers");
            self.whose.hit("headerBytes");
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(self.header_bytes).ok()));
        }
        let is_success = response.status().is_success();
        let travelling = token.map(|token| self.travelling.with(&token));
        let travelling = travelling.as_ref().unwrap_or(&self.travelling);
        let redactor = if is_success { travelling } else { &self.secrets };
        redactor.headers(response.headers_mut());
        let idle = options.and_then(|options| options.between_bytes_timeout).unwrap_or(self.idle).min(self.idle);
        // An object's own bytes are what they are; all else may repeat what it was asked with.
        let is_object = is_success && reads_object;
        let looks_through = !is_object && !response.body().is_end_stream();
        if looks_through && may_be_encoded && response.headers().contains_key(header::CONTENT_ENCODING) {
            // What was said in an object's place cannot be read here, and so by nobody.
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().remove(header::CONTENT_ENCODING);
            return Ok(response.map(|_| nothing()));
        }
        Ok(response.map(|body| {
            let body = Patient::new(body, idle, Some(call.clone())).boxed_unsync();
            if looks_through { redactor.body(body).boxed_unsync() } else { body }
        }))
    }

    /// Refuses what a signature would carry too far, before there is one.
    fn hold(&self, request: http::Request<WasiBody>) -> Result<http::Request<WasiBody>, Error> {
        let (parts, body) = request.into_parts();
        let refused = |reason: &'static str, what: &str| {
            self.whose.deny(reason);
            let (plugin, location) = (&*self.whose.plugin, &*self.whose.location);
            tracing::warn!(plugin, location, reason, "a plugin's request was refused: {what}");
            Err(Error::HttpRequestDenied)
        };
        if let Some(what) = self.narrowing.oversteps(&parts, &self.policy) {
            return refused(what, "it is not within the location's grants");
        }
        if let Some(what) = minted_by(&parts, self.signer.as_ref().is_some_and(Signer::is_sigv4)) {
            return refused("credentials", &format!("it asks for credentials ({what})"));
        }
        if size_of(&parts.headers) > self.header_bytes {
            self.whose.hit("headerBytes");
            return refused("request-headers", "its headers are too large");
        }
        Ok(http::Request::from_parts(parts, body))
    }

    fn admit(&self, request: &http::Request<WasiBody>) -> Result<(), Error> {
        let uri = request.uri();
        let scheme = uri.scheme_str().ok_or(Error::HttpRequestUriInvalid)?;
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        if authority.as_str().contains('@') {
            return Err(Error::HttpRequestUriInvalid);
        }
        let port =
            authority.port_u16().or_else(|| super::policy::default_port(scheme)).ok_or(Error::HttpRequestUriInvalid)?;
        if self.policy.admit(scheme, authority.host(), port).is_none() {
            tracing::warn!(
                plugin = &*self.whose.plugin,
                location = &*self.whose.location,
                host = crate::log::printable(authority.host(), 256),
                port,
                scheme,
                "a plugin's request to a host that its location does not name"
            );
            self.whose.deny("host");
            return Err(Error::HttpRequestDenied);
        }
        Ok(())
    }

    fn authorize_at_proxy(&self, request: &mut http::Request<WasiBody>) {
        if request.uri().scheme_str() != Some("http") {
            return;
        }
        let port = request.uri().port_u16().unwrap_or(80);
        let proxy = request.uri().host().and_then(|host| self.proxies.of("http", host, port));
        let Some(authorization) = proxy.and_then(|proxy| proxy.authorization.as_ref()) else { return };
        if let Ok(mut value) = http::HeaderValue::from_str(authorization) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
    }

    async fn attempt(
        &self,
        request: http::Request<WasiBody>,
        first_byte: Duration,
        call: &Arc<Call>,
    ) -> Result<http::Response<hyper::body::Incoming>, Failed> {
        let request = request.map(|body| Watched::new(body, call.clone()).boxed_unsync());
        let sent = self.client.request(request);
        tokio::pin!(sent);
        loop {
            // While the body still flows, the answer is not late.
            let since = if call.is_sending() { Instant::now() } else { call.sent_by() };
            tokio::select! {
                response = &mut sent => return response.map_err(Failed::from),
                () = tokio::time::sleep_until(since + first_byte) => {
                    if !call.is_sending() && call.sent_by() + first_byte <= Instant::now() {
                        return Err(Failed::Answer(Error::ConnectionReadTimeout));
                    }
                }
            }
        }
    }
}

/// Whether a request has no body, by its head. The plugin's own stream and trailers do not show
/// it before they end, and the client would send neither.
fn sends_nothing(request: &http::Request<WasiBody>) -> bool {
    match request.body().size_hint().exact() {
        Some(length) => length == 0,
        None => matches!(*request.method(), http::Method::GET | http::Method::HEAD),
    }
}

fn nothing() -> WasiBody {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Whether the answer's body is an object's own bytes.
fn reads_object(request: &http::Request<WasiBody>) -> bool {
    const OF_OBJECTS: [&str; 5] = ["versionid", "snapshot", "partnumber", "x-id", ""];
    let query = request.uri().query().unwrap_or_default();
    let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    request.method() == http::Method::GET
        && names.all(|name| OF_OBJECTS.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// Whether the answer may be compressed: only where it is an object's own bytes, which come as
/// their reader wants them. What is looked through has to be legible, and is asked for so.
fn asks_for_encoded(request: &mut http::Request<WasiBody>, reads_object: bool) -> bool {
    if !reads_object && request.method() != http::Method::HEAD {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    request.headers().contains_key(header::ACCEPT_ENCODING)
}

fn size_of(headers: &http::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Sends requests of the host's own, such as for a token, without signing them.
pub(crate) struct Plain<'a> {
    egress: &'a Egress,
}

impl Plain<'_> {
    pub(crate) async fn send(&self, request: http::Request<WasiBody>) -> Result<http::Response<WasiBody>, Error> {
        self.egress.admit(&request)?;
        let sent = tokio::time::timeout(self.egress.first_byte, self.egress.client.request(request)).await;
        let response =
            sent.map_err(|_| Error::ConnectionReadTimeout)?.map_err(|error| Failed::from(error).into_error())?;
        Ok(response.map(|body| Patient::new(body, self.egress.idle, None).boxed_unsync()))
    }
}

enum Failed {
    /// The pooled connection had been closed by the upstream.
    Stale,
    Answer(Error),
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Self::Stale => Error::ConnectionTerminated,
            Self::Answer(error) => error,
        }
    }
}

impl From<hyper_util::client::legacy::Error> for Failed {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        tracing::debug!(%error, source = source(&error), "an upstream request failed");
        let io = deepest(&error).and_then(|error| error.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        if error.is_connect() {
            return Self::Answer(match io {
                Some(std::io::ErrorKind::WouldBlock) => Error::ConnectionLimitReached,
                Some(std::io::ErrorKind::TimedOut) => Error::ConnectionTimeout,
                Some(std::io::ErrorKind::PermissionDenied) => Error::DestinationIpProhibited,
                Some(std::io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
                Some(std::io::ErrorKind::InvalidData) => Error::TlsCertificateError,
                Some(std::io::ErrorKind::NotFound) => Error::DestinationNotFound,
                _ => Error::InternalError(Some(source(&error))),
            });
        }
        let hyper = std::error::Error::source(&error).and_then(|error| error.downcast_ref::<hyper::Error>());
        match hyper {
            Some(error) if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => Self::Stale,
            _ if matches!(io, Some(std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe)) => {
                Self::Stale
            }
            Some(error) if error.is_parse() => Self::Answer(Error::HttpProtocolError),
            _ => Self::Answer(Error::ConnectionTerminated),
        }
    }
}

fn deepest<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    let mut current = error.source()?;
    while let Some(next) = current.source() {
        current = next;
    }
    Some(current)
}

fn source(error: &(dyn std::error::Error + 'static)) -> String {
    deepest(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn copy(request: &http::Request<WasiBody>) -> http::Request<WasiBody> {
    let mut copy = http::Request::new(nothing());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn tls(system: &SystemRoots, authorities: Option<&str>) -> Result<rustls::ClientConfig, PluginError> {
    let mut roots = system.get();
    if let Some(file) = authorities {
        let roots = Arc::make_mut(&mut roots);
        let failed = |why: String| PluginError::Host(format!("the authorities in {file} cannot be read: {why}"));
        let certificates = CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| PluginError::Host(format!("TLS does not start: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_objects_own_bytes_may_come_compressed() {
        for (method, uri, may_be) in [
            ("GET", "https://h/bucket/key?versionId=1", true),
            ("HEAD", "https://h/bucket/key", true),
            ("GET", "https://h/bucket?list-type=2", false),
            ("PUT", "https://h/bucket/key", false),
        ] {
            let request = http::Request::builder().method(method).uri(uri).header(header::ACCEPT_ENCODING, "gzip");
            let mut request = request.body(nothing()).expect("a request");
            let reads_object = reads_object(&request);
            assert_eq!(asks_for_encoded(&mut request, reads_object), may_be, "{method} {uri}");
            assert_eq!(request.headers().contains_key(header::ACCEPT_ENCODING), may_be, "{method} {uri}");
        }
    }
}
