//! Keys: of objects, of clients, and the port to the service that wraps them.

use super::chunks::RunCipher;
use super::model::SealedRun;
use async_trait::async_trait;
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of every key.
const KEY: usize = 32;
/// Bytes of the salt in front of a wrapped key.
const SALT: usize = 16;

/// Something that was sealed does not open, or cannot be sealed. Says nothing on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not open")]
pub struct CipherFailure;

impl From<ring::error::Unspecified> for CipherFailure {
    fn from(_: ring::error::Unspecified) -> Self {
        Self
    }
}

/// The key that an object's bytes are sealed under. Never stored but wrapped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY]>);

impl DataKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, CipherFailure> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(key.as_mut()).map_err(|_| CipherFailure)?;
        Ok(Self(key))
    }

    /// Takes 32 bytes in, as a key service gives them back.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// The bytes, for the key service that wraps them.
    pub fn reveal(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The cipher of one run.
    ///
    /// # Errors
    /// None in practice: the derived length is fixed.
    pub fn cipher(&self, run: &SealedRun) -> Result<RunCipher, CipherFailure> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &run.salt).extract(self.0.as_ref());
        let key = secret.expand(&[b"sallyport run 1"], &aead::AES_256_GCM)?;
        Ok(RunCipher::new(UnboundKey::from(key)))
    }

    /// 128 bits that depend on the data, and show nothing of it without the key.
    ///
    /// # Errors
    /// None in practice: the derived length is fixed.
    pub fn keyed_digest(&self, digest: &[u8]) -> Result<[u8; 16], CipherFailure> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"sallyport etag 1").extract(self.0.as_ref());
        let key = hmac::Key::from(secret.expand(&[b"etag"], hmac::HMAC_SHA256)?);
        let tag = hmac::sign(&key, digest);
        tag.as_ref().first_chunk().copied().ok_or(CipherFailure)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[data key]")
    }
}

/// A key that wraps others: a master key, or one version of a key of a key service.
#[derive(Clone)]
pub struct WrappingKey(Zeroizing<[u8; KEY]>);

impl WrappingKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, CipherFailure> {
        DataKey::random().map(|key| Self(key.0))
    }

    /// Takes 32 bytes in.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// The bytes, for who keeps them.
    pub fn reveal(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// What tells keys apart without showing them.
    ///
    /// # Errors
    /// None in practice: the derived length is fixed.
    pub fn fingerprint(&self) -> Result<[u8; 16], CipherFailure> {
        DataKey(self.0.clone()).keyed_digest(b"fingerprint")
    }

    /// Wraps a data key; it is unwrapped only with the same `context`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, CipherFailure> {
        self.wrap_bytes(key.0.as_ref(), context)
    }

    /// Unwraps a data key.
    ///
    /// # Errors
    /// When it was wrapped by another key or for another context.
    pub fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, CipherFailure> {
        self.unwrap_bytes(wrapped, context).map(DataKey)
    }

    /// Wraps another wrapping key.
    ///
    /// # Errors
    /// As [`WrappingKey::wrap`].
    pub fn wrap_key(&self, key: &Self, context: &[u8]) -> Result<Vec<u8>, CipherFailure> {
        self.wrap_bytes(key.0.as_ref(), context)
    }

    /// Unwraps another wrapping key.
    ///
    /// # Errors
    /// As [`WrappingKey::unwrap`].
    pub fn unwrap_key(&self, wrapped: &[u8], context: &[u8]) -> Result<Self, CipherFailure> {
        self.unwrap_bytes(wrapped, context).map(Self)
    }

    fn wrap_bytes(&self, key: &[u8], context: &[u8]) -> Result<Vec<u8>, CipherFailure> {
        let mut wrapped = vec![0; SALT];
        getrandom::fill(&mut wrapped).map_err(|_| CipherFailure)?;
        let cipher = self.once(&wrapped)?;
        let mut sealed = Zeroizing::new(key.to_vec());
        let tag = cipher.seal_in_place_separate_tag(zero(), Aad::from(context), sealed.as_mut_slice())?;
        wrapped.extend_from_slice(&sealed);
        wrapped.extend_from_slice(tag.as_ref());
        Ok(wrapped)
    }

    fn unwrap_bytes(&self, wrapped: &[u8], context: &[u8]) -> Result<Zeroizing<[u8; KEY]>, CipherFailure> {
        let (salt, sealed) = wrapped.split_at_checked(SALT).ok_or(CipherFailure)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = self.once(salt)?.open_in_place(zero(), Aad::from(context), sealed.as_mut_slice())?;
        let key: &[u8; KEY] = (&*opened).try_into().map_err(|_| CipherFailure)?;
        Ok(Zeroizing::new(*key))
    }

    /// A cipher that is used once, so that wrapping has no limit of its own.
    fn once(&self, salt: &[u8]) -> Result<LessSafeKey, CipherFailure> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(self.0.as_ref());
        let key = secret.expand(&[b"sallyport wrap 1"], &aead::AES_256_GCM)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[wrapping key]")
    }
}

