//! The way of a write: intent, body, prepared, last frame, commit.

use super::encryption::Seal;
use super::ingest::{self, Announced, Held, SMALL};
use super::request::{Incoming, PutOutcome};
use super::{Gateway, new_version_id, now};
use crate::backend::{
    Backend, BackendError, Digest, Expectation, FailureCode, Locator, Name, Place, Projection, Put, Stored,
};
use crate::body::{self, Body};
use crate::checksum::{self, Digests};
use crate::encryption::{self, RunCipher};
use crate::error::{Error, Result};
use crate::lifecycle::{Candidate, Standing};
use crate::metadata::{
    Attributes, Begun, Bucket, ChecksumKind, MetadataError, NewVersion, NewWrite, ObjectChecksum, Prepared, Segment,
    Versioning, WriteConditions, WriteKind,
};
use crate::names::{AccountId, LocationName, ObjectKey, WriteId};
use crate::notification::Announcement;
use md5::{Digest as _, Md5};
use std::sync::Arc;

/// What a write will be, all but its bytes.
pub(super) struct Draft {
    pub(super) bucket: Bucket,
    pub(super) key: ObjectKey,
    pub(super) location: LocationName,
    pub(super) object: Projection,
    pub(super) attributes: Attributes,
    /// What its bytes are sealed with; `None`: they stay plain, or were sealed before.
    pub(super) seal: Option<Seal>,
    pub(super) owner: AccountId,
    pub(super) storage_class: String,
    pub(super) conditions: WriteConditions,
    /// Who is told when it is committed.
    pub(super) announcement: Option<Box<Announcement>>,
}

impl Draft {
    /// The version of these digests.
    fn version(&self, size: u64, digests: &Digests) -> Result<NewVersion> {
        let checksums = digests.others.iter().map(|(algorithm, value)| ObjectChecksum {
            algorithm: algorithm.name().to_owned(),
            value: checksum::encode(value),
            kind: ChecksumKind::FullObject,
        });
        let etag = match &self.seal {
            Some(seal) => seal.etag(&digests.md5)?,
            None => hex::encode(digests.md5),
        };
        Ok(NewVersion {
            id: new_version_id(self.bucket.versioning),
            etag,
            size,
            last_modified: now(),
            object: self.object.clone(),
            attributes: self.attributes.clone(),
            checksums: checksums.collect(),
            owner: self.owner.clone(),
            storage_class: self.storage_class.clone(),
            parts: Vec::new(),
            announcement: self.announcement.clone(),
        })
    }

    /// Says that all of it is sealed in one run; answers with what.
    fn seal(&mut self, size: u64) -> Result<Option<RunCipher>> {
        let (Some(seal), Some(encryption)) = (&self.seal, &mut self.attributes.encryption) else { return Ok(None) };
        let (run, cipher) = seal.run(size)?;
        encryption.runs = vec![run];
        Ok(Some(cipher))
    }

    /// What the client is told of a version.
    pub(super) fn outcome(&self, version: &NewVersion) -> PutOutcome {
        outcome(&self.bucket, &self.key, version.clone())
    }
}

/// What a client of the bucket is told of a version that it wrote: no id of a null version.
pub(super) fn outcome(bucket: &Bucket, key: &ObjectKey, version: NewVersion) -> PutOutcome {
    let candidate = Candidate {
        key: key.as_str(),
        tags: &version.object.tags,
        size: version.size,
        is_marker: false,
        created: version.last_modified,
        standing: Standing::Current { is_only: false },
    };
    PutOutcome {
        expiry: bucket.settings.lifecycle.as_ref().and_then(|lifecycle| lifecycle.expiry(&candidate)),
        // Only a version of its own is worth telling: a suspended bucket has the null one.
        version: (bucket.versioning == Versioning::Enabled).then_some(version.id),
        etag: version.etag,
        checksums: version.checksums,
        size: version.size,
        last_modified: version.last_modified,
        encryption: version.attributes.encryption.map(|encryption| encryption.method),
    }
}

