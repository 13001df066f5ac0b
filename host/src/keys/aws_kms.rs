//! A client of [AWS KMS](https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html), and of what speaks its
//! protocol: Encrypt and Decrypt, which is all that wrapping takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sallyport_core::encryption::KeyError;
use sallyport_plugin::{AwsIdentity, AwsSigner};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// For one try, from the connection to the answer's last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// Waits between tries; one try more than waits.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// More than any answer has, in bytes.
const LARGEST_ANSWER: usize = 64 << 10;
/// Idle connections are closed by the service after some minutes.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Where a service is, and who asks it.
pub struct AwsKmsOptions {
    /// `https://kms.eu-west-1.amazonaws.com`, say.
    pub endpoint: Uri,
    /// What signatures name.
    pub region: String,
    /// The access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Zeroizing<String>,
    /// Of temporary credentials.
    pub session_token: Option<Zeroizing<String>>,
}

/// The client; keeps connections.
pub(super) struct AwsKms {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Uri,
    signer: AwsSigner,
}

/// What went wrong with one try.
enum Failed {
    /// It would again.
    ForGood(KeyError),
    /// Another try may help.
    ForNow(String),
}

impl AwsKms {
    /// # Errors
    /// When the system's authorities cannot be read.
    pub(super) fn new(options: AwsKmsOptions) -> Result<Self, KeyError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(PATIENCE));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector);
        let signer = AwsSigner::new(&AwsIdentity {
            access_key: &options.access_key,
            secret_key: &options.secret_key,
            session_token: options.session_token.as_deref().map(String::as_str),
            region: &options.region,
            service: "kms",
        });
        Ok(Self { client, endpoint: options.endpoint, signer })
    }

    /// Encrypts a few bytes under a key.
    pub(super) async fn encrypt(&self, key: &str, plain: &[u8], context: Value) -> Result<Vec<u8>, KeyError> {
        let text = Zeroizing::new(STANDARD.encode(plain));
        let request = json!({ "KeyId": key, "Plaintext": *text, "EncryptionContext": context });
        let answer = self.ask("Encrypt", key, request).await?;
        bytes(&answer, "CiphertextBlob").map(|bytes| bytes.to_vec())
    }

    /// Decrypts what this key, and no other, encrypted.
    pub(super) async fn decrypt(
        &self,
        key: &str,
        sealed: &[u8],
        context: Value,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let text = STANDARD.encode(sealed);
        let request = json!({ "KeyId": key, "CiphertextBlob": text, "EncryptionContext": context });
        bytes(&self.ask("Decrypt", key, request).await?, "Plaintext")
    }

    /// Asks until there is an answer, or it will not help to ask again. Nothing is changed by
    /// asking twice.
    async fn ask(&self, operation: &str, key: &str, request: Value) -> Result<Map<String, Value>, KeyError> {
        let body = Bytes::from(request.to_string());
        let mut waits = WAITS.into_iter();
        loop {
            let outcome = tokio::time::timeout(PATIENCE, self.attempt(operation, key, body.clone())).await;
            let outcome = outcome.unwrap_or_else(|_| Err(Failed::ForNow("it did not answer in time".to_owned())));
            match (outcome, waits.next()) {
                (Ok(answer), _) => return Ok(answer),
                (Err(Failed::ForGood(error)), _) => return Err(error),
                (Err(Failed::ForNow(why)), None) => return Err(KeyError::Unavailable(format!("{operation}: {why}"))),
                (Err(Failed::ForNow(_)), Some(wait)) => tokio::time::sleep(wait).await,
            }
        }
    }

    async fn attempt(&self, operation: &str, key: &str, body: Bytes) -> Result<Map<String, Value>, Failed> {
        let for_good = |why: String| Failed::ForGood(KeyError::Unavailable(why));
        let request = Request::post(self.endpoint.clone())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"))
            .header("x-amz-content-sha256", hex::encode(Sha256::digest(&body)))
            .body(Full::new(body))
            .map_err(|error| for_good(error.to_string()))?;
        let (mut parts, body) = request.into_parts();
        self.signer.sign(&mut parts, OffsetDateTime::now_utc()).map_err(for_good)?;
        let answer = self.client.request(Request::from_parts(parts, body)).await;
        let answer = answer.map_err(|error| Failed::ForNow(chain(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        // It may hold a key.
        let body = Zeroizing::new(body.map_err(|error| Failed::ForNow(error.to_string()))?.to_bytes().to_vec());
        let fields = serde_json::from_slice::<Map<String, Value>>(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(fields);
        }
        let kind = fields.get("__type").and_then(Value::as_str).unwrap_or_default();
        Err(refused(status, kind.rsplit('#').next().unwrap_or_default(), key))
    }
}

/// What a [service's error](https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html) means.
fn refused(status: http::StatusCode, kind: &str, key: &str) -> Failed {
    let key = key.to_owned();
    Failed::ForGood(match kind {
        "NotFoundException" => KeyError::NotFound(key),
        "DisabledException" | "KMSInvalidStateException" | "InvalidKeyUsageException" => KeyError::Disabled(key),
        "InvalidArnException" | "ValidationException" => KeyError::InvalidName(key),
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyError::Unreadable(key),
        "AccessDeniedException" => KeyError::Denied(key),
        _ if status.is_server_error()
            || status == 429
            || kind.starts_with("Throttling")
            || kind == "LimitExceededException" =>
        {
            return Failed::ForNow(format!("{status} {kind}"));
        }
        _ => KeyError::Unavailable(format!("{status} {kind}")),
    })
}

fn bytes(answer: &Map<String, Value>, field: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = answer.get(field).and_then(Value::as_str).unwrap_or_default();
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes.map(Zeroizing::new).ok_or_else(|| KeyError::Unavailable(format!("an answer without {field}")))
}

fn tls() -> Result<rustls::ClientConfig, KeyError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| KeyError::Unavailable(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// An error with its causes: the client's own says little.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn an_error_is_for_good_or_for_now() {
        let of = |status: u16, kind: &str| match refused(StatusCode::from_u16(status).unwrap(), kind, "k") {
            Failed::ForGood(error) => Some(error),
            Failed::ForNow(_) => None,
        };
        assert_eq!(of(400, "NotFoundException"), Some(KeyError::NotFound("k".into())));
        assert_eq!(of(400, "KMSInvalidStateException"), Some(KeyError::Disabled("k".into())));
        assert_eq!(of(400, "AccessDeniedException"), Some(KeyError::Denied("k".into())));
        assert_eq!(of(400, "InvalidCiphertextException"), Some(KeyError::Unreadable("k".into())));
        for (status, kind) in [(500, "KMSInternalException"), (503, ""), (400, "ThrottlingException"), (429, "")] {
            assert_eq!(of(status, kind), None, "{status} {kind}");
        }
        assert!(matches!(of(403, "UnrecognizedClientException"), Some(KeyError::Unavailable(_))));
    }
}
