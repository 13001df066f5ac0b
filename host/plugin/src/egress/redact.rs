//! Answers on their way back to a plugin: what of a secret an upstream repeats is replaced, and
//! an answer that holds minted credentials is cut.

use super::minting::MINTED;
use crate::secret::Secret;
use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// Shorter texts cannot be told from others.
const SHORTEST: usize = 8;

/// Texts that are not to come back, each with one of the same length in its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redactor(Arc<[(Secret, String)]>);

impl Redactor {
    /// Takes secrets, with their placeholders where a plugin may use those again.
    pub(crate) fn new(secrets: impl IntoIterator<Item = (Secret, Option<String>)>) -> Self {
        let mut pairs: Vec<(Secret, String)> = Vec::new();
        for (secret, placeholder) in secrets {
            for text in spellings(secret.reveal()) {
                if text.len() < SHORTEST || pairs.iter().any(|(known, _)| known.reveal() == text) {
                    continue;
                }
                let fits = placeholder.as_ref().filter(|it| text == secret.reveal() && it.len() == text.len());
                let filler = fits.cloned().unwrap_or_else(|| "*".repeat(text.len()));
                pairs.push((Secret::new(text), filler));
            }
        }
        // A secret that holds another one is looked for first.
        pairs.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.reveal().len()));
        Self(pairs.into())
    }

    /// The same with one more, such as a token that was fetched.
    pub(crate) fn with(&self, secret: &Secret) -> Self {
        let more = Self::new([(secret.clone(), None)]);
        Self(self.0.iter().chain(more.0.iter()).cloned().collect())
    }

    /// Replaces what headers repeat.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let mut bytes = value.as_bytes().to_vec();
            if self.bytes(&mut bytes)
                && let Ok(replaced) = HeaderValue::from_bytes(&bytes)
            {
                *value = replaced;
            }
        }
    }

    /// Replaces in place; answers whether there was anything.
    fn bytes(&self, bytes: &mut [u8]) -> bool {
        let mut found = false;
        for (secret, filler) in self.0.iter() {
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| position(rest, secret.reveal().as_bytes())) {
                let start = from + at;
                from = start + filler.len();
                if let Some(place) = bytes.get_mut(start..from) {
                    place.copy_from_slice(filler.as_bytes());
                }
                found = true;
            }
        }
        found
    }

    /// A body in which nothing comes back.
    pub(crate) fn body(&self, body: WasiBody) -> Redacted {
        let minted = MINTED.iter().map(|text| text.len());
        let longest = self.0.iter().map(|(secret, _)| secret.reveal().len()).chain(minted).max().unwrap_or_default();
        Redacted { body, redactor: self.clone(), kept: longest.saturating_sub(1), tail: Vec::new(), ended: false }
    }
}

/// The ways in which an upstream may write a text.
fn spellings(text: &str) -> Vec<String> {
    let decoded = percent_decode_str(text).decode_utf8_lossy().into_owned();
    let encoded = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
    let escaped = decoded.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    vec![text.to_owned(), decoded, encoded.to_ascii_lowercase(), encoded, escaped]
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// A body that is looked through. Its length stays.
pub(crate) struct Redacted {
    body: WasiBody,
    redactor: Redactor,
    /// Bytes that wait, since the next ones may complete a secret.
    kept: usize,
    tail: Vec<u8>,
    ended: bool,
}

impl Body for Redacted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if self.ended {
                let rest = std::mem::take(&mut self.tail);
                return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest.into()))));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are nothing that a plugin gets to see.
                    let Ok(data) = frame.into_data() else { continue };
                    self.tail.extend_from_slice(&data);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.ended = true,
            }
            let this = &mut *self;
            this.redactor.bytes(&mut this.tail);
            if MINTED.iter().any(|text| position(&this.tail, text).is_some()) {
                tracing::warn!("an answer with credentials was kept from a plugin");
                this.tail.clear();
                this.ended = true;
                return Poll::Ready(Some(Err(Error::HttpRequestDenied)));
            }
            let ready = this.tail.len().saturating_sub(this.kept);
            if ready > 0 && !this.ended {
                let rest = this.tail.split_off(ready);
                let data = std::mem::replace(&mut this.tail, rest);
                return Poll::Ready(Some(Ok(Frame::data(data.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tail.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let (waiting, inner) = (self.tail.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(waiting));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(waiting));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};

    fn body(chunks: Vec<Vec<u8>>) -> WasiBody {
        let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from(chunk))));
        StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
    }

    async fn through(redactor: &Redactor, text: &str, size: usize) -> Result<String, Error> {
        let chunks = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        let bytes = redactor.body(body(chunks)).collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn a_secret_is_replaced_wherever_the_frames_are_cut() {
        let redactor = Redactor::new([(Secret::new("to/ken+secret=="), None)]);
        let text = "<E>to/ken+secret== and to%2Fken%2Bsecret%3D%3D and to%2fken%2bsecret%3d%3d</E>";
        for size in 1..text.len() {
            let seen = through(&redactor, text, size).await.expect("a body");
            assert_eq!(seen.len(), text.len());
            assert!(!seen.contains("secret"), "{size}: {seen}");
            assert!(seen.starts_with("<E>***") && seen.ends_with("*</E>"), "{seen}");
        }
    }

    #[tokio::test]
    async fn minted_credentials_never_arrive() {
        let text = "<AssumeRoleResult><Credentials><SecretAccessKey>abc</SecretAccessKey></Credentials>";
        for size in [1, 7, 1000] {
            assert!(through(&Redactor::default(), text, size).await.is_err());
        }
        let harmless = "<Key>SecretAccessKey</Key>";
        assert_eq!(through(&Redactor::default(), harmless, 3).await.ok().as_deref(), Some(harmless));
    }

    #[test]
    fn headers_get_the_placeholder_that_a_plugin_knows() {
        let redactor = Redactor::new([(Secret::new("real-sig%2Bxx"), Some("stand-in-1234".to_owned()))]);
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-copy-source", HeaderValue::from_static("https://a/b?sig=real-sig%2Bxx"));
        headers.insert("x-decoded", HeaderValue::from_static("real-sig+xx"));
        redactor.headers(&mut headers);
        let shown = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().to_owned());
        assert_eq!(shown("x-ms-copy-source").as_deref(), Some("https://a/b?sig=stand-in-1234"));
        assert_eq!(shown("x-decoded").as_deref(), Some("***********"));
        assert!(!format!("{redactor:?}").contains("real-sig"));
    }
}
