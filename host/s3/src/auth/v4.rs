//! SigV4 in the Authorization header and in presigned URLs.

use crate::auth::credentials::{Account, Credentials};
use crate::auth::dates;
use crate::auth::head::Head;
use crate::auth::identity::{Identity, SeedSignature};
use crate::auth::signing::{ALGORITHM, Credential, SigningKey, canonical_request, string_to_sign};
use crate::error::{Code, S3Error};
use sallyport_core::access::SignaturePlace;
use time::{Duration, OffsetDateTime};

/// The longest that a presigned URL may be good for, in seconds.
const WEEK: i64 = 604_800;

/// A signature with all that it covers.
struct Claim<'a> {
    credential: Credential,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
    /// As it was sent: `20130524T000000Z`.
    time: String,
    payload: String,
    /// The query parameter that holds the signature.
    except: Option<&'static str>,
}

/// Verifies an Authorization header that begins with the algorithm's name.
pub(crate) fn verify_header(
    head: &Head,
    authorization: &str,
    credentials: &dyn Credentials,
    now: OffsetDateTime,
) -> Result<Identity, S3Error> {
    let malformed = |why: &str| {
        S3Error::because(Code::AuthorizationHeaderMalformed, format!("The authorization header is malformed; {why}"))
    };
    let mut credential = None;
    let mut signed_headers = None;
    let mut signature = None;
    for part in authorization.strip_prefix(ALGORITHM).unwrap_or_default().split(',') {
        match part.trim().split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("SignedHeaders", value)) => signed_headers = Some(value),
            Some(("Signature", value)) => signature = Some(value),
            _ => return Err(malformed("expecting Credential, SignedHeaders and Signature.")),
        }
    }
    let credential = credential.ok_or_else(|| malformed("the Credential is missing."))?;
    let signed_headers = signed_headers.ok_or_else(|| malformed("the SignedHeaders are missing."))?;
    let signature = signature.ok_or_else(|| malformed("the Signature is missing."))?;
    let credential =
        Credential::parse(credential).map_err(|why| malformed(&format!("the Credential is mal-formed; {why}")))?;
    let payload = head.header("x-amz-content-sha256").ok_or_else(|| {
        S3Error::because(Code::MissingSecurityHeader, "Your request is missing a required header: x-amz-content-sha256")
            .with("MissingHeaderName", "x-amz-content-sha256")
    })?;
    let time = request_time(head)?;
    let stamp = dates::basic(time);
    if !stamp.starts_with(&credential.date) {
        return Err(malformed(&format!(
            "Invalid credential date {}. This date is not the same as X-Amz-Date: {stamp}.",
            credential.date
        )));
    }
    dates::check_skew(time, now)?;
    let claim = Claim {
        credential,
        signed_headers: signed_headers.split(';').collect(),
        signature,
        time: stamp,
        payload: payload.to_owned(),
        except: None,
    };
    Ok(claim.verify(head, credentials)?.signed_v4(SignaturePlace::Header, Some(time)))
}

