//! Posts messages to a URL.

use super::chain;
use crate::config::WebhookTarget;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use sallyport_core::notification::{DeliveryFailure, Message};
use std::time::Duration;

/// An answer's body is read only so that its connection can be used again.
const MOST_READ: usize = 64 << 10;
/// How long a connection without work is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The event's id: the same each time it is sent.
const EVENT_ID: HeaderName = HeaderName::from_static("x-sallyport-event-id");

/// A URL with what is sent along.
pub(super) struct Webhook {
    url: Uri,
    header: Option<(HeaderName, HeaderValue)>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Webhook {
    /// Checks the target once more, in the types that requests are made of.
    pub(super) fn new(target: &WebhookTarget, tls: ClientConfig) -> anyhow::Result<Self> {
        let header = match &target.header {
            Some((name, value)) => {
                let mut value = HeaderValue::from_str(value.reveal())?;
                value.set_sensitive(true);
                Some((HeaderName::from_bytes(name.as_bytes())?, value))
            }
            None => None,
        };
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.enforce_http(false);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Ok(Self { url: target.url.reveal().parse()?, header, client })
    }

    /// Posts a message. Any 2xx takes it; a redirection is not followed, since the operator
    /// named this place and no other.
    pub(super) async fn post(&self, message: &Message) -> Result<(), DeliveryFailure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "Sallyport")
            .header(EVENT_ID, &message.id);
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(message.body.clone()));
        let request = request.map_err(|error| DeliveryFailure::Unavailable(error.to_string()))?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| DeliveryFailure::Unavailable(chain(&error)))?;
        let status = answer.status();
        let _ = Limited::new(answer.into_body(), MOST_READ).collect().await;
        judge(status)
    }
}

/// What an answer means: only what blames the message itself will be said again of it.
fn judge(status: StatusCode) -> Result<(), DeliveryFailure> {
    if status.is_success() {
        return Ok(());
    }
    let text = format!("it answered {status}");
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(DeliveryFailure::Refused(text)),
        _ => Err(DeliveryFailure::Unavailable(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_blames_the_message_is_a_refusal() {
        assert_eq!(judge(StatusCode::NO_CONTENT), Ok(()));
        for status in [400, 413, 415, 422] {
            let answer = judge(StatusCode::from_u16(status).unwrap());
            assert!(matches!(answer, Err(DeliveryFailure::Refused(_))), "{status}");
        }
        for status in [301, 401, 403, 404, 408, 429, 500, 503] {
            let answer = judge(StatusCode::from_u16(status).unwrap());
            assert!(matches!(answer, Err(DeliveryFailure::Unavailable(_))), "{status}");
        }
    }
}
