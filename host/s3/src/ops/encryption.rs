//! Server-side encryption: its headers, and the default of a bucket.

use crate::auth::Head;
use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::{Document, Element, malformed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::encryption::{BucketEncryption, BucketMethod, CustomerParameters, EncryptionParameters, Method};
use zeroize::Zeroizing;

const METHOD: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
/// A client's own key: algorithm, key, the key's MD5.
const CUSTOMER: [&str; 3] = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];
const SOURCE_CUSTOMER: [&str; 3] = [
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
];

/// A bucket's configuration document, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;

/// What a write says of its encryption; `field` answers headers, or a form's fields.
pub(crate) fn parameters<'a>(field: impl Fn(&str) -> Option<&'a str>) -> EncryptionParameters {
    let owned = |name: &str| field(name).map(str::to_owned);
    EncryptionParameters {
        method: owned(METHOD),
        kms_key: owned(KMS_KEY),
        context: owned(CONTEXT),
        bucket_key: owned(BUCKET_KEY),
        customer: customer_fields(CUSTOMER, &field),
    }
}

/// The client's own key.
pub(crate) fn customer(head: &Head) -> CustomerParameters {
    customer_fields(CUSTOMER, &|name| head.header(name))
}

/// The client's own key of a copy's source.
pub(crate) fn source_customer(head: &Head) -> CustomerParameters {
    customer_fields(SOURCE_CUSTOMER, &|name| head.header(name))
}

fn customer_fields<'a>(names: [&str; 3], field: &impl Fn(&str) -> Option<&'a str>) -> CustomerParameters {
    let [algorithm, key, md5] = names.map(|name| field(name).map(str::to_owned));
    CustomerParameters { algorithm, key: key.map(Zeroizing::new), md5 }
}

/// Refuses keys of clients over a connection that others may read, unless that is `allowed`.
pub(crate) fn refuse_readable_keys(head: &Head, allowed: bool) -> Result<(), S3Error> {
    if allowed || customer(head).is_empty() && source_customer(head).is_empty() {
        return Ok(());
    }
    let message =
        "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.";
    Err(S3Error::because(Code::InvalidRequest, message))
}

/// Reads name no method: S3 knows it, and tells.
pub(crate) fn refuse_on_reads(head: &Head) -> Result<(), S3Error> {
    for name in [METHOD, KMS_KEY] {
        if let Some(value) = head.header(name) {
            let message = format!("{name} header is not supported for this operation.");
            return Err(S3Error::argument(name, value, message));
        }
    }
    Ok(())
}

/// Says how an object is encrypted. Of a client's key, what the client itself said of it.
pub(crate) fn show(answer: &mut Answer, method: Option<&Method>, head: &Head) {
    match method {
        None => {}
        Some(Method::S3) => answer::set(answer, METHOD, "AES256"),
        Some(Method::Kms { key, context, bucket_key }) => {
            answer::set(answer, METHOD, "aws:kms");
            answer::set(answer, KMS_KEY, key);
            if let Some(context) = context {
                answer::set(answer, CONTEXT, STANDARD.encode(context));
            }
            if *bucket_key {
                answer::set(answer, BUCKET_KEY, "true");
            }
        }
        Some(Method::Customer) => {
            let [algorithm, _, md5] = CUSTOMER;
            for name in [algorithm, md5] {
                if let Some(value) = head.header(name) {
                    answer::set(answer, name, value);
                }
            }
        }
    }
}

/// PutBucketEncryption.
pub(crate) async fn put_bucket(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let name = call.bucket()?;
    let encryption = parse(&call.document(body, MAX_DOCUMENT).await?)?;
    call.gateway.set_bucket_encryption(&call.caller(), &name, Some(encryption)).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketEncryption.
pub(crate) async fn get_bucket(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetEncryptionConfiguration).await?;
    let encryption = bucket.settings.encryption.as_ref();
    let encryption = encryption.ok_or(Code::ServerSideEncryptionConfigurationNotFoundError)?;
    Ok(answer::xml(document(encryption)))
}

