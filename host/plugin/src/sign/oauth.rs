//! OAuth 2.0 client credentials: the host fetches the token and keeps it while it is good.

use crate::egress::Plain;
use crate::secret::Secret;
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Renewed this long before its end.
const MARGIN: Duration = Duration::from_secs(120);
/// No token is kept for longer, whatever is said of it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Parts {
    pub(crate) token_url: String,
    pub(crate) client_id: Secret,
    pub(crate) client_secret: Secret,
    pub(crate) scope: String,
}

pub(crate) struct ClientCredentials {
    parts: Parts,
    kept: Mutex<Option<(Secret, Instant)>>,
}

#[derive(serde::Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

impl ClientCredentials {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, kept: Mutex::new(None) }
    }

    /// A token that is good for a while; whoever comes first fetches it, the others wait.
    pub(crate) async fn token(&self, plain: &Plain<'_>) -> Result<Secret, String> {
        let mut kept = self.kept.lock().await;
        if let Some((token, until)) = kept.as_ref()
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let answer = self.fetch(plain).await?;
        let token = Secret::new(answer.access_token);
        *kept = Some((token.clone(), Instant::now() + lifetime(answer.expires_in)));
        Ok(token)
    }

    async fn fetch(&self, plain: &Plain<'_>) -> Result<Answer, String> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
            encode(self.parts.client_id.reveal()),
            encode(self.parts.client_secret.reveal()),
            encode(&self.parts.scope),
        );
        let request = http::Request::post(self.parts.token_url.as_str())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(form.into()).map_err(|never| match never {}).boxed_unsync())
            .map_err(|_| "the token's URL is malformed".to_owned())?;
        let response = plain.send(request).await.map_err(|error| format!("no token: {error}"))?;
        let status = response.status();
        if !status.is_success() {
            // The plugin reads this, and the URL may be a secret.
            return Err(format!("no token: the answer was {status}"));
        }
        let body = Limited::new(response.into_body(), 64 << 10).collect().await;
        let body = body.map_err(|error| format!("no token: {error}"))?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| "no token: the answer is not one".to_owned())
    }
}

/// How long a token is used that is good for so many seconds.
fn lifetime(expires_in: Option<u64>) -> Duration {
    Duration::from_secs(expires_in.unwrap_or(300)).min(LONGEST).saturating_sub(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_its_end_and_within_a_day() {
        assert_eq!(lifetime(None), Duration::from_secs(180));
        assert_eq!(lifetime(Some(3_600)), Duration::from_secs(3_480));
        assert_eq!(lifetime(Some(60)), Duration::ZERO);
        assert_eq!(lifetime(Some(u64::MAX)), LONGEST.saturating_sub(MARGIN));
    }
}
