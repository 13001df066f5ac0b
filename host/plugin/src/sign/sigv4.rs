//! AWS Signature Version 4 in headers.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use super::{authorize, header};
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, HOST, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use time::OffsetDateTime;
use time::macros::format_description;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) struct Parts {
    pub(crate) access_key: Secret,
    pub(crate) secret_key: Secret,
    pub(crate) session_token: Option<Secret>,
    pub(crate) region: String,
    pub(crate) service: String,
}

pub(crate) struct SigV4 {
    parts: Parts,
    /// The signing key of a day, which four hashes less make.
    day: Mutex<Option<Arc<DayKey>>>,
}

/// A date, and the key that signs on it.
type DayKey = (String, [u8; 32]);

impl SigV4 {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, day: Mutex::new(None) }
    }

    /// What each request carries beside its signature.
    pub(crate) fn session_token(&self) -> Option<Secret> {
        self.parts.session_token.clone()
    }

    pub(crate) fn sign(&self, request: &mut http::request::Parts, now: OffsetDateTime) -> Result<(), String> {
        let stamp = now
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .map_err(|_| "the clock is out of range".to_owned())?;
        let date = stamp.get(..8).ok_or_else(|| "the clock is out of range".to_owned())?;
        check_payload(request)?;
        request.headers.remove(AUTHORIZATION);
        request.headers.remove(TOKEN);
        if !request.headers.contains_key(HOST) {
            let authority = request.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
            let value = header(authority)?;
            request.headers.insert(HOST, value);
        }
        request.headers.insert(DATE, header(&stamp)?);
        if let Some(token) = &self.parts.session_token {
            let mut value = header(token.reveal())?;
            value.set_sensitive(true);
            request.headers.insert(TOKEN, value);
        }
        if !request.headers.contains_key(CONTENT) {
            request.headers.insert(CONTENT, header(UNSIGNED)?);
        }
        let (canonical, signed) = canonical_request(request, &self.parts.service);
        let scope = format!("{date}/{}/{}/aws4_request", self.parts.region, self.parts.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let key = self.key_of(date)?;
        let signature = hex::encode(hmac(&key.1, to_sign.as_bytes())?);
        let access_key = self.parts.access_key.reveal();
        let value =
            format!("AWS4-HMAC-SHA256 Credential={access_key}/{scope},SignedHeaders={signed},Signature={signature}");
        authorize(request, &value)
    }

    fn key_of(&self, date: &str) -> Result<Arc<DayKey>, String> {
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = day.as_ref().filter(|key| key.0 == date) {
            return Ok(key.clone());
        }
        let secret = format!("AWS4{}", self.parts.secret_key.reveal());
        let key = hmac(secret.as_bytes(), date.as_bytes())?;
        let key = hmac(&key, self.parts.region.as_bytes())?;
        let key = hmac(&key, self.parts.service.as_bytes())?;
        let key = Arc::new((date.to_owned(), hmac(&key, b"aws4_request")?));
        *day = Some(key.clone());
        Ok(key)
    }
}

/// Refuses by name the payloads whose every chunk would need a signature of its own: the
/// plugin frames the body, and the host signs nothing within it.
fn check_payload(request: &http::request::Parts) -> Result<(), String> {
    for value in request.headers.get_all(CONTENT) {
        let text = value.to_str().unwrap_or_default();
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !(is_hash || text == UNSIGNED || text == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
            return Err(format!(
                "x-amz-content-sha256 is {}, which this host does not sign: set the body's SHA-256, {UNSIGNED} or \
                 STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                crate::log::printable(text, 64)
            ));
        }
    }
    Ok(())
}