/// A begun write.
pub(super) struct Begin {
    pub(super) id: WriteId,
    pub(super) name: Name,
    pub(super) replaces: Option<Locator>,
    pub(super) backend: Arc<dyn Backend>,
    /// Whatever is at the place may be replaced.
    pub(super) adopts: bool,
}

/// What has to be at the place of a begun write.
pub(super) fn expectation(begun: &Begin) -> Expectation {
    if begun.adopts || begun.backend.traits().keeps_overwritten {
        return Expectation::Anything;
    }
    match &begun.replaces {
        Some(locator) => Expectation::Bytes(locator.clone()),
        None => Expectation::Nothing,
    }
}

impl Gateway {
    /// Stores a body as a new version of a key.
    pub(super) async fn write(&self, mut draft: Draft, incoming: Incoming) -> Result<PutOutcome> {
        let (announced, body) = Announced::split(incoming);
        let cipher = draft.seal(announced.size())?;
        self.check_size(&draft.location, draft.attributes.stored_size(announced.size()))?;
        if announced.size() <= SMALL {
            return self.write_small(draft, &announced, body, cipher).await;
        }
        self.write_large(draft, announced, body, cipher).await
    }

    /// A small body is verified first, and its intent is born prepared: one commit less.
    async fn write_small(
        &self,
        draft: Draft,
        announced: &Announced,
        body: Body,
        cipher: Option<RunCipher>,
    ) -> Result<PutOutcome> {
        let (plain, digests) = ingest::collect(announced, body).await?;
        let version = draft.version(announced.size(), &digests)?;
        let (bytes, md5) = match cipher {
            None => (plain, digests.md5),
            Some(cipher) => {
                let sealed = encryption::seal_whole(&plain, &cipher)?;
                let md5 = Md5::digest(&sealed).into();
                (sealed, md5)
            }
        };
        let _guard = self.keys.lock(&draft.bucket.name, &draft.key).await;
        let mut wants_plain = self.may_write_plain(&draft.bucket.name, &draft.location).await?;
        loop {
            let begun = self.begin(&draft, wants_plain, Some(version.clone())).await?;
            let put = self.put_request(&draft, &begun, bytes.len() as u64, Some(md5));
            match begun.backend.put(put, body::full(bytes.clone())).await {
                // Somebody else's bytes are at the plain place, or took ours from it: they
                // stay, and ours get a place of their own.
                Err(error) if wants_plain && is_taken(&error) => {
                    self.roll_back(&begun.id, None).await?;
                    wants_plain = false;
                }
                outcome => {
                    let version = self.finish(&draft, begun, &version, outcome).await?;
                    return Ok(draft.outcome(&version));
                }
            }
        }
    }

    async fn write_large(
        &self,
        draft: Draft,
        announced: Announced,
        body: Body,
        cipher: Option<RunCipher>,
    ) -> Result<PutOutcome> {
        // What the client says of its bytes says nothing of sealed ones.
        let (size, md5) = (announced.size(), announced.md5().filter(|_| cipher.is_none()));
        let stored_size = draft.attributes.stored_size(size);
        let wants_plain = self.may_write_plain(&draft.bucket.name, &draft.location).await?;
        let mut begun = self.begin(&draft, wants_plain, None).await?;
        // The body cannot be sent twice, so the place is looked at before.
        if wants_plain && self.is_occupied(&draft, &begun).await? {
            self.roll_back(&begun.id, None).await?;
            begun = self.begin(&draft, false, None).await?;
        }
        let (mut body, mut held) = ingest::hold(announced, body);
        if let Some(cipher) = cipher {
            body = encryption::seal(body, cipher, size);
        }
        let mut storing = self.store(&draft, &begun, stored_size, md5, body);
        let digests = tokio::select! {
            biased;
            outcome = &mut storing => {
                let error = outcome.err().unwrap_or_else(|| {
                    BackendError::Broke("it answered before it had the whole body".to_owned())
                });
                return Err(self.fail(&draft, &begun, error).await);
            }
            digests = held.digests() => digests,
        };
        let Some(digests) = digests else {
            // The body broke off; the backend's answer has the reason.
            let error = storing
                .await
                .err()
                .unwrap_or_else(|| BackendError::Broke("it accepted a body that broke off".to_owned()));
            return Err(self.fail(&draft, &begun, error).await);
        };
        let version = draft.version(size, &digests)?;
        let _guard = self.keys.lock(&draft.bucket.name, &draft.key).await;
        self.prepare_or_cut(&draft, &begun, &version, held).await?;
        let outcome = storing.await;
        let version = self.finish(&draft, begun, &version, outcome).await?;
        Ok(draft.outcome(&version))
    }

