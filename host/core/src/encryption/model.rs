//! What the database keeps of encryption: of versions, uploads and buckets.

use super::chunks::sealed_size;
use super::keys::{CipherFailure, WrappedKey};
use serde::{Deserialize, Serialize};

/// The key service's key for SSE-S3.
pub const S3_KEY: &str = "sallyport/s3";
/// The key service's key for SSE-KMS where nobody names one.
pub(super) const DEFAULT_KMS_KEY: &str = "aws/s3";

/// How a version is encrypted; nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEncryption {
    /// Whose key wraps its data key.
    pub method: Method,
    /// Its data key.
    pub key: WrappedKey,
    /// What was sealed in one go, in the order of the bytes. Of an upload: none yet.
    pub runs: Vec<SealedRun>,
}

impl ObjectEncryption {
    /// Bytes of the whole version for its readers.
    pub fn plain_size(&self) -> u64 {
        self.runs.iter().map(|run| run.size).sum()
    }

    /// Stored bytes of the whole version.
    pub fn stored_size(&self) -> u64 {
        self.runs.iter().map(|run| sealed_size(run.size)).sum()
    }
}

/// Whose key wraps a data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms {
        /// As the client or the bucket named it.
        key: String,
        /// The encryption context, as JSON with sorted names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
        /// As it was asked for.
        #[serde(default)]
        bucket_key: bool,
    },
    /// SSE-C.
    Customer,
}

impl Method {
    /// The key service's key and the context of the wrapping; `None` for a client's key.
    pub fn service_key(&self) -> Option<(&str, &str)> {
        match self {
            Self::S3 => Some((S3_KEY, "")),
            Self::Kms { key, context, .. } => Some((key, context.as_deref().unwrap_or_default())),
            Self::Customer => None,
        }
    }

    /// Whether ETags are MD5s of the data.
    pub fn has_plain_etags(&self) -> bool {
        matches!(self, Self::S3)
    }
}

/// Bytes that were sealed in one go: an object, or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRun {
    /// Makes its key another than those of all other runs.
    #[serde(with = "base64_bytes")]
    pub salt: Vec<u8>,
    /// Plain bytes.
    pub size: u64,
}

impl SealedRun {
    /// A new run.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(size: u64) -> Result<Self, CipherFailure> {
        let mut salt = vec![0; 16];
        getrandom::fill(&mut salt).map_err(|_| CipherFailure)?;
        Ok(Self { salt, size })
    }
}

/// What new objects of a bucket get that ask for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEncryption {
    /// Whose key.
    pub method: BucketMethod,
    /// `BucketKeyEnabled`, when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_key: Option<bool>,
}

/// The algorithms of a bucket's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketMethod {
    /// `AES256`.
    S3,
    /// `aws:kms`.
    Kms {
        /// `KMSMasterKeyID`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
}

/// Bytes as base64 in JSON.
pub(super) mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::encryption) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::encryption) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
