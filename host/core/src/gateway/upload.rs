//! Multipart uploads: ids and parts are ours, whatever the backend makes of them.

mod complete;

use super::access::own;
use super::authorize::{Brings, Target, not_denied};
use super::encryption::Seal;
use super::ingest::{self, Announced, Held};
use super::object::finish_anyway;
use super::request::{Incoming, NewUpload, PutOutcome, PutPart, UploadRef};
use super::split;
use super::write::{Begin, contradiction, leaves_nothing};
use super::{Gateway, now};
use crate::access::{Action, Facts};
use crate::backend::{BackendError, CreateUpload, FailureCode, Name, Place, Put, Stored, Token};
use crate::body::Body;
use crate::checksum::{self, Algorithm, Digests};
use crate::encryption::{self, SealedRun, sealed_size};
use crate::error::{Error, Result};
use crate::metadata::{
    Attributes, Begun, Bucket, ChecksumKind, MetadataError, NewWrite, ObjectChecksum, Part, PartPage, Segment, Upload,
    WriteKind,
};
use crate::names::{BucketName, ObjectKey, UploadId, WriteId};
use std::sync::Arc;

/// Largest part, in bytes.
const LARGEST_PART: u64 = 5 << 30;
/// Highest part number.
const HIGHEST_NUMBER: u32 = 10_000;

impl Gateway {
    /// CreateMultipartUpload: the id. It goes on to its end when the caller goes away.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidArgument`, the location's.
    pub async fn create_upload(self: &Arc<Self>, request: NewUpload) -> Result<Upload> {
        let target = (&request.bucket, &request.key);
        let facts = Facts { creates: Some(false), lock: request.attributes.lock, ..Facts::default() };
        let brings = Brings { tags: &request.object.tags, has_list: request.acl.is_some(), facts };
        let bucket = self.write_for(&request.caller, target, brings).await?;
        let owned = own(&request.caller, &bucket, request.acl.as_ref())?;
        let location = self.choose_location(request.location.as_deref(), &request.storage_class, &bucket)?;
        let backend = self.backend_for(&bucket.owner, &location)?;
        let encryption =
            self.encryption_of_write(&bucket, &request.encryption).await?.map(|(encryption, _)| encryption);
        let checksum = request.checksum.map(checksum_type).transpose()?;
        // The bucket's default counts from the completion.
        self.check_lock(&request.caller, &bucket, &request.key, request.attributes.lock).await?;
        let time = now();
        let mut upload = Upload {
            id: UploadId::random(),
            bucket: bucket.name,
            key: request.key,
            owner: owned.owner,
            initiator: request.caller.account,
            initiated: time,
            object: request.object,
            attributes: Attributes { acl: owned.acl, encryption, ..request.attributes },
            storage_class: request.storage_class,
            checksum,
            location,
            write_id: WriteId::random(),
            backend: None,
            kept: time,
        };
        if !backend.traits().multipart {
            self.metadata.create_upload(upload.clone()).await?;
            return Ok(upload);
        }
        // A client that goes away must not leave an intent that nobody settles.
        let this = Arc::clone(self);
        finish_anyway(async move {
            this.open_upload(&mut upload, backend).await?;
            Ok(upload)
        })
        .await
    }

