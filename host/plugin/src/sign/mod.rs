//! Authenticates requests on their way out, so that no secret ever enters a plugin.

mod aws;
mod azure_shared_key;
mod oauth;
mod query;
mod sigv4;

pub use aws::{AwsIdentity, AwsSigner};
pub(crate) use query::Replacements;

use crate::egress::Plain;
use crate::secret::Secret;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use std::collections::HashMap;
use wasmtime_wasi_http::{Error, WasiBody};

/// How one location's requests are authenticated.
pub(crate) enum Signer {
    SigV4(sigv4::SigV4),
    AzureSharedKey(azure_shared_key::SharedKey),
    Query(query::Query),
    Bearer(Secret),
    OAuth(oauth::ClientCredentials),
}

/// Why requests cannot be authenticated.
#[derive(Debug)]
pub(crate) struct Unsignable {
    /// The parameter that is absent or wrong; none when it is the scheme.
    pub(crate) parameter: Option<&'static str>,
    pub(crate) message: String,
}

impl Signer {
    /// A signer of the scheme that a plugin names.
    pub(crate) fn new(scheme: &str, parameters: &HashMap<String, Secret>) -> Result<Self, Unsignable> {
        let parameter = |name: &'static str| {
            let found = parameters.get(name).filter(|value| !value.reveal().is_empty());
            found.cloned().ok_or_else(|| Unsignable {
                parameter: Some(name),
                message: format!("the signing scheme {scheme} needs the parameter {name}"),
            })
        };
        match scheme {
            "sigv4" => Ok(Self::SigV4(sigv4::SigV4::new(sigv4::Parts {
                access_key: parameter("access-key")?,
                secret_key: parameter("secret-key")?,
                session_token: parameters.get("session-token").filter(|token| !token.reveal().is_empty()).cloned(),
                region: parameter("region")?.reveal().to_owned(),
                service: parameter("service")?.reveal().to_owned(),
            }))),
            "azure-shared-key" => azure_shared_key::SharedKey::new(parameter("account")?.reveal(), &parameter("key")?)
                .map(Self::AzureSharedKey)
                .map_err(|message| Unsignable { parameter: Some("key"), message }),
            "query" => Ok(Self::Query(query::Query::new(parameter("sas")?))),
            "bearer" => Ok(Self::Bearer(parameter("token")?)),
            "oauth-client-credentials" => Ok(Self::OAuth(oauth::ClientCredentials::new(oauth::Parts {
                token_url: parameter("token-url")?.reveal().to_owned(),
                client_id: parameter("client-id")?,
                client_secret: parameter("client-secret")?,
                scope: parameter("scope")?.reveal().to_owned(),
            }))),
            other => {
                let message = format!("this host does not know the signing scheme {other}");
                Err(Unsignable { parameter: None, message })
            }
        }
    }

    /// Whether it is AWS's.
    pub(crate) fn is_sigv4(&self) -> bool {
        matches!(self, Self::SigV4(_))
    }

    /// What requests carry as it is, beside signatures that are good for one request.
    pub(crate) fn travelling(&self) -> Vec<Secret> {
        match self {
            Self::SigV4(signer) => signer.session_token().into_iter().collect(),
            Self::Bearer(token) => vec![token.clone()],
            Self::Query(signer) => signer.secrets(),
            Self::AzureSharedKey(_) | Self::OAuth(_) => Vec::new(),
        }
    }

    /// Replaces whatever the plugin signed with by the real thing. Answers the token that was
    /// fetched for it, if one was.
    pub(crate) async fn sign(
        &self,
        request: &mut http::Request<WasiBody>,
        plain: &Plain<'_>,
    ) -> Result<Option<Secret>, Error> {
        let mut fetched = None;
        let (mut parts, body) = std::mem::take(request).into_parts();
        let signed = match self {
            Self::SigV4(signer) => signer.sign(&mut parts, time::OffsetDateTime::now_utc()),
            Self::AzureSharedKey(signer) => signer.sign(&mut parts, time::OffsetDateTime::now_utc()),
            Self::Query(signer) => signer.sign(&mut parts),
            Self::Bearer(token) => authorize(&mut parts, &format!("Bearer {}", token.reveal())),
            Self::OAuth(signer) => match signer.token(plain).await {
                Ok(token) => {
                    let authorized = authorize(&mut parts, &format!("Bearer {}", token.reveal()));
                    fetched = Some(token);
                    authorized
                }
                Err(why) => Err(why),
            },
        };
        *request = http::Request::from_parts(parts, body);
        signed.map(|()| fetched).map_err(|why| Error::InternalError(Some(why)))
    }
}

fn authorize(parts: &mut http::request::Parts, value: &str) -> Result<(), String> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| "a credential holds characters that no header can".to_owned())?;
    value.set_sensitive(true);
    parts.headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// Puts text into a header that the host made itself.
fn header(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "a header of the signature cannot be written".to_owned())
}