/// DeleteBucketEncryption.
pub(crate) async fn delete_bucket(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.set_bucket_encryption(&call.caller(), &call.bucket()?, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn parse(document: &[u8]) -> Result<BucketEncryption, S3Error> {
    let root = Element::parse(document, "ServerSideEncryptionConfiguration")?;
    root.only(&["Rule"])?;
    let rule = root.optional("Rule")?.ok_or_else(malformed)?;
    rule.only(&["ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes"])?;
    if rule.optional("BlockedEncryptionTypes")?.is_some() {
        return Err(S3Error::not_implemented("BlockedEncryptionTypes in ServerSideEncryptionConfiguration"));
    }
    let bucket_key = match rule.optional_text("BucketKeyEnabled")?.map(str::trim) {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(malformed()),
    };
    let default = rule.optional("ApplyServerSideEncryptionByDefault")?.ok_or_else(malformed)?;
    default.only(&["SSEAlgorithm", "KMSMasterKeyID"])?;
    let key = default.optional_text("KMSMasterKeyID")?.map(str::trim).filter(|key| !key.is_empty());
    let method = match (default.required_text("SSEAlgorithm")?.trim(), key) {
        ("AES256", None) => BucketMethod::S3,
        ("AES256", Some(key)) => {
            let message =
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
            return Err(S3Error::argument("KMSMasterKeyID", key, message));
        }
        ("aws:kms", key) => BucketMethod::Kms { key: key.map(str::to_owned) },
        ("aws:kms:dsse", _) => return Err(S3Error::not_implemented("aws:kms:dsse")),
        _ => return Err(malformed()),
    };
    Ok(BucketEncryption { method, bucket_key })
}

pub(crate) fn document(encryption: &BucketEncryption) -> String {
    Document::s3("ServerSideEncryptionConfiguration", |root| {
        root.nest("Rule", |rule| {
            rule.nest("ApplyServerSideEncryptionByDefault", |default| match &encryption.method {
                BucketMethod::S3 => default.text("SSEAlgorithm", "AES256"),
                BucketMethod::Kms { key } => {
                    default.text("SSEAlgorithm", "aws:kms");
                    if let Some(key) = key {
                        default.text("KMSMasterKeyID", key);
                    }
                }
            });
            rule.text("BucketKeyEnabled", encryption.bucket_key.unwrap_or_default().to_string());
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(rule: &str) -> Result<BucketEncryption, S3Error> {
        let document =
            format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>");
        parse(document.as_bytes())
    }

    fn applied(default: &str) -> String {
        format!("<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>")
    }

    #[test]
    fn a_configuration_reads_back_as_it_was_written() {
        for (method, bucket_key) in [
            (BucketMethod::S3, Some(false)),
            (BucketMethod::Kms { key: None }, Some(true)),
            (BucketMethod::Kms { key: Some("a<b".into()) }, Some(true)),
        ] {
            let encryption = BucketEncryption { method, bucket_key };
            assert_eq!(parse(document(&encryption).as_bytes()), Ok(encryption));
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let kms = applied("<SSEAlgorithm>aws:kms</SSEAlgorithm>");
        assert!(configured(&kms).is_ok());
        let twice = applied("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>");
        assert_eq!(configured(&twice).unwrap_err().code, Code::InvalidArgument);
        let double = applied("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>");
        assert_eq!(configured(&double).unwrap_err().code, Code::NotImplemented);
        let blocked = format!("{kms}<BlockedEncryptionTypes/>");
        assert_eq!(configured(&blocked).unwrap_err().code, Code::NotImplemented);
        for rule in [String::new(), applied("<SSEAlgorithm>AES</SSEAlgorithm>"), format!("{kms}<Other/>")] {
            assert_eq!(configured(&rule).unwrap_err().code, Code::MalformedXML, "{rule}");
        }
    }
}
