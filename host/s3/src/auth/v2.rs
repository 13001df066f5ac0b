//! SigV2 in the Authorization header and in presigned URLs.

use crate::auth::credentials::{Account, Credentials, Secret};
use crate::auth::dates;
use crate::auth::head::Head;
use crate::auth::identity::Identity;
use crate::auth::v4::{account, spaced_hex};
use crate::error::{Code, S3Error};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sallyport_core::access::SignaturePlace;
use sha1::Sha1;
use time::{Duration, OffsetDateTime};

/// The query parameters that are part of the resource.
const SIGNED_PARAMETERS: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "quota",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Verifies `AWS <access key>:<signature>`; `bucket` is the one that the Host names.
pub(crate) fn verify_header(
    head: &Head,
    authorization: &str,
    bucket: Option<&str>,
    credentials: &dyn Credentials,
    now: OffsetDateTime,
) -> Result<Identity, S3Error> {
    let malformed = || {
        S3Error::argument(
            "Authorization",
            authorization.split(':').next().unwrap_or_default(),
            "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
        )
    };
    let claim = authorization.strip_prefix("AWS ").ok_or_else(malformed)?;
    let (access_key, signature) = claim.trim().split_once(':').ok_or_else(malformed)?;
    let date = head.header("x-amz-date").or_else(|| head.header("date"));
    let time = date
        .and_then(|date| dates::parse_basic(date).or_else(|| dates::parse_http(date)))
        .filter(|time| time.unix_timestamp() >= 0)
        .ok_or_else(|| {
            S3Error::because(Code::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
        })?;
    dates::check_skew(time, now)?;
    let account = account(access_key, credentials)?;
    let line = if head.headers.contains_key("x-amz-date") { "" } else { head.header("date").unwrap_or_default() };
    let identity = finish(account, access_key, &strings_to_sign(head, line, bucket), signature)?;
    Ok(identity.signed_v2(SignaturePlace::Header, Some(time)))
}

/// Verifies a URL with AWSAccessKeyId, Expires and Signature; `longest` is how far ahead
/// the expiry may lie.
pub(crate) fn verify_query(
    head: &Head,
    bucket: Option<&str>,
    longest: std::time::Duration,
    credentials: &dyn Credentials,
    now: OffsetDateTime,
) -> Result<Identity, S3Error> {
    let parameter = |name| {
        head.query.value(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            S3Error::because(
                Code::AccessDenied,
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            )
        })
    };
    let access_key = parameter("AWSAccessKeyId")?;
    let signature = parameter("Signature")?;
    let expires = parameter("Expires")?;
    let end =
        expires.parse::<i64>().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()).ok_or_else(
            || {
                S3Error::because(Code::AccessDenied, "Invalid date (should be seconds since epoch)")
                    .with("Expires", expires)
            },
        )?;
    if now > end {
        return Err(S3Error::because(Code::AccessDenied, "Request has expired")
            .with("Expires", dates::extended(end))
            .with("ServerTime", dates::extended(now)));
    }
    let longest = Duration::try_from(longest).unwrap_or(Duration::MAX);
    if end - now > longest {
        return Err(S3Error::because(Code::AccessDenied, "Expires lies further ahead than this server allows")
            .with("Expires", dates::extended(end))
            .with("ServerTime", dates::extended(now)));
    }
    let account = account(access_key, credentials)?;
    let identity = finish(account, access_key, &strings_to_sign(head, expires, bucket), signature)?;
    Ok(identity.signed_v2(SignaturePlace::Query, None))
}

fn finish(account: Account, access_key: &str, texts: &[String], signature: &str) -> Result<Identity, S3Error> {
    if !texts.iter().any(|text| verifies(&account.secret, text, signature)) {
        let text = texts.first().map_or("", String::as_str);
        return Err(S3Error::new(Code::SignatureDoesNotMatch)
            .with("AWSAccessKeyId", access_key)
            .with("StringToSign", text)
            .with("SignatureProvided", signature)
            .with("StringToSignBytes", spaced_hex(text)));
    }
    Ok(account.into())
}

/// Compares in constant time.
pub(crate) fn verifies(secret: &Secret, text: &str, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).is_ok_and(|mut mac| {
        mac.update(text.as_bytes());
        mac.verify_slice(&signature).is_ok()
    })
}

/// Some clients sign a bucket's path with a slash that they do not send; it means the same.
fn strings_to_sign(head: &Head, date: &str, bucket: Option<&str>) -> Vec<String> {
    let mut texts = vec![string_to_sign(head, date, bucket, "")];
    if bucket.is_none() && head.path.len() > 1 && head.path.matches('/').count() == 1 {
        texts.push(string_to_sign(head, date, bucket, "/"));
    }
    texts
}

fn string_to_sign(head: &Head, date: &str, bucket: Option<&str>, end: &str) -> String {
    let line = |name| head.header(name).unwrap_or_default();
    let mut text = format!("{}\n{}\n{}\n{date}\n", head.method, line("content-md5"), line("content-type"));
    let mut names: Vec<&str> =
        head.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")).collect();
    names.sort_unstable();
    for name in names {
        text.push_str(name);
        text.push(':');
        text.push_str(&head.joined(name).unwrap_or_default());
        text.push('\n');
    }
    if let Some(bucket) = bucket {
        text.push('/');
        text.push_str(bucket);
    }
    text.push_str(&head.path);
    text.push_str(end);
    let mut parameters: Vec<(&str, &str)> =
        head.query.iter().filter(|(name, _)| SIGNED_PARAMETERS.contains(name)).collect();
    parameters.sort_unstable();
    let mut separator = '?';
    for (name, value) in parameters {
        text.push(separator);
        separator = '&';
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}