    /// Opens the backend's upload. Where an upload is not apart from writes of the same
    /// place, which is where overwriting loses, it gets a place of its own.
    async fn open_upload(&self, upload: &mut Upload, backend: Arc<dyn crate::backend::Backend>) -> Result<()> {
        let exclusive = !backend.traits().keeps_overwritten;
        let wants_plain = !exclusive && self.may_write_plain(&upload.bucket, &upload.location).await?;
        let place = if wants_plain { Place::Plain } else { Place::Derived(upload.write_id.to_string()) };
        let name = Name { bucket: upload.bucket.clone(), key: upload.key.clone(), place };
        // The intent is there before the backend's upload: a crash in between leaves a row
        // that the sweeper can follow.
        let write = self.plain_intent(upload, wants_plain, exclusive);
        let intent = write.id.clone();
        self.metadata.begin(write).await?;
        let request =
            CreateUpload { name: name.clone(), write_id: upload.write_id.clone(), object: upload.object.clone() };
        match backend.create_upload(request).await {
            Ok(token) => {
                upload.backend = Some((name, token.clone()));
                match self.metadata.create_upload(upload.clone()).await {
                    Ok(()) => self.roll_back(&intent, None).await,
                    Err(error) => {
                        if matches!(error, MetadataError::Full | MetadataError::Busy) {
                            // Best effort: no row leads to it, for certain.
                            let _ = backend.abort_upload(&token).await;
                        }
                        self.leave_to_sweeper(&intent).await;
                        Err(error.into())
                    }
                }
            }
            Err(error) => {
                if leaves_nothing(&error) {
                    self.roll_back(&intent, None).await?;
                } else {
                    self.abandon(&intent).await?;
                }
                Err(Error::from_backend(&upload.location, error))
            }
        }
    }

    fn plain_intent(&self, upload: &Upload, wants_plain: bool, exclusive: bool) -> NewWrite {
        NewWrite {
            id: upload.write_id.clone(),
            bucket: upload.bucket.clone(),
            bucket_number: None,
            key: upload.key.clone(),
            location: upload.location.clone(),
            wants_plain,
            exclusive,
            kind: WriteKind::Object,
            prepared: None,
        }
    }

    /// The upload of a request.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchUpload`.
    pub async fn upload(&self, action: Action, upload: &UploadRef) -> Result<Upload> {
        self.upload_for(action, upload, Facts::default()).await?.1.ok_or(Error::NoSuchUpload)
    }

    /// The upload to which a part comes, perhaps from somewhere else.
    pub(super) async fn upload_for_part(
        &self,
        upload: &UploadRef,
        copy_source: Option<(&BucketName, &ObjectKey)>,
    ) -> Result<Upload> {
        let facts = Facts { creates: Some(false), copy_source, ..Facts::default() };
        self.upload_for(Action::PutObject, upload, facts).await?.1.ok_or(Error::NoSuchUpload)
    }

    /// A bucket and its upload, if it is there: for who may. Who opened it may look at it and
    /// abort it, and needs the right to write as long as it writes.
    async fn upload_for(
        &self,
        action: Action,
        upload: &UploadRef,
        facts: Facts<'_>,
    ) -> Result<(Bucket, Option<Upload>)> {
        let UploadRef { caller, bucket: name, key, id } = upload;
        let found = self.metadata.upload(name, key, id).await?;
        let is_own =
            action != Action::PutObject && found.as_ref().is_some_and(|found| found.initiator == caller.account);
        let bucket = if is_own {
            let bucket = self.bucket(name).await?;
            not_denied(caller, action, Target::key(&bucket, key))?;
            bucket
        } else {
            self.key_for(caller, action, (name, key), facts).await?
        };
        Ok((bucket, found))
    }

    /// ListParts.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchUpload`.
    pub async fn parts(&self, upload: &UploadRef, after: u32, limit: usize) -> Result<(Upload, PartPage)> {
        let found = self.upload(Action::ListMultipartUploadParts, upload).await?;
        let page = self.metadata.parts(&found.id, after, limit).await?;
        Ok((found, page))
    }

    /// UploadPart. The same number again replaces the part.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchUpload`, `InvalidArgument`, `EntityTooLarge`,
    /// those of the body, the location's.
    pub async fn put_part(self: &Arc<Self>, request: PutPart) -> Result<PutOutcome> {
        let upload = self.upload_for_part(&request.upload, None).await?;
        check_number(request.number)?;
        check_algorithm(&upload, &request.incoming)?;
        let seal = self.seal_of_upload(&upload, &request.customer).await?;
        if request.incoming.size > LARGEST_PART {
            return Err(Error::EntityTooLarge { size: request.incoming.size, limit: LARGEST_PART });
        }
        if upload.backend.is_none() {
            let size = if seal.is_some() { sealed_size(request.incoming.size) } else { request.incoming.size };
            self.check_size(&upload.location, size)?;
        }
        let this = Arc::clone(self);
        let (number, incoming) = (request.number, request.incoming);
        finish_anyway(async move { this.store_part(upload, number, incoming, seal).await }).await
    }