/// The nonce of a cipher that is used once.
fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// A client's own key (SSE-C). Never stored: that it unwraps an object's data key is the
/// proof that it is the right one.
#[derive(Debug, Clone)]
pub struct CustomerKey(pub(super) WrappingKey);

impl CustomerKey {
    /// Wraps a data key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn wrap(&self, key: &DataKey) -> Result<WrappedKey, CipherFailure> {
        Ok(WrappedKey { version: 0, bytes: self.0.wrap(key, b"sallyport sse-c 1")? })
    }

    /// Unwraps a data key.
    ///
    /// # Errors
    /// When another key wrapped it.
    pub fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, CipherFailure> {
        self.0.unwrap(&wrapped.bytes, b"sallyport sse-c 1")
    }
}

/// A wrapped data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// The version of the key that wrapped it; 0 where keys have none.
    pub version: u32,
    /// The service's own.
    #[serde(with = "super::model::base64_bytes")]
    pub bytes: Vec<u8>,
}

/// Why a key service refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has no such key.
    #[error("the key {0} does not exist")]
    NotFound(String),
    /// The operator disabled it.
    #[error("the key {0} is disabled")]
    Disabled(String),
    /// The service does not let this gateway use it.
    #[error("the key {0} may not be used")]
    Denied(String),
    /// A name that no key can have.
    #[error("{0} is no name of a key")]
    InvalidName(String),
    /// What it wrapped does not open: another master key, or damage.
    #[error("what the key {0} wrapped does not open")]
    Unreadable(String),
    /// It does not answer or cannot read its keys; for the operator.
    #[error("the key service failed: {0}")]
    Unavailable(String),
}

/// The port to whatever keeps the keys that wrap data keys: the embedded key store, or an
/// external KMS. Names are the clients': ids, ARNs and aliases as they came. What an
/// implementation asks for over a network it bounds in time, and tries again where that is
/// right: its callers do neither. Dropping a call leaves nothing behind.
#[async_trait]
pub trait KeyService: Send + Sync {
    /// Wraps a data key under the current version of a key. It is unwrapped only with the
    /// same `context`.
    async fn wrap(&self, name: &str, key: &DataKey, context: &str) -> Result<WrappedKey, KeyError>;

    /// Unwraps a data key, whichever version of the key wrapped it.
    async fn unwrap(&self, name: &str, wrapped: &WrappedKey, context: &str) -> Result<DataKey, KeyError>;

    /// Whether the key's current version wrapped it.
    async fn is_current(&self, name: &str, wrapped: &WrappedKey) -> Result<bool, KeyError>;
}

/// A gateway without keys: whatever needs one is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeys;

#[async_trait]
impl KeyService for NoKeys {
    async fn wrap(&self, name: &str, _key: &DataKey, _context: &str) -> Result<WrappedKey, KeyError> {
        Err(KeyError::NotFound(name.to_owned()))
    }

    async fn unwrap(&self, name: &str, _wrapped: &WrappedKey, _context: &str) -> Result<DataKey, KeyError> {
        Err(KeyError::NotFound(name.to_owned()))
    }

    async fn is_current(&self, name: &str, _wrapped: &WrappedKey) -> Result<bool, KeyError> {
        Err(KeyError::NotFound(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_with_its_key_and_context() {
        let (kek, other, key) =
            (WrappingKey::random().unwrap(), WrappingKey::random().unwrap(), DataKey::random().unwrap());
        let wrapped = kek.wrap(&key, b"context").unwrap();
        assert_eq!(kek.unwrap(&wrapped, b"context").unwrap().0, key.0);
        assert!(kek.unwrap(&wrapped, b"other").is_err());
        assert!(other.unwrap(&wrapped, b"context").is_err());
        for index in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[index] ^= 1;
            assert!(kek.unwrap(&damaged, b"context").is_err(), "byte {index}");
        }
        assert!(kek.unwrap(&wrapped[..SALT - 1], b"context").is_err());
    }

    #[test]
    fn keys_show_nothing_of_themselves() {
        let key = WrappingKey::from_bytes(&[7; 32]).unwrap();
        assert_eq!(
            format!("{:?} {:?}", CustomerKey(key), DataKey::random().unwrap()),
            "CustomerKey([wrapping key]) [data key]"
        );
    }
}
