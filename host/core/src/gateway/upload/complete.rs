//! CompleteMultipartUpload: parts become a version, by reference wherever the bytes are.

use super::super::notifications::announcement;
use super::super::request::{CompleteOutcome, CompleteUpload, ListedPart, UploadRef};
use super::super::write::{leaves_nothing, outcome};
use super::super::{Gateway, new_version_id, now};
use crate::access::{Action, Facts};
use crate::backend::{BackendError, CompletedPart, FailureCode, Name, Place, Stored, Token};
use crate::checksum::{self, Algorithm};
use crate::error::{Error, Result};
use crate::metadata::{
    Begun, Bucket, ChecksumKind, NewVersion, NewWrite, ObjectChecksum, Part, PartBoundary, Segment, Upload, Version,
    WriteKind,
};
use crate::names::LocationName;
use crate::notification::EventKind;
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parts read from the database at a time.
const PAGE: usize = 1_000;
/// Largest object, in bytes.
const LARGEST_OBJECT: u64 = 5 << 40;

impl Gateway {
    /// CompleteMultipartUpload. Atomic and durable when it returns.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`,
    /// `EntityTooSmall`, `EntityTooLarge`, `Refused`, `PreconditionFailed`, the location's.
    pub async fn complete_upload(self: &Arc<Self>, request: CompleteUpload) -> Result<CompleteOutcome> {
        let UploadRef { caller, bucket, key, .. } = &request.upload;
        let facts = Facts { creates: Some(true), ..Facts::default() };
        let bucket = self.key_for(caller, Action::PutObject, (bucket, key), facts).await?;
        self.may_compare(caller, (&bucket, key), None, &request.conditions).await?;
        let Some(upload) = self.metadata.upload(&bucket.name, &request.upload.key, &request.upload.id).await? else {
            return self.completed_before(&bucket, &request).await;
        };
        let stored = self.all_parts(&upload).await?;
        // S3 wants a client's key here only for an object with checksums.
        let has_checksums = upload.checksum.is_some() || stored.values().any(|part| !part.checksums.is_empty());
        self.check_part_key(&upload, &request.customer, has_checksums)?;
        let parts = match match_parts(&request.parts, stored, self.options.min_part) {
            Ok(parts) => parts,
            Err(error) => {
                // They may have gone with the upload since that was looked at.
                let is_open = self.metadata.upload(&bucket.name, &upload.key, &upload.id).await?.is_some();
                return if is_open { Err(error) } else { self.completed_before(&bucket, &request).await };
            }
        };
        let version = assemble(&bucket, &upload, &request, &parts)?;
        let this = Arc::clone(self);
        super::finish_anyway(async move { this.complete(bucket, upload, request, parts, version).await }).await
    }

    /// The answer to a completion that is sent again because its answer was lost: the same,
    /// while the object is there and the parts are those that it was made of.
    async fn completed_before(&self, bucket: &Bucket, request: &CompleteUpload) -> Result<CompleteOutcome> {
        let UploadRef { key, id, .. } = &request.upload;
        let version = self.metadata.completed_upload(&bucket.name, key, id).await?;
        let version = version.filter(|version| is_made_of(version, &request.parts)).ok_or(Error::NoSuchUpload)?;
        let location = version.segments.first().map_or_else(|| bucket.location.clone(), |one| one.location.clone());
        Ok(CompleteOutcome { put: outcome(bucket, key, version.into()), location })
    }

    async fn all_parts(&self, upload: &Upload) -> Result<BTreeMap<u32, Part>> {
        let (mut parts, mut after) = (BTreeMap::new(), 0);
        loop {
            let page = self.metadata.parts(&upload.id, after, PAGE).await?;
            for part in page.parts {
                after = part.number;
                parts.insert(part.number, part);
            }
            if !page.is_truncated {
                return Ok(parts);
            }
        }
    }

