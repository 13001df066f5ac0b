//! A request on its way to the gateway: who asks, for what, and the body.

use crate::auth::{Credentials, Head, Identity};
use crate::error::{Code, S3Error};
use crate::form::Spool;
use crate::payload::{Payload, verify_document};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use sallyport_core::Gateway;
use sallyport_core::access::{Action, Caller, RequestContext, Signature};
use sallyport_core::body::{Body, BodyError};
use sallyport_core::metadata::Bucket;
use sallyport_core::names::{AccountId, BucketName, ObjectKey, VersionId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One authenticated request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) head: Arc<Head>,
    pub(crate) caller: Caller,
    pub(crate) identity: Identity,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// Where a form's file waits.
    pub(crate) spool: Arc<Spool>,
    /// The location of a bucket that is created without naming one.
    pub(crate) default_location: String,
    pub(crate) idle: Duration,
    /// How long a client waits before it gets a sign of life.
    pub(crate) patience: Duration,
    /// `http` or `https`, as the request came.
    pub(crate) scheme: &'static str,
    /// Clients may send their own encryption keys over this connection.
    pub(crate) keys_may_come: bool,
    pub(crate) request_id: String,
    pub(crate) host_id: Arc<str>,
}

impl Call {
    /// Who asks.
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// An error as this caller may read it: who reads an object of somebody else's bucket is
    /// told nothing of a location that only its owner knows.
    pub(crate) fn tell(&self, error: S3Error) -> S3Error {
        match &error.location {
            Some(location) if !self.gateway.belongs_to(location, &self.caller.account) => error.without_location(),
            Some(_) | None => error,
        }
    }

    /// The bucket.
    pub(crate) fn bucket(&self) -> Result<BucketName, S3Error> {
        bucket_name(self.bucket.as_deref().unwrap_or_default())
    }

    /// The bucket, when the caller may do this to it.
    pub(crate) async fn bucket_for(&self, action: Action) -> Result<Bucket, S3Error> {
        Ok(self.gateway.bucket_for(&self.caller, action, &self.bucket()?).await?)
    }

    /// The key.
    pub(crate) fn key(&self) -> Result<ObjectKey, S3Error> {
        object_key(self.key.as_deref().unwrap_or_default())
    }

    /// `versionId`.
    pub(crate) fn version(&self) -> Result<Option<VersionId>, S3Error> {
        match self.head.query.value("versionId") {
            Some("") => Err(S3Error::argument("versionId", "", "Version id cannot be the empty string")),
            Some(version) => Ok(Some(VersionId::from_client(version))),
            None => Ok(None),
        }
    }

    /// A query parameter that is a number.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.head.query.value(name) else { return Ok(None) };
        // Larger numbers mean the same as the largest; S3 takes 32 bits with a sign.
        let number = text.parse::<u32>().ok().filter(|number| *number <= i32::MAX as u32);
        number.map(Some).ok_or_else(|| {
            let message = format!("Provided {name} not an integer or within integer range");
            S3Error::argument(name, text, message)
        })
    }

    /// The whole of a small body, verified.
    pub(crate) async fn document(&self, body: Body, limit: u64) -> Result<Bytes, S3Error> {
        let payload = Payload::parse(&self.head, &self.identity)?;
        self.collect(payload, body, limit).await
    }

    /// A configuration, which AWS takes only with a digest.
    pub(crate) async fn configuration(&self, body: Body, limit: u64) -> Result<Bytes, S3Error> {
        let payload = Payload::parse(&self.head, &self.identity)?;
        if !payload.has_digest() {
            let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        self.collect(payload, body, limit).await
    }

    /// As `document`, when the payload's headers are read already.
    pub(crate) async fn collect(&self, payload: Payload, body: Body, limit: u64) -> Result<Bytes, S3Error> {
        if payload.size.is_some_and(|size| size > limit) {
            return Err(Code::MaxMessageLengthExceeded.into());
        }
        let mut incoming = payload.open(body, &self.identity, self.idle);
        let mut collected = BytesMut::new();
        while let Some(frame) = incoming.body.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if collected.len() as u64 + data.len() as u64 > limit {
                return Err(Code::MaxMessageLengthExceeded.into());
            }
            collected.extend_from_slice(&data);
        }
        verify_document(&incoming, &collected)?;
        Ok(collected.freeze())
    }

    /// The name shown for an account.
    pub(crate) fn display_name(&self, account: &AccountId) -> String {
        if *account == self.identity.account {
            return self.identity.display_name.clone();
        }
        self.credentials.account(account).map(|person| person.display_name).unwrap_or_default()
    }

    /// Refuses who did not sign, where S3 always wants a signature.
    pub(crate) fn require_signature(&self) -> Result<(), S3Error> {
        if self.caller.is_anonymous() { Err(Code::AccessDenied.into()) } else { Ok(()) }
    }

    /// `x-amz-expected-bucket-owner` and its kin for the source of a copy: by canonical id, or
    /// by the twelve digits that AWS's tools name accounts by.
    pub(crate) async fn check_owner(&self, header: &str, bucket: &BucketName) -> Result<(), S3Error> {
        let Some(expected) = self.head.header(header) else { return Ok(()) };
        let owner = self.gateway.bucket(bucket).await?.owner;
        let short_id = self.credentials.account(&owner).map(|person| person.short_id);
        let is_expected = owner.as_str() == expected || short_id.is_some_and(|id| id == expected);
        if is_expected { Ok(()) } else { Err(Code::AccessDenied.into()) }
    }
}

/// What a policy's conditions may see of a request.
pub(crate) struct Seen {
    pub(crate) head: Arc<Head>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) secure: bool,
    pub(crate) request_id: String,
    pub(crate) host_id: Arc<str>,
    pub(crate) is_form: bool,
    pub(crate) signature: Option<Signature>,
    /// What the signature says of the body.
    pub(crate) payload: Option<String>,
}

impl RequestContext for Seen {
    fn source(&self) -> Option<IpAddr> {
        self.source
    }

    fn is_secure(&self) -> bool {
        self.secure
    }

    fn header(&self, name: &str) -> Option<String> {
        // A presigned URL has it in its query, or not at all.
        if name == "x-amz-content-sha256" && self.payload.is_some() {
            return self.payload.clone();
        }
        self.head.joined(name)
    }

    fn query(&self, name: &str) -> Option<String> {
        self.head.query.value(name).map(str::to_owned)
    }

    fn ids(&self) -> (&str, &str) {
        (&self.request_id, &self.host_id)
    }

    fn signature(&self) -> Option<Signature> {
        self.signature
    }

    fn is_form(&self) -> bool {
        self.is_form
    }
}

/// A legal bucket name.
pub(crate) fn bucket_name(name: &str) -> Result<BucketName, S3Error> {
    BucketName::parse(name).map_err(|_| S3Error::new(Code::InvalidBucketName).with("BucketName", name))
}

/// A legal key.
pub(crate) fn object_key(key: &str) -> Result<ObjectKey, S3Error> {
    ObjectKey::parse(key).map_err(|error| {
        if key.len() > 1024 {
            return S3Error::new(Code::KeyTooLongError)
                .with("Size", key.len().to_string())
                .with("MaxSizeAllowed", "1024");
        }
        S3Error::argument("Key", "", error.to_string())
    })
}

fn broken(error: BodyError) -> S3Error {
    sallyport_core::Error::from(error).into()
}
