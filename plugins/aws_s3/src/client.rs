//! The AWS SDK's client, over the host's HTTP.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, IdentityCache, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::{Method, Origin, Request};
use sallyport_plugin_sdk::types::Failure;
use send_wrapper::SendWrapper;

use crate::details::Details;
use crate::errors::NoAnswer;

/// More than a page of any list.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A client for a location.
///
/// Whatever it signs with is replaced by the host. Retries are ours, so that they know the
/// call's deadline; what needs a timer or a thread is off, since there is none here.
pub(crate) fn new(details: &Details) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(details.region.clone()))
        .credentials_provider(Credentials::new("placeholder", "placeholder", None, None, "host"))
        .endpoint_url(details.endpoint.to_string())
        .force_path_style(!details.virtual_host)
        .identity_cache(IdentityCache::no_cache())
        .http_client(SharedHttpClient::new(Connector))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}

/// Adds headers to one request of the client.
pub(crate) fn with_headers(headers: Vec<(String, String)>) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    move |request| {
        for (name, value) in &headers {
            // Names and values were fitted to what a header can hold.
            let _ = request.headers_mut().try_insert(name.clone(), value.clone());
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Connector;

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(*self)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // A component has one thread, which the SDK does not know.
        HttpConnectorFuture::new(SendWrapper::new(async move {
            exchange(request).await.map_err(|failure| ConnectorError::io(NoAnswer(failure).into()))
        }))
    }
}

async fn exchange(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let refuse = |what: &str| failure::internal(format!("the SDK made a request with {what}"));
    let (origin, rest) =
        Origin::parse(request.uri(), true).map_err(|error| refuse(&format!("a bad address: {error:?}")))?;
    let path = if rest.starts_with('/') { rest } else { format!("/{rest}") };
    let mut sent = Request::new(method(request.method()), &origin, path);
    for (name, value) in request.headers().iter() {
        // The host and the length are set where the request is sent.
        if name != "host" && name != "content-length" {
            sent = sent.header(name, value);
        }
    }
    let body = request.body().bytes().ok_or_else(|| refuse("a streamed body"))?;
    if !body.is_empty() || matches!(request.method(), "PUT" | "POST") {
        sent = sent.bytes(body.to_vec());
    }
    let response = sent.send().await?;
    let status =
        response.status().try_into().map_err(|_| failure::unavailable("an answer with an impossible status"))?;
    let headers: Vec<_> = response.headers().to_vec();
    let body = response.read_to_limit(LONGEST_ANSWER).await?;
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in headers {
        if let Ok(value) = String::from_utf8(value) {
            let _ = answer.headers_mut().try_append(name, value);
        }
    }
    Ok(answer)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    }
}
