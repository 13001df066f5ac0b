//! Finds out who a request comes from, by any of the four signatures that S3 knows.

mod credentials;
mod dates;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod example;
mod form;
mod head;
mod identity;
mod signing;
#[cfg(test)]
mod tests;
mod v2;
mod v4;

pub use credentials::{Account, Credentials, Person, Secret};
pub(crate) use dates::{parse_http, parse_iso};
pub(crate) use form::{authenticate_form, missing as missing_field};
pub(crate) use head::Head;
pub(crate) use identity::Identity;
pub(crate) use identity::SeedSignature;
pub(crate) use signing::{ALGORITHM, EMPTY_SHA256, sha256_hex};

use crate::error::{Code, S3Error};
use std::time::Duration;
use time::OffsetDateTime;

/// Verifies the signature of a request, which may have none; `bucket` is the one that the Host names, and
/// `presign_expiry` how far ahead a SigV2 URL may expire.
pub(crate) fn authenticate(
    head: &Head,
    bucket: Option<&str>,
    credentials: &dyn Credentials,
    presign_expiry: Duration,
    now: OffsetDateTime,
) -> Result<Identity, S3Error> {
    if head.headers.contains_key("x-amz-security-token") || head.query.has("X-Amz-Security-Token") {
        // No session tokens are given out here, so none can be genuine.
        return Err(Code::InvalidToken.into());
    }
    let authorization = head.headers.get(http::header::AUTHORIZATION).filter(|value| !value.is_empty());
    if let Some(authorization) = authorization {
        if head.query.has("X-Amz-Algorithm") || head.query.has("AWSAccessKeyId") {
            return Err(S3Error::argument(
                "Authorization",
                "",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
                 string parameter or the Authorization header should be specified",
            ));
        }
        let Ok(authorization) = authorization.to_str() else { return Err(Code::AccessDenied.into()) };
        return match authorization.split([' ', '\t']).next() {
            Some("AWS4-HMAC-SHA256") => v4::verify_header(head, authorization, credentials, now),
            Some("AWS") => v2::verify_header(head, authorization, bucket, credentials, now),
            Some("AWS4-ECDSA-P256-SHA256") => Err(S3Error::not_implemented("SigV4A")),
            _ => Err(S3Error::argument("Authorization", "", "Unsupported Authorization Type")),
        };
    }
    if head.query.has("X-Amz-Algorithm") || head.query.has("X-Amz-Signature") {
        return v4::verify_query(head, credentials, now);
    }
    if head.query.has("AWSAccessKeyId") || head.query.has("Signature") {
        return v2::verify_query(head, bucket, presign_expiry, credentials, now);
    }
    Ok(Identity::anonymous())
}
