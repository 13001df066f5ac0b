//! Which keys the bytes of requests are sealed and opened with.

use super::Gateway;
use super::write::Draft;
use crate::encryption::{
    CipherFailure, CustomerKey, CustomerParameters, DataKey, EncryptionParameters, EncryptionRefusal, KeyError, Method,
    ObjectEncryption, Requested, RunCipher, SealedRun, WrappedKey,
};
use crate::error::{Error, Result};
use crate::metadata::{Bucket, Upload, Version};

/// What the bytes of a write are sealed with.
#[derive(Clone)]
pub(super) struct Seal {
    key: DataKey,
    has_plain_etags: bool,
    /// Whose key wrapped it, when it is a client's.
    customer: Option<CustomerKey>,
}

impl Seal {
    /// A run of its own, and what seals it.
    pub(super) fn run(&self, size: u64) -> Result<(SealedRun, RunCipher)> {
        let run = SealedRun::new(size)?;
        let cipher = self.key.cipher(&run)?;
        Ok((run, cipher))
    }

    /// The ETag of bytes with this MD5.
    pub(super) fn etag(&self, md5: &[u8; 16]) -> Result<String> {
        if self.has_plain_etags {
            return Ok(hex::encode(md5));
        }
        Ok(hex::encode(self.key.keyed_digest(md5)?))
    }
}

impl Gateway {
    /// How a new object or upload of a bucket is encrypted; `None`: not at all.
    pub(super) async fn encryption_of_write(
        &self,
        bucket: &Bucket,
        parameters: &EncryptionParameters,
    ) -> Result<Option<(ObjectEncryption, Seal)>> {
        let default = bucket.settings.encryption.as_ref();
        if default.is_none() && parameters.is_empty() {
            return Ok(None);
        }
        let requested = parameters.judge(default).map_err(|refusal| match refusal {
            Some(refusal) => Error::Encryption(refusal),
            None => Error::NotImplemented("aws:kms:dsse".to_owned()),
        })?;
        let Some(requested) = requested else { return Ok(None) };
        let key = DataKey::random()?;
        let (method, wrapped, customer) = match requested {
            Requested::Service(method) => {
                let wrapped = self.wrap(&method, &key).await?;
                (method, wrapped, None)
            }
            Requested::Customer(customer) => (Method::Customer, customer.wrap(&key)?, Some(customer)),
        };
        let has_plain_etags = method.has_plain_etags();
        let encryption = ObjectEncryption { method, key: wrapped, runs: Vec::new() };
        Ok(Some((encryption, Seal { key, has_plain_etags, customer })))
    }

    /// What the parts of an upload are sealed with.
    pub(super) async fn seal_of_upload(&self, upload: &Upload, customer: &CustomerParameters) -> Result<Option<Seal>> {
        self.check_part_key(upload, customer, true)?;
        let Some(encryption) = &upload.attributes.encryption else { return Ok(None) };
        let key = self.data_key(encryption, customer).await?;
        let has_plain_etags = encryption.method.has_plain_etags();
        Ok(Some(Seal { key, has_plain_etags, customer: None }))
    }

    /// Whether a request on an upload comes with the upload's own key.
    pub(super) fn check_part_key(&self, upload: &Upload, customer: &CustomerParameters, needed: bool) -> Result<()> {
        let given = customer.judge().map_err(Error::Encryption)?;
        let encryption = upload.attributes.encryption.as_ref();
        let refusal = match (encryption.filter(|one| one.method == Method::Customer), given) {
            (None, None) => return Ok(()),
            (None, Some(_)) => EncryptionRefusal::PartTakesNoKey,
            (Some(_), None) if needed => EncryptionRefusal::PartNeedsKey,
            (Some(_), None) => return Ok(()),
            (Some(encryption), Some(given)) if given.unwrap(&encryption.key).is_err() => EncryptionRefusal::WrongKey,
            (Some(_), Some(_)) => return Ok(()),
        };
        Err(Error::Encryption(refusal))
    }