/// The canonical request and the names of its signed headers.
fn canonical_request(request: &http::request::Parts, service: &str) -> (String, String) {
    let mut names: Vec<&HeaderName> = request.headers.keys().filter(|name| is_signed(name)).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let signed = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(";");
    let mut text = String::with_capacity(1024);
    let path = request.uri.path();
    let path = if path.is_empty() { "/" } else { path };
    // S3 signs the path as it is sent, every other service encodes it once more.
    let path = if service == "s3" { encoded_path(path) } else { encoded_path(&encoded_path(path).replace('%', "%25")) };
    let _ = write!(text, "{}\n{path}\n{}\n", request.method, canonical_query(request.uri.query().unwrap_or_default()));
    for name in names {
        text.push_str(name.as_str());
        for (index, value) in request.headers.get_all(name).iter().enumerate() {
            text.push(if index == 0 { ':' } else { ',' });
            push_trimmed(&mut text, value.as_bytes());
        }
        text.push('\n');
    }
    let content = request.headers.get(CONTENT).and_then(|value| value.to_str().ok()).unwrap_or(UNSIGNED);
    let _ = write!(text, "\n{signed}\n{content}");
    (text, signed)
}

/// What identifies the request is signed; what a proxy on the way may change is not.
fn is_signed(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "host"
        || name == "content-type"
        || name == "content-md5"
        || name == "range"
        || name == "date"
        || name.starts_with("x-amz-")
}

fn encoded_path(path: &str) -> String {
    let is_encoded = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    if path.bytes().all(is_encoded) {
        return path.to_owned();
    }
    // What the plugin left unencoded upstreams read as one and the same, but sign encoded.
    let mut text = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            text.push('/');
        }
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        text.extend(percent_encoding::percent_encode(&decoded, UNRESERVED));
    }
    text
}

fn canonical_query(query: &str) -> String {
    if query.is_empty() {
        return String::new();
    }
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        match std::str::from_utf8(&decoded) {
            Ok(text) => utf8_percent_encode(text, UNRESERVED).to_string(),
            Err(_) => percent_encoding::percent_encode(&decoded, UNRESERVED).to_string(),
        }
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encode(name), encode(value))
        })
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Appends a header's value without the space around its words, but for one between them.
fn push_trimmed(text: &mut String, value: &[u8]) {
    for (index, word) in String::from_utf8_lossy(value).split_ascii_whitespace().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Result<[u8; 32], String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "the key cannot be used".to_owned())?;
    mac.update(data);
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn signer(session_token: Option<&str>) -> SigV4 {
        SigV4::new(Parts {
            access_key: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        })
    }

    fn signature(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut builder =
            http::Request::builder().method(method).uri(format!("https://examplebucket.s3.amazonaws.com{path}"));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let (mut parts, ()) = builder.body(()).expect("a request").into_parts();
        signer(None).sign(&mut parts, datetime!(2013-05-24 0:00 UTC)).expect("a signature");
        let value = parts.headers.get(AUTHORIZATION).expect("a header").to_str().expect("text").to_owned();
        value.rsplit_once("Signature=").expect("a signature").1.to_owned()
    }

    // The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    #[test]
    fn aws_published_examples_of_s3_agree() {
        let get = [("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)];
        assert_eq!(
            signature("GET", "/test.txt", &get),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
        ];
        assert_eq!(
            signature("PUT", "/test$file.text", &put),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        let empty = [("x-amz-content-sha256", EMPTY)];
        assert_eq!(
            signature("GET", "/?lifecycle", &empty),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature("GET", "/?max-keys=2&prefix=J", &empty),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn what_the_plugin_signed_with_is_replaced_and_a_token_is_signed() {
        let (mut parts, ()) = http::Request::builder()
            .uri("https://b.s3.amazonaws.com/k")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=placeholder")
            .header("x-amz-security-token", "placeholder")
            .body(())
            .expect("a request")
            .into_parts();
        signer(Some("the-token")).sign(&mut parts, datetime!(2013-05-24 0:00 UTC)).expect("a signature");
        let value = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(value.contains("x-amz-security-token") && !value.contains("placeholder"), "{value}");
        assert_eq!(parts.headers.get(TOKEN).and_then(|value| value.to_str().ok()), Some("the-token"));
    }
}
