//! The arithmetic of SigV4: keys, scopes and the strings that are signed.

use crate::auth::credentials::Secret;
use crate::auth::head::Head;
use crate::uri::{decode, encode_path};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The one algorithm of SigV4 that is spoken here.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// SHA-256 of nothing.
pub(crate) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `<access key>/<date>/<region>/s3/aws4_request`; any region passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) access_key: String,
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Credential {
    /// Reads from the right: an access key may hold slashes.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let shape = "expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
        let (Some(terminator), Some(service), Some(region), Some(date), Some(access_key)) =
            (next(), next(), next(), next(), next())
        else {
            return Err(shape);
        };
        if terminator != "aws4_request" {
            return Err("incorrect terminal. This endpoint uses \"aws4_request\".");
        }
        if service != "s3" {
            return Err("incorrect service. This endpoint belongs to \"s3\".");
        }
        if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("incorrect date format. This date in the credential must be in the format \"yyyyMMdd\".");
        }
        Ok(Self {
            access_key: access_key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// What strings to sign call the scope.
    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// A key for one day, region and service; hidden like the secret that it stands for.
#[derive(Clone)]
pub(crate) struct SigningKey([u8; 32]);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Derives the key of a scope.
    pub(crate) fn derive(secret: &Secret, credential: &Credential) -> Self {
        let start = format!("AWS4{}", secret.expose());
        let steps = [&credential.date, &credential.region, &credential.service, "aws4_request"];
        let mut key = hmac_sha256(start.as_bytes(), steps.first().map_or(&[][..], |step| step.as_bytes()));
        for step in steps.iter().skip(1) {
            key = hmac_sha256(&key, step.as_bytes());
        }
        Self(key)
    }

    /// Compares in constant time.
    pub(crate) fn verifies(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        mac(&self.0).is_some_and(|mut mac| {
            mac.update(text.as_bytes());
            mac.verify_slice(&signature).is_ok()
        })
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn sign(&self, text: &str) -> String {
        hex::encode(hmac_sha256(&self.0, text.as_bytes()))
    }
}

fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(key).ok()
}

/// HMAC takes keys of every length, so there is always a result.
fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    mac(key).map_or([0; 32], |mut mac| {
        mac.update(data);
        mac.finalize().into_bytes().into()
    })
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// The canonical request; `except` names the query parameter that holds the signature.
pub(crate) fn canonical_request(head: &Head, signed: &[&str], payload: &str, except: Option<&str>) -> String {
    let path = percent_normalised(&head.path);
    let mut request = format!("{}\n{}\n{}\n", head.method, path, head.query.canonical(except));
    for name in signed {
        request.push_str(name);
        request.push(':');
        request.push_str(&head.joined(name).unwrap_or_default());
        request.push('\n');
    }
    request.push('\n');
    request.push_str(&signed.join(";"));
    request.push('\n');
    request.push_str(payload);
    request
}

/// Clients encode more or less than they sign, but what they mean is the same.
fn percent_normalised(path: &str) -> String {
    decode(path).map_or_else(|_| path.to_owned(), |decoded| encode_path(decoded.as_bytes()))
}

/// The text that a request's signature covers.
pub(crate) fn string_to_sign(time: &str, scope: &str, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()))
}
