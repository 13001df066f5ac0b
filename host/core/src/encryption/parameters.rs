//! What requests say of encryption, and what is wrong with it.

use super::keys::{CustomerKey, WrappingKey};
use super::model::{BucketEncryption, BucketMethod, DEFAULT_KMS_KEY, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// The longest name of a key, in bytes.
const LONGEST_KEY_NAME: usize = 2048;

/// What a write says of its encryption, not yet judged: who may not write at all is told
/// that first.
#[derive(Debug, Clone, Default)]
pub struct EncryptionParameters {
    /// `x-amz-server-side-encryption`.
    pub method: Option<String>,
    /// `x-amz-server-side-encryption-aws-kms-key-id`.
    pub kms_key: Option<String>,
    /// `x-amz-server-side-encryption-context`.
    pub context: Option<String>,
    /// `x-amz-server-side-encryption-bucket-key-enabled`.
    pub bucket_key: Option<String>,
    /// `x-amz-server-side-encryption-customer-*`.
    pub customer: CustomerParameters,
}

/// What a request says of a client's own key, not yet judged.
#[derive(Clone, Default)]
pub struct CustomerParameters {
    /// `AES256`.
    pub algorithm: Option<String>,
    /// The key in base64.
    pub key: Option<Zeroizing<String>>,
    /// The key's MD5 in base64.
    pub md5: Option<String>,
}

impl fmt::Debug for CustomerParameters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref().map(|_| "[secret]");
        out.debug_struct("CustomerParameters").field("algorithm", &self.algorithm).field("key", &key).finish()
    }
}

/// What a write asks for.
#[derive(Debug, Clone)]
pub enum Requested {
    /// A key of the key service wraps the data key.
    Service(Method),
    /// The client's own key does.
    Customer(CustomerKey),
}

/// What S3 finds wrong with a request's encryption, as it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionRefusal {
    /// No such method.
    #[error("The encryption method specified is not supported")]
    UnknownMethod,
    /// SSE-C together with another.
    #[error("Server Side Encryption with Customer provided key is incompatible with the encryption method specified")]
    Conflict,
    /// Parameters of SSE-KMS without it.
    #[error(
        "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
    )]
    NotKms,
    /// No name of a key.
    #[error("Invalid KMS key ID")]
    KmsKeyName,
    /// Not base64 of a JSON object of strings.
    #[error(
        "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map"
    )]
    Context,
    /// Neither true nor false.
    #[error("The value of the x-amz-server-side-encryption-bucket-key-enabled header must be true or false")]
    BucketKey,
    /// A key without its algorithm.
    #[error(
        "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm."
    )]
    NoAlgorithm,
    /// An algorithm other than AES256.
    #[error("The Encryption request you specified is not valid. Supported value: AES256.")]
    Algorithm,
    /// An algorithm without a key.
    #[error(
        "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key."
    )]
    NoKey,
    /// Not base64 of 256 bits.
    #[error("The secret key was invalid for the specified algorithm.")]
    Key,
    /// A key without its MD5.
    #[error(
        "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key."
    )]
    NoMd5,
    /// Another MD5.
    #[error("The calculated MD5 hash of the key did not match the hash that was provided.")]
    Md5,
    /// An SSE-C object is read without a key.
    #[error(
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."
    )]
    KeyNeeded,
    /// A key for an object that has none of a client's.
    #[error("The encryption parameters are not applicable to this object.")]
    NotApplicable,
    /// Another key than the object's or upload's.
    #[error("The provided encryption parameters did not match the ones used originally.")]
    WrongKey,
    /// A part of an SSE-C upload without a key.
    #[error(
        "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters."
    )]
    PartNeedsKey,
    /// A part with a key of an upload without.
    #[error(
        "The multipart upload initiate did not request encryption. Please resend the request without sending encryption parameters."
    )]
    PartTakesNoKey,
}