    pub(super) async fn store_part(
        &self,
        upload: Upload,
        number: u32,
        mut incoming: Incoming,
        seal: Option<Seal>,
    ) -> Result<PutOutcome> {
        // The object's checksum is made of its parts', so each part has one.
        incoming.compute = algorithm_of(&upload).or(incoming.compute);
        match upload.backend.clone() {
            Some((_, token)) => self.store_backend_part(&upload, &token, number, PartBody::new(incoming, seal)?).await,
            None => self.store_part_object(&upload, number, PartBody::new(incoming, seal)?).await,
        }
    }

    pub(super) async fn part_guard(&self, upload: &Upload, number: u32) -> Result<super::keys::KeyGuard> {
        let key =
            ObjectKey::parse(&format!("{}/{number}", upload.id)).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(self.keys.lock(&upload.bucket, &key).await)
    }

    async fn store_backend_part(
        &self,
        upload: &Upload,
        token: &Token,
        number: u32,
        part_body: PartBody,
    ) -> Result<PutOutcome> {
        let backend = self.backend_of(&upload.bucket, &upload.location).await?;
        split::check_number(number, part_body.stored_size, backend.traits())?;
        let limit = split::largest_part(backend.traits());
        if part_body.stored_size > limit {
            return Err(Error::EntityTooLarge { size: part_body.stored_size, limit });
        }
        let PartBody { body, held, sealing, .. } = part_body;
        let storing = split::put_part(backend.as_ref(), token, number, part_body.stored_size, body);
        let (pieces, turn) = tokio::join!(storing, self.verified_in_turn(upload, number, held));
        let (digests, _guard) = turn?;
        let pieces = pieces.map_err(|error| match error.code() {
            // It expired on the backend, or somebody aborted it there.
            Some(FailureCode::NotFound) => Error::NoSuchUpload,
            _ => Error::from_backend(&upload.location, error),
        })?;
        let digests = digests.ok_or_else(|| early_answer(upload))?;
        let part = sealing.sealed(part(number, part_body.size, &digests, pieces.parts, None), &digests)?;
        if let Some(wrong) = contradiction(&pieces.checksums, &part.etag).filter(|_| part.run.is_none()) {
            return Err(Error::Internal(format!("the location {} stored another part: {wrong}", upload.location)));
        }
        self.metadata.put_part(&upload.id, part.clone(), None).await.map_err(gone_upload)?;
        Ok(part_outcome(part, upload))
    }

    /// As `verified`, and one at a time from the last frame on: the backend and the database
    /// must agree on which came last. Not earlier, or a client that sends a part again waits
    /// for the connection that it gave up.
    async fn verified_in_turn(
        &self,
        upload: &Upload,
        number: u32,
        mut held: Held,
    ) -> Result<(Option<Digests>, Option<super::keys::KeyGuard>)> {
        let Some(digests) = held.digests().await else { return Ok((None, None)) };
        let guard = self.part_guard(upload, number).await?;
        held.release();
        Ok((Some(digests), Some(guard)))
    }