    async fn prepare_or_cut(&self, draft: &Draft, begun: &Begin, version: &NewVersion, held: Held) -> Result<()> {
        match self.metadata.prepare(&begun.id, version.clone(), &draft.conditions).await {
            Ok(Prepared::Ready) => {
                held.release();
                Ok(())
            }
            Ok(Prepared::Refused(failure)) => {
                self.abandon(&begun.id).await?;
                Err(failure.into())
            }
            Err(error) => {
                self.leave_to_sweeper(&begun.id).await;
                Err(error.into())
            }
        }
    }

    /// Records the intent. With a version it is prepared at once, and its condition decided.
    pub(super) async fn begin(&self, draft: &Draft, wants_plain: bool, prepared: Option<NewVersion>) -> Result<Begin> {
        self.begin_as(WriteKind::Object, draft, wants_plain, prepared).await
    }

    pub(super) async fn begin_as(
        &self,
        kind: WriteKind,
        draft: &Draft,
        wants_plain: bool,
        prepared: Option<NewVersion>,
    ) -> Result<Begin> {
        let backend = self.backend_for(&draft.bucket.owner, &draft.location)?;
        let exclusive = !backend.traits().keeps_overwritten;
        let write = NewWrite {
            id: WriteId::random(),
            bucket: draft.bucket.name.clone(),
            bucket_number: Some(draft.bucket.number),
            key: draft.key.clone(),
            location: draft.location.clone(),
            // Where overwriting loses, only the null version lives at the plain place.
            wants_plain: wants_plain && (!exclusive || new_version_id(draft.bucket.versioning).is_null()),
            exclusive,
            kind,
            prepared: prepared.map(|version| (version, draft.conditions.clone())),
        };
        let id = write.id.clone();
        let begun = self.metadata.begin(write).await.map_err(|error| match error {
            MetadataError::Gone(_) => Error::NoSuchBucket(draft.bucket.name.clone()),
            error => error.into(),
        })?;
        match begun {
            Begun::Started { name, replaces } => {
                let adopts = name.place == Place::Plain && self.locations.adopts_existing(&draft.location);
                Ok(Begin { id, name, replaces, backend, adopts })
            }
            Begun::Refused(failure) => Err(failure.into()),
        }
    }

    /// Whether the plain place holds something other than what the database says.
    async fn is_occupied(&self, draft: &Draft, begun: &Begin) -> Result<bool> {
        if begun.adopts || begun.backend.traits().keeps_overwritten || begun.name.place != Place::Plain {
            return Ok(false);
        }
        let outcome = match &begun.replaces {
            Some(locator) => begun.backend.head(locator).await.map(|_| false),
            None => begun.backend.find(&begun.name, None).await.map(|found| found.is_some()),
        };
        match outcome {
            Err(error) if is_taken(&error) => Ok(true),
            Err(error) => {
                self.roll_back(&begun.id, None).await?;
                Err(Error::from_backend(&draft.location, error))
            }
            Ok(occupied) => Ok(occupied),
        }
    }

