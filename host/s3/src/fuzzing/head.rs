//! Heads of requests: taken apart, signed as a client would, and routed.

use crate::auth::example::{ACCESS_KEY, Example, SECRET};
use crate::auth::{Head, authenticate};
use crate::router::{self, Hosts};
use crate::uri::{Query, decode, encode_path};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sallyport_core::names::BucketName;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2013-05-24 00:00:00 UTC);
const STAMP: &str = "20130524T000000Z";
const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";
const WEEK: Duration = Duration::from_secs(604_800);

/// Takes a line with method and target, and lines with headers.
pub fn head(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(parts) = parts(text) else { return };
    let Ok(head) = Head::parse(&parts) else { return };
    uris(&head);
    routes(&parts, &head);
    came_as_it_is(&head);
    signed_by_a_client(&parts);
}

fn parts(text: &str) -> Option<Parts> {
    let mut lines = text.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// What is decoded and encoded again says the same, and its canonical form is its own.
fn uris(head: &Head) {
    if let Ok(path) = decode(&head.path) {
        let encoded = encode_path(path.as_bytes());
        assert_eq!(decode(&encoded).as_ref(), Ok(&path));
        assert_eq!(encode_path(decode(&encoded).unwrap_or_default().as_bytes()), encoded);
    }
    let canonical = head.query.canonical(None);
    let again = Query::parse(&canonical).map(|query| query.canonical(None));
    assert_eq!(again, Ok(canonical));
}

/// A bucket is the same in the path and in the Host.
fn routes(parts: &Parts, head: &Head) {
    let hosts = Hosts::new(["localhost".to_owned(), "s3.example.com".to_owned(), "example.com".to_owned()]);
    let route = |head: &Head| {
        let resolved = hosts.resolve(&head.host).ok()?;
        let target = router::target(&head.path, &resolved).ok()?;
        router::route(head, target).ok()
    };
    let _ = (hosts.website(&head.host), route(head));
    let Some((bucket, key)) = head.path.strip_prefix('/').and_then(|path| path.split_once('/')) else { return };
    if BucketName::parse(bucket).is_err() {
        return;
    }
    let path_style = Head { host: "localhost:8000".to_owned(), ..head.clone() };
    let host_style = Head { host: format!("{bucket}.localhost:8000"), path: format!("/{key}"), ..head.clone() };
    assert_eq!(route(&path_style), route(&host_style), "{}", parts.uri);
}

/// Whoever is not anonymous has a signature, and it covers the method, the path and the query.
fn came_as_it_is(head: &Head) {
    let verify = |head: &Head| authenticate(head, None, &Example, WEEK, NOW);
    let Ok(identity) = verify(head) else { return };
    if identity.is_anonymous() {
        let claims = ["X-Amz-Signature", "Signature", "X-Amz-Algorithm", "AWSAccessKeyId"];
        let is_claimed = claims.iter().any(|name| head.query.has(name));
        let authorization = head.headers.get("authorization").is_some_and(|value| !value.is_empty());
        assert!(!is_claimed && !authorization, "who claims to be somebody is nobody");
        return;
    }
    for changed in changes(head) {
        assert!(verify(&changed).is_err(), "{changed:?}");
    }
}

fn changes(head: &Head) -> Vec<Head> {
    let method = if head.method == http::Method::GET { http::Method::DELETE } else { http::Method::GET };
    vec![
        Head { method, ..head.clone() },
        Head { path: format!("{}x", head.path), ..head.clone() },
        Head { host: format!("x{}", head.host), ..head.clone() },
    ]
}

/// A request that is signed by somebody else's reading of the specification is genuine, in its
/// header and as a URL; one that is changed is not.
fn signed_by_a_client(parts: &Parts) {
    // A path that is not UTF-8 names no key; what is signed of it is nobody's rule.
    if decode(parts.uri.path()).is_err() {
        return;
    }
    let mut parts = parts.clone();
    for name in ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
        parts.headers.remove(name);
    }
    let auth = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        name.starts_with("x-amz-") || name.contains('%') || ["signature", "awsaccesskeyid", "expires"].contains(&&*name)
    };
    if parts.uri.query().is_some_and(|query| query.split('&').any(auth)) {
        return;
    }
    let Some(by_url) = presigned(&parts) else { return };
    genuine(&by_url);
    let payload = "UNSIGNED-PAYLOAD";
    let stamps = [("x-amz-date", STAMP), ("x-amz-content-sha256", payload)];
    for (name, value) in stamps {
        parts.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let Some((signed, request)) = canonical(&parts, "", payload) else { return };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{SCOPE}, SignedHeaders={signed}, Signature={}",
        signature(&request)
    );
    let Ok(value) = HeaderValue::try_from(authorization) else { return };
    parts.headers.insert("authorization", value);
    genuine(&parts);
}