    async fn store_part_object(&self, upload: &Upload, number: u32, part_body: PartBody) -> Result<PutOutcome> {
        let backend = self.backend_of(&upload.bucket, &upload.location).await?;
        let write = NewWrite {
            id: WriteId::random(),
            kind: WriteKind::Part { upload: upload.id.clone(), number },
            ..self.plain_intent(upload, false, !backend.traits().keeps_overwritten)
        };
        let id = write.id.clone();
        let Begun::Started { name, replaces } = self.metadata.begin(write).await? else {
            return Err(Error::Internal("a part has no condition to refuse".to_owned()));
        };
        let begun = Begin { id, name, replaces, backend, adopts: false };
        let PartBody { body, held, sealing, stored_size: size, .. } = part_body;
        let put = Put {
            name: begun.name.clone(),
            write_id: begun.id.clone(),
            size,
            expect: super::write::expectation(&begun),
            object: crate::backend::Projection::default(),
            checksums: Vec::new(),
        };
        let (stored, digests) = tokio::join!(begun.backend.put(put, body), verified(held));
        let stored = self.settle_part(upload, &begun, stored).await?;
        let Some(digests) = digests else {
            self.roll_back(&begun.id, Some(&stored.locator)).await?;
            return Err(early_answer(upload));
        };
        let segment =
            Segment::whole(upload.location.clone(), begun.name.clone(), begun.id.clone(), stored.locator.clone(), size);
        let part = sealing.sealed(part(number, part_body.size, &digests, Vec::new(), Some(segment)), &digests)?;
        if let Some(wrong) = contradiction(&stored.checksums, &part.etag).filter(|_| part.run.is_none()) {
            self.roll_back(&begun.id, Some(&stored.locator)).await?;
            return Err(Error::Internal(format!("the location {} stored another part: {wrong}", upload.location)));
        }
        if let Err(error) = self.metadata.put_part(&upload.id, part.clone(), Some(&begun.id)).await {
            // The upload went meanwhile.
            self.roll_back(&begun.id, Some(&stored.locator)).await?;
            return Err(gone_upload(error));
        }
        Ok(part_outcome(part, upload))
    }

    async fn settle_part(
        &self,
        upload: &Upload,
        begun: &Begin,
        outcome: Result<Stored, BackendError>,
    ) -> Result<Stored> {
        match outcome {
            Ok(stored) => Ok(stored),
            Err(error) => {
                if leaves_nothing(&error) {
                    self.roll_back(&begun.id, None).await?;
                } else {
                    self.abandon(&begun.id).await?;
                }
                Err(Error::from_backend(&upload.location, error))
            }
        }
    }

    /// AbortMultipartUpload: whether there was one is told by `NoSuchUpload`, and whether
    /// that is an error by the bucket's location (`legacyAwsBehavior`): otherwise it is none.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchUpload`.
    pub async fn abort_upload(&self, upload: &UploadRef) -> Result<()> {
        let (bucket, _) = self.upload_for(Action::AbortMultipartUpload, upload, Facts::default()).await?;
        // A completion that is under way is waited for: then there is nothing left to abort.
        let _guard = self.keys.lock(&upload.bucket, &upload.key).await;
        if self.metadata.abort_upload(&upload.bucket, &upload.key, &upload.id).await? {
            return Ok(());
        }
        let location = self.locations.location(&bucket.location);
        if location.is_some_and(|location| location.legacy_aws_behavior) {
            return Err(Error::NoSuchUpload);
        }
        Ok(())
    }
}

/// A part on its way to the backend.
struct PartBody {
    /// For its readers, in bytes.
    size: u64,
    /// As it is stored, in bytes.
    stored_size: u64,
    /// As it is stored.
    body: Body,
    held: Held,
    sealing: Sealing,
}

/// How a part is sealed, if it is.
struct Sealing(Option<(Seal, SealedRun)>);

impl PartBody {
    fn new(incoming: Incoming, seal: Option<Seal>) -> Result<Self> {
        let (announced, body) = Announced::split(incoming);
        let size = announced.size();
        let (body, held) = ingest::hold(announced, body);
        let Some(seal) = seal else {
            return Ok(Self { size, stored_size: size, body, held, sealing: Sealing(None) });
        };
        let (run, cipher) = seal.run(size)?;
        let body = encryption::seal(body, cipher, size);
        Ok(Self { size, stored_size: sealed_size(size), body, held, sealing: Sealing(Some((seal, run))) })
    }
}