impl EncryptionParameters {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        let own = [&self.method, &self.kms_key, &self.context, &self.bucket_key];
        own.iter().all(|one| one.is_none()) && self.customer.is_empty()
    }

    /// What is asked for, with the bucket's default where nothing is. `None`: plain.
    /// `Err(None)` for what S3 knows and this gateway does not.
    ///
    /// # Errors
    /// What S3 finds wrong.
    pub fn judge(&self, default: Option<&BucketEncryption>) -> Result<Option<Requested>, Option<EncryptionRefusal>> {
        let customer = self.customer.judge()?;
        if customer.is_some() && (self.method.is_some() || self.kms_key.is_some()) {
            return Err(Some(EncryptionRefusal::Conflict));
        }
        if let Some(key) = customer {
            return Ok(Some(Requested::Customer(key)));
        }
        let is_kms = match self.method.as_deref() {
            Some("AES256") => false,
            Some("aws:kms") => true,
            Some("aws:kms:dsse") => return Err(None),
            Some(_) => return Err(Some(EncryptionRefusal::UnknownMethod)),
            None if self.kms_key.is_some() || self.context.is_some() => return Err(Some(EncryptionRefusal::NotKms)),
            None => return Ok(default.map(|default| self.by_default(default)).transpose()?),
        };
        if !is_kms {
            if self.kms_key.is_some() || self.context.is_some() {
                return Err(Some(EncryptionRefusal::NotKms));
            }
            return Ok(Some(Requested::Service(Method::S3)));
        }
        let own_default = default.and_then(|default| default.bucket_key);
        Ok(Some(Requested::Service(Method::Kms {
            key: key_name(self.kms_key.as_deref())?,
            context: self.context.as_deref().map(context).transpose()?,
            bucket_key: self.bucket_key()?.or(own_default).unwrap_or_default(),
        })))
    }

    fn by_default(&self, default: &BucketEncryption) -> Result<Requested, EncryptionRefusal> {
        Ok(Requested::Service(match &default.method {
            BucketMethod::S3 => Method::S3,
            BucketMethod::Kms { key } => Method::Kms {
                key: key_name(key.as_deref())?,
                context: None,
                bucket_key: self.bucket_key()?.or(default.bucket_key).unwrap_or_default(),
            },
        }))
    }

    fn bucket_key(&self) -> Result<Option<bool>, EncryptionRefusal> {
        match self.bucket_key.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(EncryptionRefusal::BucketKey),
        }
    }
}

impl CustomerParameters {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.algorithm.is_none() && self.key.is_none() && self.md5.is_none()
    }

    /// The key, when one is given.
    ///
    /// # Errors
    /// What S3 finds wrong.
    pub fn judge(&self) -> Result<Option<CustomerKey>, EncryptionRefusal> {
        if self.is_empty() {
            return Ok(None);
        }
        match self.algorithm.as_deref() {
            None => return Err(EncryptionRefusal::NoAlgorithm),
            Some("AES256") => {}
            Some(_) => return Err(EncryptionRefusal::Algorithm),
        }
        let text = self.key.as_ref().ok_or(EncryptionRefusal::NoKey)?;
        let bytes = Zeroizing::new(STANDARD.decode(text.as_bytes()).map_err(|_| EncryptionRefusal::Key)?);
        let key = WrappingKey::from_bytes(&bytes).ok_or(EncryptionRefusal::Key)?;
        let md5 = self.md5.as_ref().ok_or(EncryptionRefusal::NoMd5)?;
        if STANDARD.decode(md5).ok().as_deref() != Some(Md5::digest(&bytes).as_slice()) {
            return Err(EncryptionRefusal::Md5);
        }
        Ok(Some(CustomerKey(key)))
    }
}