    async fn complete(
        &self,
        bucket: Bucket,
        upload: Upload,
        request: CompleteUpload,
        parts: Vec<Part>,
        version: NewVersion,
    ) -> Result<CompleteOutcome> {
        let _guard = self.keys.lock(&upload.bucket, &upload.key).await;
        // The same completion, sent twice at a time, makes one version.
        if self.metadata.upload(&upload.bucket, &upload.key, &upload.id).await?.is_none() {
            return self.completed_before(&bucket, &request).await;
        }
        let (name, token) = upload.backend.clone().unwrap_or_else(|| {
            let place = Place::Derived(upload.write_id.to_string());
            (Name { bucket: upload.bucket.clone(), key: upload.key.clone(), place }, Token(Vec::new()))
        });
        let write = NewWrite {
            id: upload.write_id.clone(),
            bucket: upload.bucket.clone(),
            bucket_number: None,
            key: upload.key.clone(),
            location: upload.location.clone(),
            wants_plain: name.place == Place::Plain,
            exclusive: false,
            kind: WriteKind::Completion { upload: upload.id.clone(), name: name.clone(), token },
            prepared: Some((version.clone(), request.conditions)),
        };
        if let Begun::Refused(failure) = self.metadata.begin(write).await? {
            return Err(failure.into());
        }
        let segments = match &upload.backend {
            None => parts.iter().filter_map(|part| part.segment.clone()).collect(),
            Some((name, token)) => {
                vec![self.assemble_on_backend(&upload, name, token, &parts, version.stored_size()).await?]
            }
        };
        self.commit(&upload.write_id, segments).await?;
        Ok(CompleteOutcome { put: outcome(&bucket, &upload.key, version), location: upload.location })
    }

    async fn assemble_on_backend(
        &self,
        upload: &Upload,
        name: &Name,
        token: &Token,
        parts: &[Part],
        size: u64,
    ) -> Result<Segment> {
        let stored = match self.ask_to_assemble(upload, name, token, parts, size).await {
            Ok(stored) => stored,
            Err(Assembling::Refused(error)) => {
                self.roll_back(&upload.write_id, None).await?;
                return Err(error);
            }
            Err(Assembling::Backend(error)) => {
                // The upload stays; whether its object came to be is for the sweeper to see
                // when the answer does not say.
                if leaves_nothing(&error) {
                    self.roll_back(&upload.write_id, None).await?;
                } else {
                    self.abandon(&upload.write_id).await?;
                }
                return Err(refused(&upload.location, parts, error));
            }
        };
        Ok(Segment::whole(upload.location.clone(), name.clone(), upload.write_id.clone(), stored.locator, size))
    }

    async fn ask_to_assemble(
        &self,
        upload: &Upload,
        name: &Name,
        token: &Token,
        parts: &[Part],
        size: u64,
    ) -> Result<Stored, Assembling> {
        let backend = self.backend_of(&upload.bucket, &upload.location).await.map_err(Assembling::Refused)?;
        let pieces = parts.iter().flat_map(|part| &part.pieces);
        let parts =
            pieces.map(|(number, part, size)| CompletedPart { number: *number, part: part.clone(), size: *size });
        let request = crate::backend::CompleteUpload { upload: token.clone(), parts: parts.collect(), size };
        match backend.complete_upload(request).await {
            Ok(stored) => Ok(stored),
            // Completed before, by a try whose answer was lost.
            Err(error) if error.code() == Some(FailureCode::NotFound) => {
                match backend.find(name, Some(&upload.write_id)).await.map_err(Assembling::Backend)? {
                    Some(found) if found.size == size => {
                        Ok(Stored { locator: found.locator, checksums: found.checksums })
                    }
                    // Of other parts: what that try left is for the sweeper to take back.
                    Some(_) => Err(Assembling::Backend(BackendError::Answered {
                        code: FailureCode::Unavailable,
                        message: "an earlier completion of other parts is being taken back".to_owned(),
                        retry_after: None,
                    })),
                    None => Err(Assembling::Backend(error)),
                }
            }
            Err(error) => Err(Assembling::Backend(error)),
        }
    }
}