/// Verifies a presigned URL.
pub(crate) fn verify_query(
    head: &Head,
    credentials: &dyn Credentials,
    now: OffsetDateTime,
) -> Result<Identity, S3Error> {
    let malformed = |why: &str| S3Error::because(Code::AuthorizationQueryParametersError, why);
    let parameter = |name| {
        head.query.value(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            malformed(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        })
    };
    if parameter("X-Amz-Algorithm")? != ALGORITHM {
        return Err(malformed("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let credential = Credential::parse(parameter("X-Amz-Credential")?)
        .map_err(|why| malformed(&format!("Error parsing the X-Amz-Credential parameter; {why}")))?;
    let signature = parameter("X-Amz-Signature")?;
    let signed_headers = parameter("X-Amz-SignedHeaders")?;
    let time = parameter("X-Amz-Date")?;
    let signed_at = dates::parse_basic(time)
        .ok_or_else(|| malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    let expires: i64 =
        parameter("X-Amz-Expires")?.parse().map_err(|_| malformed("X-Amz-Expires should be a number"))?;
    if expires < 0 {
        return Err(malformed("X-Amz-Expires must be non-negative"));
    }
    if expires > WEEK {
        return Err(malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be \
             less than 604800 seconds",
        ));
    }
    if !time.starts_with(&credential.date) {
        return Err(malformed("Invalid credential date: this date is not the same as X-Amz-Date."));
    }
    if signed_at - now > dates::SKEW {
        return Err(S3Error::because(Code::AccessDenied, "Request is not valid yet")
            .with("X-Amz-Date", time)
            .with("ServerTime", dates::extended(now)));
    }
    let end = signed_at + Duration::seconds(expires);
    if now > end {
        return Err(S3Error::because(Code::AccessDenied, "Request has expired")
            .with("X-Amz-Expires", expires.to_string())
            .with("Expires", dates::extended(end))
            .with("ServerTime", dates::extended(now)));
    }
    let payload = head
        .header("x-amz-content-sha256")
        .or_else(|| head.query.value("X-Amz-Content-Sha256"))
        .unwrap_or("UNSIGNED-PAYLOAD");
    let claim = Claim {
        credential,
        signed_headers: signed_headers.split(';').collect(),
        signature,
        time: time.to_owned(),
        payload: payload.to_owned(),
        except: Some("X-Amz-Signature"),
    };
    Ok(claim.verify(head, credentials)?.signed_v4(SignaturePlace::Query, Some(signed_at)))
}

impl Claim<'_> {
    fn verify(self, head: &Head, credentials: &dyn Credentials) -> Result<Identity, S3Error> {
        self.check_coverage(head)?;
        let account = account(&self.credential.access_key, credentials)?;
        let key = SigningKey::derive(&account.secret, &self.credential);
        let scope = self.credential.scope();
        let canonical = canonical_request(head, &self.signed_headers, &self.payload, self.except);
        let text = string_to_sign(&self.time, &scope, &canonical);
        if !key.verifies(&text, self.signature) {
            return Err(S3Error::new(Code::SignatureDoesNotMatch)
                .with("AWSAccessKeyId", self.credential.access_key)
                .with("StringToSign", text.clone())
                .with("SignatureProvided", self.signature)
                .with("StringToSignBytes", spaced_hex(&text))
                .with("CanonicalRequest", canonical.clone())
                .with("CanonicalRequestBytes", spaced_hex(&canonical)));
        }
        let seed = SeedSignature { key, time: self.time, scope, signature: self.signature.to_owned() };
        Ok(Identity { payload: Some(self.payload), seed: Some(seed), ..account.into() })
    }

    /// What is not signed could have been added by anybody on the way.
    fn check_coverage(&self, head: &Head) -> Result<(), S3Error> {
        let mut missing: Vec<&str> = head
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .filter(|name| name.starts_with("x-amz-") && !self.signed_headers.contains(name))
            // A presigned URL names its payload in the query, or not at all.
            .filter(|name| !(self.except.is_some() && *name == "x-amz-content-sha256"))
            .collect();
        if !self.signed_headers.contains(&"host") {
            missing.push("host");
        }
        if missing.is_empty() {
            return Ok(());
        }
        let message = "There were headers present in the request which were not signed";
        Err(S3Error::because(Code::AccessDenied, message).with("HeadersNotSigned", missing.join(", ")))
    }
}

/// Finds the account or says so in S3's words.
pub(crate) fn account(access_key: &str, credentials: &dyn Credentials) -> Result<Account, S3Error> {
    credentials
        .lookup(access_key)
        .ok_or_else(|| S3Error::new(Code::InvalidAccessKeyId).with("AWSAccessKeyId", access_key))
}

/// `x-amz-date`, else `date`.
fn request_time(head: &Head) -> Result<OffsetDateTime, S3Error> {
    let parsed = match head.header("x-amz-date") {
        Some(date) => dates::parse_basic(date).or_else(|| dates::parse_http(date)),
        None => head.header("date").and_then(dates::parse_http),
    };
    parsed.filter(|time| time.unix_timestamp() >= 0).ok_or_else(|| {
        S3Error::because(Code::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    })
}

/// Bytes as S3 shows them, so that people can compare what they signed.
pub(crate) fn spaced_hex(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}