fn genuine(parts: &Parts) {
    let Ok(head) = Head::parse(parts) else { return };
    let verify = |head: &Head| authenticate(head, None, &Example, WEEK, NOW);
    let identity = verify(&head);
    assert_eq!(identity.as_ref().map(|identity| identity.account.as_str()), Ok("example"), "{parts:?}");
    for changed in changes(&head) {
        assert!(verify(&changed).is_err(), "{changed:?}");
    }
}

fn presigned(parts: &Parts) -> Option<Parts> {
    let mut parts = parts.clone();
    let (signed, _) = canonical(&parts, "", "UNSIGNED-PAYLOAD")?;
    let credential = format!("{ACCESS_KEY}/{SCOPE}").replace('/', "%2F");
    let signed = utf8_percent_encode(&signed, NON_ALPHANUMERIC);
    let added = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={STAMP}&X-Amz-Expires=60\
         &X-Amz-SignedHeaders={signed}"
    );
    let query = match parts.uri.query() {
        Some(query) if !query.is_empty() => format!("{query}&{added}"),
        _ => added,
    };
    let (_, request) = canonical(&parts, &query, "UNSIGNED-PAYLOAD")?;
    let target = format!("{}?{query}&X-Amz-Signature={}", parts.uri.path(), signature(&request));
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = Some(target.parse().ok()?);
    parts.uri = http::Uri::from_parts(uri).ok()?;
    Some(parts)
}

/// The names of the signed headers, and the canonical request: all headers are signed. `query`
/// is the one of the request when it is empty.
fn canonical(parts: &Parts, query: &str, payload: &str) -> Option<(String, String)> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let words: Vec<&str> = value.to_str().ok()?.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        headers.entry(name.as_str().to_owned()).or_default().push(words.join(" "));
    }
    if let Some(authority) = parts.uri.authority() {
        headers.entry("host".to_owned()).or_insert_with(|| vec![authority.to_string()]);
    }
    // Two hosts, or one with blanks: what is signed of it is nobody's rule.
    let host = parts.headers.get("host").map_or(Some(""), |host| host.to_str().ok())?;
    if headers.get("host").is_none_or(|hosts| hosts.len() > 1) || host.contains([' ', '\t', ',']) {
        return None;
    }
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    let signed = names.join(";");
    let lines: String = headers.iter().map(|(name, values)| format!("{name}:{}\n", values.join(","))).collect();
    let query = if query.is_empty() { parts.uri.query().unwrap_or_default() } else { query };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (again(&name.replace('+', " "), false), again(&value.replace('+', " "), false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let path = again(parts.uri.path(), true);
    Some((signed.clone(), format!("{}\n{path}\n{}\n{lines}\n{signed}\n{payload}", parts.method, pairs.join("&"))))
}

/// Decodes and encodes, byte by byte.
fn again(text: &str, is_path: bool) -> String {
    let bytes = text.as_bytes();
    let (mut encoded, mut at) = (String::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escape = escape.filter(|digits| *byte == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let (byte, length) = match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => (byte, 3),
            None => (*byte, 1),
        };
        at += length;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn signature(canonical: &str) -> String {
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok();
        mac.as_mut().into_iter().for_each(|mac| mac.update(text.as_bytes()));
        mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
    };
    let key = SCOPE.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, step| mac(&key, step));
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    hex::encode(mac(&key, &format!("AWS4-HMAC-SHA256\n{STAMP}\n{SCOPE}\n{hash}")))
}
