//! Answers on their way back to a plugin: what of a secret an upstream repeats is replaced, and
//! an answer that holds minted credentials is cut.

use super::minting::MINTED;
use crate::secret::Secret;
use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// Shorter texts cannot be told from others.
const SHORTEST: usize = 8;

/// What RFC 3986 leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');
/// What forms encode.
const FORM: &AsciiSet = &UNRESERVED.add(b'~').remove(b'*');
/// What JavaScript's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// How writers of markup and of JSON escape characters, those that are in use.
const ESCAPES: [&[(char, &str)]; 10] = [
    &[('&', "&amp;"), ('<', "&lt;"), ('"', "&quot;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&apos;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;"), ('+', "&#43;")],
    &[('"', "\\\""), ('\\', "\\\\")],
    &[('"', "\\\""), ('\\', "\\\\"), ('/', "\\/")],
    &[('"', "\\\""), ('\\', "\\\\"), ('&', "\\u0026"), ('<', "\\u003c"), ('>', "\\u003e")],
    &[
        ('"', "\\u0022"),
        ('\\', "\\\\"),
        ('&', "\\u0026"),
        ('<', "\\u003C"),
        ('>', "\\u003E"),
        ('\'', "\\u0027"),
        ('+', "\\u002B"),
    ],
];

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
            if !self.occurs(value.as_bytes()) {
                continue;
            }
            let mut bytes = value.as_bytes().to_vec();
            if self.bytes(&mut bytes)
                && let Ok(replaced) = HeaderValue::from_bytes(&bytes)
            {
                *value = replaced;
            }
        }
    }

    fn occurs(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|(secret, _)| position(bytes, secret.reveal().as_bytes()).is_some())
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

/// The ways in which an upstream may write a text, as it is first of all.
fn spellings(text: &str) -> Vec<String> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let mut spellings = vec![text.to_owned(), decoded.clone().into_owned()];
    for set in [NON_ALPHANUMERIC, UNRESERVED, PATH, FORM, COMPONENT] {
        let encoded = utf8_percent_encode(&decoded, set).to_string();
        spellings.extend([with_small_digits(&encoded), encoded]);
    }
    spellings.extend(ESCAPES.iter().map(|escapes| escaped(&decoded, escapes)));
    spellings
}

/// An encoded text with small letters behind each `%`.
fn with_small_digits(encoded: &str) -> String {
    let mut digits = 0_u8;
    let small = |character: char| {
        if character == '%' {
            digits = 2;
            return character;
        }
        let is_digit = digits > 0;
        digits = digits.saturating_sub(1);
        if is_digit { character.to_ascii_lowercase() } else { character }
    };
    encoded.chars().map(small).collect()
}

fn escaped(text: &str, escapes: &[(char, &str)]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match escapes.iter().find(|(known, _)| *known == character) {
            Some((_, escape)) => escaped.push_str(escape),
            None => escaped.push(character),
        }
    }
    escaped
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

    /// What is left of a text of which all is to be replaced.
    fn left(secret: &str, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        Redactor::new([(Secret::new(secret), None)]).bytes(&mut bytes);
        String::from_utf8_lossy(&bytes).replace('*', "")
    }

    #[test]
    fn a_secret_is_known_in_every_usual_spelling() {
        let token = "token-ab-cd_ef.gh~ij+kl/mn==";
        for text in [
            token,
            "token-ab-cd_ef.gh~ij%2Bkl%2Fmn%3D%3D",
            "token-ab-cd_ef.gh~ij%2bkl%2fmn%3d%3d",
            "token-ab-cd_ef.gh~ij%2Bkl/mn%3D%3D",
            "token-ab-cd_ef.gh~ij%2bkl/mn%3d%3d",
            "token-ab-cd_ef.gh%7Eij%2Bkl%2Fmn%3D%3D",
            "token%2Dab%2Dcd%5Fef%2Egh%7Eij%2Bkl%2Fmn%3D%3D",
            "token-ab-cd_ef.gh~ij+kl\\/mn==",
            "token-ab-cd_ef.gh~ij\\u002Bkl/mn==",
            "token-ab-cd_ef.gh~ij&#43;kl/mn==",
        ] {
            assert_eq!(left(token, text), "", "{text}");
            assert_eq!(left("token-ab-cd_ef.gh~ij%2Bkl%2Fmn%3D%3D", text), "", "{text}, of an encoded one");
        }
        let marks = r#"Ab'c"d<e>f&G(h)"#;
        for text in [
            "Ab&#39;c&quot;d&lt;e&gt;f&amp;G(h)",
            "Ab&#x27;c&quot;d&lt;e&gt;f&amp;G(h)",
            "Ab&apos;c&quot;d&lt;e&gt;f&amp;G(h)",
            "Ab&#39;c&#34;d&lt;e&gt;f&amp;G(h)",
            r#"Ab'c"d&lt;e&gt;f&amp;G(h)"#,
            r#"Ab'c\"d\u003ce\u003ef\u0026G(h)"#,
            "Ab'c%22d%3Ce%3Ef%26G(h)",
            "Ab%27c%22d%3ce%3ef%26G%28h%29",
        ] {
            assert_eq!(left(marks, text), "", "{text}");
        }
    }

    #[tokio::test]
    async fn minted_credentials_never_arrive() {
        for text in [
            "<AssumeRoleResult><Credentials><SecretAccessKey>abc</SecretAccessKey></Credentials>",
            r#"{"keys":[{"user":"u","access_key":"a","secret_key":"s"}]}"#,
        ] {
            for size in [1, 7, 1000] {
                assert!(through(&Redactor::default(), text, size).await.is_err(), "{text}");
            }
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