/// The key that is named, else AWS's own.
fn key_name(name: Option<&str>) -> Result<String, EncryptionRefusal> {
    let name = name.unwrap_or(DEFAULT_KMS_KEY);
    let is_legal = (1..=LONGEST_KEY_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    // What protects all SSE-S3 objects is not for clients to name.
    if !is_legal || name == super::model::S3_KEY {
        return Err(EncryptionRefusal::KmsKeyName);
    }
    Ok(name.to_owned())
}

/// An encryption context as JSON with sorted names.
fn context(text: &str) -> Result<String, EncryptionRefusal> {
    let bytes = STANDARD.decode(text).map_err(|_| EncryptionRefusal::Context)?;
    let map: BTreeMap<String, String> = serde_json::from_slice(&bytes).map_err(|_| EncryptionRefusal::Context)?;
    serde_json::to_string(&map).map_err(|_| EncryptionRefusal::Context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(key: &[u8]) -> CustomerParameters {
        CustomerParameters {
            algorithm: Some("AES256".into()),
            key: Some(Zeroizing::new(STANDARD.encode(key))),
            md5: Some(STANDARD.encode(Md5::digest(key))),
        }
    }

    fn method(name: &str) -> EncryptionParameters {
        EncryptionParameters { method: Some(name.into()), ..EncryptionParameters::default() }
    }

    #[test]
    fn a_clients_key_is_judged_as_s3_does() {
        assert!(matches!(customer(&[1; 32]).judge(), Ok(Some(_))));
        assert!(matches!(CustomerParameters::default().judge(), Ok(None)));
        let refused = |change: fn(&mut CustomerParameters)| {
            let mut parameters = customer(&[1; 32]);
            change(&mut parameters);
            parameters.judge().unwrap_err()
        };
        assert_eq!(refused(|one| one.algorithm = None), EncryptionRefusal::NoAlgorithm);
        assert_eq!(refused(|one| one.algorithm = Some("AES192".into())), EncryptionRefusal::Algorithm);
        assert_eq!(refused(|one| one.key = None), EncryptionRefusal::NoKey);
        assert_eq!(refused(|one| one.key = Some(Zeroizing::new("?".into()))), EncryptionRefusal::Key);
        assert_eq!(refused(|one| one.md5 = None), EncryptionRefusal::NoMd5);
        assert_eq!(refused(|one| one.md5 = Some("AAAAAAAAAAAAAAAAAAAAAA==".into())), EncryptionRefusal::Md5);
        assert_eq!(customer(&[1; 16]).judge().unwrap_err(), EncryptionRefusal::Key);
    }

    #[test]
    fn methods_do_not_mix() {
        let both = EncryptionParameters { customer: customer(&[1; 32]), ..method("AES256") };
        assert_eq!(both.judge(None).unwrap_err(), Some(EncryptionRefusal::Conflict));
        let named = EncryptionParameters { kms_key: Some("a".into()), ..method("AES256") };
        assert_eq!(named.judge(None).unwrap_err(), Some(EncryptionRefusal::NotKms));
        let undeclared = EncryptionParameters { kms_key: Some("a".into()), ..EncryptionParameters::default() };
        assert_eq!(undeclared.judge(None).unwrap_err(), Some(EncryptionRefusal::NotKms));
        assert_eq!(method("aes:kms").judge(None).unwrap_err(), Some(EncryptionRefusal::UnknownMethod));
        assert_eq!(method("aws:kms:dsse").judge(None).unwrap_err(), None);
        let internal = EncryptionParameters { kms_key: Some("sallyport/s3".into()), ..method("aws:kms") };
        assert_eq!(internal.judge(None).unwrap_err(), Some(EncryptionRefusal::KmsKeyName));
    }

    #[test]
    fn the_buckets_default_counts_where_nothing_is_asked() {
        let kms = BucketEncryption { method: BucketMethod::Kms { key: Some("k".into()) }, bucket_key: Some(true) };
        let judged = |parameters: EncryptionParameters| match parameters.judge(Some(&kms)).unwrap().unwrap() {
            Requested::Service(method) => method,
            Requested::Customer(_) => panic!("no client's key was given"),
        };
        let by_default = Method::Kms { key: "k".into(), context: None, bucket_key: true };
        assert_eq!(judged(EncryptionParameters::default()), by_default);
        assert_eq!(judged(method("AES256")), Method::S3);
        let unnamed = Method::Kms { key: "aws/s3".into(), context: None, bucket_key: true };
        assert_eq!(judged(method("aws:kms")), unnamed);
        assert!(EncryptionParameters::default().judge(None).unwrap().is_none());
    }

    #[test]
    fn a_context_is_sorted_json_of_strings() {
        let encode = |text: &str| STANDARD.encode(text);
        assert_eq!(context(&encode("{\"b\":\"2\", \"a\":\"1\"}")).unwrap(), "{\"a\":\"1\",\"b\":\"2\"}");
        for text in ["[]", "{\"a\":1}", "x"] {
            assert_eq!(context(&encode(text)).unwrap_err(), EncryptionRefusal::Context, "{text}");
        }
        assert_eq!(context("?").unwrap_err(), EncryptionRefusal::Context);
    }

    #[test]
    fn a_clients_key_is_not_shown() {
        let shown = format!("{:?}", customer(&[1; 32]));
        assert!(!shown.contains(&STANDARD.encode([1; 32])), "{shown}");
    }
}