    /// Whether a reader comes with the right key where a client's is needed, and with none
    /// where not.
    pub(super) fn check_reader_key(&self, version: &Version, customer: &CustomerParameters) -> Result<()> {
        let encryption = version.attributes.encryption.as_ref();
        if encryption.is_none() && customer.is_empty() {
            return Ok(());
        }
        let given = customer.judge().map_err(Error::Encryption)?;
        let refusal = match (encryption.filter(|one| one.method == Method::Customer), given) {
            (None, None) => return Ok(()),
            (None, Some(_)) => EncryptionRefusal::NotApplicable,
            (Some(_), None) => EncryptionRefusal::KeyNeeded,
            (Some(encryption), Some(given)) if given.unwrap(&encryption.key).is_err() => EncryptionRefusal::WrongKey,
            (Some(_), Some(_)) => return Ok(()),
        };
        Err(Error::Encryption(refusal))
    }

    /// What opens a version's bytes; `None` when they are plain.
    pub(super) async fn reader_key(&self, version: &Version, customer: &CustomerParameters) -> Result<Option<DataKey>> {
        self.check_reader_key(version, customer)?;
        match &version.attributes.encryption {
            None => Ok(None),
            Some(encryption) => self.data_key(encryption, customer).await.map(Some),
        }
    }

    async fn data_key(&self, encryption: &ObjectEncryption, customer: &CustomerParameters) -> Result<DataKey> {
        if let Some((name, context)) = encryption.method.service_key() {
            return Ok(self.key_service.unwrap(name, &encryption.key, context).await?);
        }
        let customer = customer.judge().map_err(Error::Encryption)?;
        let customer = customer.ok_or(Error::Encryption(EncryptionRefusal::KeyNeeded))?;
        customer.unwrap(&encryption.key).map_err(|_| Error::Encryption(EncryptionRefusal::WrongKey))
    }

    async fn wrap(&self, method: &Method, key: &DataKey) -> Result<WrappedKey> {
        match method.service_key() {
            Some((name, context)) => Ok(self.key_service.wrap(name, key, context).await?),
            None => Err(Error::Internal("only its client wraps a client's key".to_owned())),
        }
    }

    /// The encryption that a copy of the source's very bytes has, when they are encrypted as
    /// the draft wants it; `None` when they are not, and have to be read and sealed anew.
    pub(super) async fn encrypted_alike(
        &self,
        draft: &Draft,
        source: &Version,
        source_key: Option<&DataKey>,
    ) -> Result<Option<Option<ObjectEncryption>>> {
        let (wanted, own) = match (&draft.attributes.encryption, &source.attributes.encryption) {
            (None, None) => return Ok(Some(None)),
            (Some(wanted), Some(own)) if wanted.method == own.method => (wanted, own),
            (Some(_) | None, Some(_) | None) => return Ok(None),
        };
        if let Some(customer) = draft.seal.as_ref().and_then(|seal| seal.customer.as_ref()) {
            return Ok(customer.unwrap(&own.key).is_ok().then(|| Some(own.clone())));
        }
        let Some(key) = source_key else { return Ok(None) };
        let wrapped = self.wrap(&wanted.method, key).await?;
        Ok(Some(Some(ObjectEncryption { key: wrapped, ..own.clone() })))
    }

    /// Whether a version's data key can be opened. That of a client can be by the client alone,
    /// and one of a disabled key will be again.
    pub(super) async fn check_key(&self, version: &Version) -> Result<(), KeyError> {
        let Some(encryption) = &version.attributes.encryption else { return Ok(()) };
        let Some((name, context)) = encryption.method.service_key() else { return Ok(()) };
        match self.key_service.unwrap(name, &encryption.key, context).await {
            Ok(_) | Err(KeyError::Disabled(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Wraps the data key of an object anew where an older version of its key wrapped it.
    pub(super) async fn rewrapped(&self, encryption: &ObjectEncryption) -> Result<Option<WrappedKey>> {
        let Some((name, context)) = encryption.method.service_key() else { return Ok(None) };
        if self.key_service.is_current(name, &encryption.key).await? {
            return Ok(None);
        }
        let key = self.key_service.unwrap(name, &encryption.key, context).await?;
        Ok(Some(self.key_service.wrap(name, &key, context).await?))
    }
}

impl From<CipherFailure> for Error {
    fn from(failure: CipherFailure) -> Self {
        Self::Internal(failure.to_string())
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}
