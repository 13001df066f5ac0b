//! SigV4 for requests that the host makes of its own, with no plugin in between.

use super::sigv4::{Parts, SigV4};
use crate::secret::Secret;
use time::OffsetDateTime;

/// Who asks a service of AWS's, and which.
pub struct AwsIdentity<'a> {
    /// The access key's id.
    pub access_key: &'a str,
    /// Its secret.
    pub secret_key: &'a str,
    /// Of temporary credentials.
    pub session_token: Option<&'a str>,
    /// `eu-west-1` and so on.
    pub region: &'a str,
    /// `kms` and so on.
    pub service: &'a str,
}

/// Signs requests; keeps its secrets to itself.
pub struct AwsSigner(SigV4);

impl AwsSigner {
    /// A signer for one service.
    pub fn new(identity: &AwsIdentity<'_>) -> Self {
        Self(SigV4::new(Parts {
            access_key: Secret::new(identity.access_key),
            secret_key: Secret::new(identity.secret_key),
            session_token: identity.session_token.map(Secret::new),
            region: identity.region.to_owned(),
            service: identity.service.to_owned(),
        }))
    }

    /// Adds what authenticates a request. Its `x-amz-content-sha256`, if it is there, is what
    /// the signature says of the body.
    ///
    /// # Errors
    /// A secret that no header can hold.
    pub fn sign(&self, request: &mut http::request::Parts, now: OffsetDateTime) -> Result<(), String> {
        self.0.sign(request, now)
    }
}