enum Assembling {
    Refused(Error),
    Backend(BackendError),
}

/// What a backend's no to a completion means to the client. Its upload may be gone, and a part
/// may have been replaced while the completion was on its way.
fn refused(location: &LocationName, parts: &[Part], error: BackendError) -> Error {
    let but_last = parts.split_last().map_or(parts, |(_, others)| others);
    match (error.code(), but_last.iter().min_by_key(|part| part.size)) {
        (Some(FailureCode::NotFound), _) => Error::NoSuchUpload,
        (Some(FailureCode::Changed), _) => Error::InvalidPart(None),
        (Some(FailureCode::TooSmall), Some(part)) => {
            Error::EntityTooSmall { number: part.number, size: part.size, minimum: None }
        }
        _ => Error::from_backend(location, error),
    }
}

/// The parts that the client lists, checked against those that were stored.
fn match_parts(listed: &[ListedPart], mut stored: BTreeMap<u32, Part>, min_part: u64) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::with_capacity(listed.len());
    for one in listed {
        if parts.last().is_some_and(|last| last.number >= one.number) {
            return Err(Error::InvalidPartOrder);
        }
        let part = stored.remove(&one.number).ok_or(Error::InvalidPart(Some(one.number)))?;
        let agrees = |(algorithm, value): &(Algorithm, String)| {
            part.checksums.iter().any(|own| own.algorithm == algorithm.name() && own.value == *value)
        };
        if part.etag != one.etag || !one.checksums.iter().all(agrees) {
            return Err(Error::InvalidPart(Some(one.number)));
        }
        parts.push(part);
    }
    let small = parts.iter().rev().skip(1).rev().find(|part| part.size < min_part);
    if let Some(part) = small {
        return Err(Error::EntityTooSmall { number: part.number, size: part.size, minimum: Some(min_part) });
    }
    if parts.is_empty() {
        return Err(Error::InvalidRequest("You must specify at least one part".to_owned()));
    }
    Ok(parts)
}

/// The version that the parts become.
fn assemble(bucket: &Bucket, upload: &Upload, request: &CompleteUpload, parts: &[Part]) -> Result<NewVersion> {
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if size > LARGEST_OBJECT {
        return Err(Error::EntityTooLarge { size, limit: LARGEST_OBJECT });
    }
    if let Some(announced) = request.size.filter(|announced| *announced != size) {
        return Err(Error::InvalidRequest(format!(
            "The provided x-amz-mp-object-size is {announced}, but the parts have {size} bytes."
        )));
    }
    let checksums: Vec<ObjectChecksum> = object_checksum(upload, parts)?.into_iter().collect();
    if let Some((algorithm, value)) = &request.checksum
        && !checksums.iter().any(|own| own.algorithm == algorithm.name() && own.value == *value)
    {
        let name = format!("x-amz-checksum-{}", algorithm.name());
        return Err(Error::Refused(crate::body::Refusal::Digest(name)));
    }
    let mut attributes = upload.attributes.clone();
    if let Some(encryption) = &mut attributes.encryption {
        let runs = parts.iter().map(|part| part.run.clone().ok_or(Error::InvalidPart(Some(part.number))));
        encryption.runs = runs.collect::<Result<_>>()?;
    }
    let boundaries = parts.iter().map(|part| PartBoundary {
        number: part.number,
        size: part.size,
        checksums: part.checksums.clone(),
    });
    let time = now();
    attributes.lock = attributes.lock.or_default(bucket.settings.object_lock.as_ref(), time);
    Ok(NewVersion {
        id: new_version_id(bucket.versioning),
        etag: composite_etag(parts.iter().map(|part| part.etag.as_str())),
        size,
        last_modified: time,
        object: upload.object.clone(),
        attributes,
        checksums,
        owner: upload.owner.clone(),
        storage_class: upload.storage_class.clone(),
        parts: boundaries.collect(),
        announcement: announcement(
            bucket,
            &upload.key,
            Some(&request.upload.caller),
            &[EventKind::CreatedByCompletion],
        ),
    })
}

