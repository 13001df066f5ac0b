//! Stores the files of a report in its destination, when that bucket's policy lets it.

use crate::access::{Action, Caller, RequestContext, ServiceCall, Verdict};
use crate::backend::Projection;
use crate::body;
use crate::encryption::EncryptionParameters;
use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::gateway::authorize::{Target, policy_says};
use crate::gateway::request::{Incoming, PutObject};
use crate::inventory::{Inventory, ReportEncryption};
use crate::metadata::{Attributes, Bucket, WriteConditions};
use crate::names::{AccountId, ObjectKey};
use crate::storage_class::STANDARD;
use md5::{Digest as _, Md5};
use std::net::IpAddr;
use std::sync::Arc;

/// Who delivers, as policies name it.
const SERVICE: &str = "s3.amazonaws.com";

/// A file of a report.
pub(super) struct ReportObject {
    pub(super) key: String,
    /// Its content type.
    pub(super) kind: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A delivery as conditions of policies see it.
struct Delivery {
    call: ServiceCall,
    encryption: Option<ReportEncryption>,
}

impl RequestContext for Delivery {
    fn source(&self) -> Option<IpAddr> {
        None
    }

    fn is_secure(&self) -> bool {
        // It never leaves the process.
        true
    }

    fn header(&self, name: &str) -> Option<String> {
        match (name, &self.encryption) {
            ("x-amz-acl", _) => Some("bucket-owner-full-control".to_owned()),
            ("x-amz-server-side-encryption", Some(ReportEncryption::S3)) => Some("AES256".to_owned()),
            ("x-amz-server-side-encryption", Some(ReportEncryption::Kms { .. })) => Some("aws:kms".to_owned()),
            ("x-amz-server-side-encryption-aws-kms-key-id", Some(ReportEncryption::Kms { key })) => Some(key.clone()),
            _ => None,
        }
    }

    fn query(&self, _name: &str) -> Option<String> {
        None
    }

    fn service(&self) -> Option<&ServiceCall> {
        Some(&self.call)
    }
}

impl Gateway {
    /// Stores a file of a report, as an object of the destination's owner.
    pub(super) async fn deliver_object(
        self: &Arc<Self>,
        source: &Bucket,
        inventory: &Inventory,
        object: ReportObject,
    ) -> Result<()> {
        let destination = &inventory.configuration.destination;
        let target = self.metadata.bucket(&destination.bucket).await?;
        let target = target.ok_or_else(|| Error::NoSuchBucket(destination.bucket.clone()))?;
        if inventory.accounts.destination.as_ref().is_some_and(|owner| *owner != target.owner) {
            return Err(Error::InvalidDestinationBucket("the destination bucket belongs to another account now"));
        }
        let key = ObjectKey::parse(&object.key).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let context: Arc<dyn RequestContext> = Arc::new(Delivery {
            call: ServiceCall {
                name: SERVICE,
                source_arn: format!("arn:aws:s3:::{}", source.name),
                source_account: inventory.accounts.source.clone(),
            },
            encryption: destination.encryption.clone(),
        });
        authorize(&context, source, &target, &key)?;
        self.put_object(PutObject {
            caller: Caller { context: Some(context), ..Caller::of_account(target.owner.clone()) },
            bucket: target.name.clone(),
            key,
            object: Projection {
                content: vec![("content-type".to_owned(), object.kind.to_owned())],
                ..Projection::default()
            },
            attributes: Attributes::default(),
            acl: None,
            encryption: parameters(destination.encryption.as_ref()),
            storage_class: STANDARD.to_owned(),
            location: None,
            conditions: WriteConditions::default(),
            incoming: Incoming {
                size: object.bytes.len() as u64,
                md5: Some(Md5::digest(&object.bytes).into()),
                body: body::full(object.bytes),
                checksums: Vec::new(),
                trailer: None,
                compute: None,
            },
        })
        .await
        .map(drop)
    }
}

/// The destination's policy has to allow the service what another account's bucket reports.
/// Between buckets of one owner it only must not deny it.
fn authorize(context: &Arc<dyn RequestContext>, source: &Bucket, target: &Bucket, key: &ObjectKey) -> Result<()> {
    let service = Caller { context: Some(Arc::clone(context)), ..Caller::of_account(AccountId::new(SERVICE)) };
    match policy_says(&service, Action::PutObject, &Target::key(target, key)) {
        Verdict::Allowed => Ok(()),
        Verdict::Silent if source.owner == target.owner => Ok(()),
        Verdict::Silent | Verdict::Denied => Err(Error::AccessDenied),
    }
}

fn parameters(encryption: Option<&ReportEncryption>) -> EncryptionParameters {
    let (method, kms_key) = match encryption {
        None => return EncryptionParameters::default(),
        Some(ReportEncryption::S3) => ("AES256", None),
        Some(ReportEncryption::Kms { key }) => ("aws:kms", Some(key.clone())),
    };
    EncryptionParameters { method: Some(method.to_owned()), kms_key, ..EncryptionParameters::default() }
}
