//! A request on its way to the gateway: who asks, for what, and the body.

use crate::auth::{Head, Identity};
use crate::error::{Code, S3Error};
use crate::payload::{Payload, verify_document};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use sallyport_core::Gateway;
use sallyport_core::body::{Body, BodyError};
use sallyport_core::names::{AccountId, BucketName, ObjectKey, VersionId};
use std::sync::Arc;
use std::time::Duration;

/// One authenticated request.
pub(crate) struct Call {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) head: Head,
    pub(crate) identity: Identity,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// The location of a bucket that is created without naming one.
    pub(crate) default_location: String,
    pub(crate) idle: Duration,
    /// How long a client waits before it gets a sign of life.
    pub(crate) patience: Duration,
    /// `http` or `https`, as the request came.
    pub(crate) scheme: &'static str,
    pub(crate) request_id: String,
    pub(crate) host_id: String,
}

impl Call {
    /// Who asks.
    pub(crate) fn caller(&self) -> AccountId {
        self.identity.account.clone()
    }

    /// The bucket.
    pub(crate) fn bucket(&self) -> Result<BucketName, S3Error> {
        bucket_name(self.bucket.as_deref().unwrap_or_default())
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
    pub(crate) fn display_name<'a>(&'a self, account: &'a AccountId) -> &'a str {
        if *account == self.identity.account { &self.identity.display_name } else { account.as_str() }
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