impl Sealing {
    /// The part as it is, once its digests are known.
    fn sealed(self, part: Part, digests: &Digests) -> Result<Part> {
        let Some((seal, run)) = self.0 else { return Ok(part) };
        Ok(Part { etag: seal.etag(&digests.md5)?, run: Some(run), ..part })
    }
}

/// A part's digests, once they agree with what was announced: then its last frame is let go.
async fn verified(mut held: Held) -> Option<Digests> {
    let digests = held.digests().await;
    held.release();
    digests
}

/// What the checksum of an upload's object is made with.
fn algorithm_of(upload: &Upload) -> Option<Algorithm> {
    upload.checksum.as_ref().and_then(|(name, _)| Algorithm::parse(name))
}

/// A part has the checksum of its upload, or none: of another the object's could not be made.
fn check_algorithm(upload: &Upload, incoming: &Incoming) -> Result<()> {
    let trailer = incoming.trailer.as_ref().map(|trailer| trailer.algorithm);
    let mut sent = incoming.checksums.iter().map(|(algorithm, _)| *algorithm).chain(trailer);
    let Some((expected, actual)) =
        algorithm_of(upload).zip(sent.next()).filter(|(expected, actual)| expected != actual)
    else {
        return Ok(());
    };
    Err(Error::InvalidRequest(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        expected.name(),
        actual.name()
    )))
}

pub(super) fn check_number(number: u32) -> Result<()> {
    if (1..=HIGHEST_NUMBER).contains(&number) {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        argument: "partNumber",
        message: format!("Part number must be an integer between 1 and {HIGHEST_NUMBER}, inclusive"),
    })
}

/// The type that S3 gives a checksum that names none, and what it does not allow.
fn checksum_type((algorithm, kind): (Algorithm, Option<ChecksumKind>)) -> Result<(String, ChecksumKind)> {
    let whole_only = algorithm == Algorithm::Crc64Nvme;
    let parts_only = matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
    let default = if whole_only { ChecksumKind::FullObject } else { ChecksumKind::Composite };
    let kind = kind.unwrap_or(default);
    if (whole_only && kind == ChecksumKind::Composite) || (parts_only && kind == ChecksumKind::FullObject) {
        let kind = if whole_only { "COMPOSITE" } else { "FULL_OBJECT" };
        return Err(Error::InvalidRequest(format!(
            "The {kind} checksum type cannot be used with the {} checksum algorithm.",
            algorithm.name()
        )));
    }
    Ok((algorithm.name().to_owned(), kind))
}

pub(super) fn part(
    number: u32,
    size: u64,
    digests: &Digests,
    pieces: Vec<(u32, Token, u64)>,
    segment: Option<Segment>,
) -> Part {
    let checksums = digests.others.iter().map(|(algorithm, value)| ObjectChecksum {
        algorithm: algorithm.name().to_owned(),
        value: checksum::encode(value),
        kind: ChecksumKind::FullObject,
    });
    Part {
        number,
        etag: hex::encode(digests.md5),
        size,
        last_modified: now(),
        checksums: checksums.collect(),
        pieces,
        segment,
        run: None,
    }
}

pub(super) fn part_outcome(part: Part, upload: &Upload) -> PutOutcome {
    PutOutcome {
        etag: part.etag,
        version: None,
        checksums: part.checksums,
        size: part.size,
        last_modified: part.last_modified,
        expiry: None,
        encryption: upload.attributes.encryption.as_ref().map(|encryption| encryption.method.clone()),
    }
}

pub(super) fn gone_upload(error: crate::metadata::MetadataError) -> Error {
    match error {
        crate::metadata::MetadataError::Gone(_) => Error::NoSuchUpload,
        other => other.into(),
    }
}

fn early_answer(upload: &Upload) -> Error {
    Error::Internal(format!("the location {} answered before it had the whole part", upload.location))
}