/// Whether these are the parts that a version was made of.
fn is_made_of(version: &Version, listed: &[ListedPart]) -> bool {
    let numbers = version.parts.iter().map(|part| part.number);
    numbers.eq(listed.iter().map(|part| part.number))
        && version.etag == composite_etag(listed.iter().map(|part| part.etag.as_str()))
}

/// MD5 of the parts' MD5s, and their count.
fn composite_etag<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let (mut md5, count) = (Md5::new(), etags.len());
    for etag in etags {
        md5.update(hex::decode(etag).unwrap_or_default());
    }
    format!("{}-{count}", hex::encode(md5.finalize()))
}

/// The object's checksum from its parts', as the upload was opened for.
fn object_checksum(upload: &Upload, parts: &[Part]) -> Result<Option<ObjectChecksum>> {
    let Some((name, kind)) = &upload.checksum else {
        return Ok(None);
    };
    let algorithm = Algorithm::parse(name).ok_or_else(|| Error::Internal(format!("the checksum {name}")))?;
    let mut digests = Vec::with_capacity(parts.len());
    for part in parts {
        let own = part.checksums.iter().find(|own| own.algorithm == *name);
        let digest = own.and_then(|own| algorithm.decode(&own.value));
        digests.push((digest.ok_or(Error::InvalidPart(Some(part.number)))?, part.size));
    }
    let value = match kind {
        ChecksumKind::Composite => {
            let joined: Vec<u8> = digests.iter().flat_map(|(digest, _)| digest.clone()).collect();
            format!("{}-{}", checksum::encode(&algorithm.digest(&joined)), parts.len())
        }
        ChecksumKind::FullObject => checksum::encode(
            &algorithm
                .combine(&digests)
                .ok_or_else(|| Error::InvalidRequest(format!("{name} has no full-object checksum of parts")))?,
        ),
    };
    Ok(Some(ObjectChecksum { algorithm: name.clone(), value, kind: *kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u32, size: u64) -> Part {
        Part {
            number,
            etag: hex::encode(Md5::digest(number.to_be_bytes())),
            size,
            last_modified: 0,
            checksums: Vec::new(),
            pieces: Vec::new(),
            segment: None,
            run: None,
        }
    }

    fn listed(part: &Part) -> ListedPart {
        ListedPart { number: part.number, etag: part.etag.clone(), checksums: Vec::new() }
    }

    #[test]
    fn parts_are_matched_in_ascending_order() {
        let (one, two) = (part(1, 10), part(3, 5));
        let stored = || BTreeMap::from([(1, part(1, 10)), (3, part(3, 5))]);
        assert_eq!(match_parts(&[listed(&one), listed(&two)], stored(), 10).unwrap().len(), 2);
        assert!(matches!(match_parts(&[listed(&two), listed(&one)], stored(), 1), Err(Error::InvalidPartOrder)));
        assert!(matches!(match_parts(&[listed(&part(2, 1))], stored(), 1), Err(Error::InvalidPart(Some(2)))));
        let small = match_parts(&[listed(&one), listed(&two)], stored(), 11);
        assert!(matches!(small, Err(Error::EntityTooSmall { number: 1, .. })));
    }

    #[test]
    fn the_etag_is_the_md5_of_md5s() {
        let digests = [Md5::digest(1_u32.to_be_bytes()), Md5::digest(2_u32.to_be_bytes())].concat();
        let expected = format!("{}-2", hex::encode(Md5::digest(digests)));
        let etags = [part(1, 1).etag, part(2, 1).etag];
        assert_eq!(composite_etag(etags.iter().map(String::as_str)), expected);
    }
}
