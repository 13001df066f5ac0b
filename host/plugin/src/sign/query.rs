//! Secrets that travel in a query string, such as Azure's SAS.

use crate::egress::policy::{Policy, default_port};
use crate::secret::Secret;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use wasmtime_wasi_http::WasiBody;

/// Adds a query string to each request.
pub(crate) struct Query(Secret);

impl Query {
    pub(crate) fn new(sas: Secret) -> Self {
        Self(Secret::new(sas.reveal().trim_start_matches('?')))
    }

    /// What nobody else may know: the whole, and its signature; without one, each value but those
    /// that say what a signature is good for, which answers are full of.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let is_signature = |pair: &str| pair.starts_with("sig=");
        let is_signed = self.0.reveal().split('&').any(is_signature);
        let is_secret = |pair: &&str| if is_signed { is_signature(pair) } else { !is_sas(pair) };
        let values = self
            .0
            .reveal()
            .split('&')
            .filter(is_secret)
            .map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        std::iter::once(self.0.clone()).chain(values.map(Secret::new)).collect()
    }

    pub(crate) fn sign(&self, request: &mut http::request::Parts) -> Result<(), String> {
        request.headers.remove(AUTHORIZATION);
        let ours: Vec<&str> = self.0.reveal().split('&').filter_map(|pair| pair.split('=').next()).collect();
        let kept = request.uri.query().unwrap_or_default().split('&').filter(|pair| {
            // A plugin's library may have added its placeholder already.
            let name = pair.split('=').next().unwrap_or_default();
            !(name.is_empty() || name == "sig" || (ours.contains(&name) && is_sas(pair)))
        });
        let query: Vec<&str> = kept.chain(std::iter::once(self.0.reveal())).collect();
        let path = format!("{}?{}", request.uri.path(), query.join("&"));
        let mut parts = std::mem::take(&mut request.uri).into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| "the query of the credentials is malformed".to_owned())?);
        request.uri =
            http::Uri::from_parts(parts).map_err(|_| "the query of the credentials is malformed".to_owned())?;
        Ok(())
    }
}

/// Parameters of a signature, as opposed to `comp`, `restype`, `prefix` and their like.
fn is_sas(pair: &str) -> bool {
    const NAMES: [&str; 29] = [
        "sv",
        "ss",
        "srt",
        "sp",
        "se",
        "st",
        "spr",
        "sip",
        "sr",
        "si",
        "sdd",
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
        "saoid",
        "suoid",
        "scid",
        "ses",
        "skdutid",
        "sduoid",
        "rscc",
        "rscd",
        "rsce",
        "rscl",
        "rsct",
        "api-version",
    ];
    NAMES.contains(&pair.split('=').next().unwrap_or_default())
}

/// Placeholders of query secrets, filled in where a request may carry them.
#[derive(Default)]
pub(crate) struct Replacements(Vec<(String, Secret)>);

/// The one header in which an upstream reads somebody's query secret.
const COPY_SOURCE: &str = "x-ms-copy-source";

impl Replacements {
    /// Takes (placeholder, secret); texts too short to be told from others are left alone.
    pub(crate) fn new(pairs: Vec<(String, Secret)>) -> Self {
        Self(
            pairs
                .into_iter()
                .filter(|(placeholder, secret)| placeholder.len() >= 12 && secret.reveal().len() >= 12)
                .collect(),
        )
    }

    /// Each placeholder with its secret.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (String, Secret)> + Clone {
        self.0.iter().cloned()
    }

    pub(crate) fn fill(&self, request: &mut http::Request<WasiBody>, policy: &Policy) {
        let Some(value) = request.headers().get(COPY_SOURCE) else { return };
        let Ok(text) = value.to_str() else { return };
        let Ok(uri) = text.parse::<http::Uri>() else { return };
        // Who reads the header may find another host in an authority with a user in it.
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return;
        }
        let scheme = uri.scheme_str().unwrap_or_default();
        let port = uri.port_u16().or_else(|| default_port(scheme)).unwrap_or_default();
        // The secret goes where the location's own requests may go, and nowhere else.
        if uri.host().and_then(|host| policy.admit(scheme, host, port)).is_none() {
            return;
        }
        let filled = self
            .0
            .iter()
            .fold(text.to_owned(), |text, (placeholder, secret)| text.replace(placeholder.as_str(), secret.reveal()));
        if let Ok(mut value) = HeaderValue::from_str(&filled) {
            value.set_sensitive(true);
            request.headers_mut().insert(COPY_SOURCE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> http::request::Parts {
        http::Request::builder().uri(uri).body(()).expect("a request").into_parts().0
    }

    #[test]
    fn all_of_a_query_is_secret_but_what_says_what_it_is_good_for() {
        let secrets = |sas: &str| {
            let secrets = Query::new(Secret::new(sas)).secrets();
            secrets.iter().map(|secret| secret.reveal().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(secrets("?token=long-secret&x=1"), ["token=long-secret&x=1", "long-secret", "1"]);
        assert_eq!(secrets("a-bare-secret"), ["a-bare-secret", "a-bare-secret"]);
        let signed = "sv=2024-11-04&se=2099-01-01&sig=real%2Bsignature";
        assert_eq!(secrets(signed), [signed, "real%2Bsignature"]);
    }

    #[test]
    fn the_query_is_added_once_and_the_requests_own_stays() {
        let signer = Query::new(Secret::new("?sv=2024-11-04&sp=rw&sig=real%2Bsecret"));
        let mut parts = request("https://a.blob.core.windows.net/c/b?comp=block&sv=2024-11-04&sp=rw&sig=placeholder");
        signer.sign(&mut parts).expect("signed");
        assert_eq!(parts.uri.query(), Some("comp=block&sv=2024-11-04&sp=rw&sig=real%2Bsecret"));
        let mut parts = request("https://a.blob.core.windows.net/c/b");
        signer.sign(&mut parts).expect("signed");
        assert_eq!(parts.uri.query(), Some("sv=2024-11-04&sp=rw&sig=real%2Bsecret"));
    }
}