    fn put_request(&self, draft: &Draft, begun: &Begin, size: u64, md5: Option<[u8; 16]>) -> Put {
        let checksums = md5.map(|md5| Digest { algorithm: "md5".to_owned(), value: md5.to_vec() });
        Put {
            name: begun.name.clone(),
            write_id: begun.id.clone(),
            size,
            expect: expectation(begun),
            object: draft.object.clone(),
            checksums: checksums.into_iter().collect(),
        }
    }

    pub(super) fn store<'a>(
        &'a self,
        draft: &'a Draft,
        begun: &'a Begin,
        size: u64,
        md5: Option<[u8; 16]>,
        body: Body,
    ) -> futures::future::BoxFuture<'a, Result<Stored, BackendError>> {
        if size <= begun.backend.traits().max_put {
            let put = self.put_request(draft, begun, size, md5);
            return Box::pin(async move { begun.backend.put(put, body).await });
        }
        Box::pin(self.put_in_parts(begun, &draft.object, size, body))
    }

    /// Commits what the backend stored, or settles what it did not. The committed version's
    /// id is the store's word, which knows of a versioning that changed meanwhile.
    pub(super) async fn finish(
        &self,
        draft: &Draft,
        begun: Begin,
        version: &NewVersion,
        outcome: Result<Stored, BackendError>,
    ) -> Result<NewVersion> {
        let stored = match outcome {
            Ok(stored) => stored,
            Err(error) => return Err(self.fail(draft, &begun, error).await),
        };
        // A sealed body's ETag is not what the backend has the MD5 of.
        let is_plain = version.attributes.encryption.is_none();
        if let Some(wrong) = contradiction(&stored.checksums, &version.etag).filter(|_| is_plain) {
            self.roll_back(&begun.id, Some(&stored.locator)).await?;
            return Err(Error::Internal(format!("the location {} stored other bytes: {wrong}", draft.location)));
        }
        let segment =
            Segment::whole(draft.location.clone(), begun.name, begun.id.clone(), stored.locator, version.stored_size());
        let committed = self.commit(&begun.id, vec![segment]).await?;
        Ok(NewVersion { id: committed.id, ..version.clone() })
    }

    /// Takes back an intent whose write failed, and says what the client is told. When it
    /// is not certain that nothing was stored, the sweeper finds out.
    pub(super) async fn fail(&self, draft: &Draft, begun: &Begin, error: BackendError) -> Error {
        let settled =
            if leaves_nothing(&error) { self.roll_back(&begun.id, None).await } else { self.abandon(&begun.id).await };
        match settled {
            Ok(()) => Error::from_backend(&draft.location, error),
            Err(error) => error,
        }
    }
}

/// The place is not as the database says.
pub(super) fn is_taken(error: &BackendError) -> bool {
    matches!(error.code(), Some(FailureCode::Exists | FailureCode::Changed | FailureCode::NotFound))
}

/// Whether a failed write is certain to have stored nothing.
pub(super) fn leaves_nothing(error: &BackendError) -> bool {
    match error {
        BackendError::Busy(_) => true,
        // The host cut the request, yet the backend may have seen its end.
        BackendError::Broke(_) | BackendError::Body(_) => false,
        BackendError::Answered { code, .. } => match code {
            FailureCode::Unavailable | FailureCode::Internal | FailureCode::Throttled => false,
            FailureCode::NotFound
            | FailureCode::Changed
            | FailureCode::Exists
            | FailureCode::Denied
            | FailureCode::NoSpace
            | FailureCode::TooLarge
            | FailureCode::TooSmall
            | FailureCode::Unsupported
            | FailureCode::Invalid => true,
        },
    }
}

/// The backend's own MD5, when it differs from ours.
pub(super) fn contradiction(checksums: &[Digest], etag: &str) -> Option<String> {
    let md5 = checksums.iter().find(|digest| digest.algorithm == "md5")?;
    let theirs = hex::encode(&md5.value);
    (theirs != etag).then(|| format!("MD5 {theirs} where {etag} was sent"))
}
