//! Copies: by reference or on the backend where that is exact, streamed otherwise.

use super::access::own;
use super::authorize::{Asks, Brings, Target, decide, may_tag_new};
use super::notifications::announcement;
use super::object::finish_anyway;
use super::read::FOLLOWED;
use super::request::{CopyObject, CopyOutcome, CopyPart, Incoming, PutOutcome, Source};
use super::upload::{check_number, gone_upload, part_outcome};
use super::write::{Draft, expectation};
use super::{Gateway, new_version_id, now, shown_version};
use crate::access::{Action, Caller, Facts};
use crate::backend::{self, FailureCode, Projection, Span, Token};
use crate::checksum::Algorithm;
use crate::encryption::DataKey;
use crate::error::{Error, Result};
use crate::metadata::{Attributes, Bucket, MetadataError, NewVersion, Part, Segment, Upload, Version, WriteKind};
use crate::names::LocationName;
use crate::notification::EventKind;
use std::sync::Arc;

/// Largest object that CopyObject takes, and largest part that UploadPartCopy makes, in bytes.
const LARGEST_COPY: u64 = 5 << 30;

impl Gateway {
    /// CopyObject: exactly the source version's bytes, which `source_version` names.
    ///
    /// # Errors
    /// Those of reading the source and of writing the destination.
    pub async fn copy_object(self: &Arc<Self>, request: CopyObject) -> Result<CopyOutcome> {
        for _ in 0..FOLLOWED {
            match self.copy_object_once(request.clone()).await {
                // Replaced since the look at the database, as in a read.
                Err(Error::LocationLost { .. }) => self.settle_key(&request.source.bucket, &request.source.key).await?,
                outcome => return outcome,
            }
        }
        self.copy_object_once(request).await
    }

    async fn copy_object_once(self: &Arc<Self>, request: CopyObject) -> Result<CopyOutcome> {
        let tags = request.replace_tags.as_deref().unwrap_or_default();
        let target = (&request.bucket, &request.key);
        let copy_source = Some((&request.source.bucket, &request.source.key));
        let facts = Facts { creates: Some(true), lock: request.attributes.lock, copy_source, ..Facts::default() };
        let brings = Brings { tags, has_list: request.acl.is_some(), facts };
        let bucket = self.write_for(&request.caller, target, brings).await?;
        self.may_compare(&request.caller, (&bucket, &request.key), None, &request.conditions).await?;
        let owned = own(&request.caller, &bucket, request.acl.as_ref())?;
        let (source_bucket, source) = self.source(&request.caller, &request.source).await?;
        if request.replace_tags.is_none() && !source.object.tags.is_empty() {
            // Tags that are copied are read there and written here.
            let by_id = request.source.version.is_some();
            let action = if by_id { Action::GetObjectVersionTagging } else { Action::GetObjectTagging };
            let of_source = Facts { version: request.source.version.as_ref(), ..Facts::default() };
            let read = Target { existing: Some(&source), facts: of_source, ..Target::key(&source_bucket, &source.key) };
            decide(&request.caller, action, read)?;
            may_tag_new(&request.caller, Target { facts, ..Target::key(&bucket, &request.key) })?;
        }
        let source_version = shown_version(source_bucket.versioning, &source.id);
        if source.size > LARGEST_COPY {
            return Err(too_large());
        }
        let header = request.location.as_deref();
        let location = self.choose_location(header, &request.storage_class, &bucket)?;
        let object = copied_object(&source, &request, &location);
        let mut attributes = request.attributes;
        attributes.lock = self.lock_of_write(&request.caller, &bucket, &request.key, attributes.lock).await?;
        let source_key = self.reader_key(&source, &request.source.customer).await?;
        let (encryption, seal) = self.encryption_of_write(&bucket, &request.encryption).await?.unzip();
        let caller = Some(&request.caller);
        let draft = Draft {
            announcement: announcement(&bucket, &request.key, caller, &[EventKind::CreatedByCopy]),
            bucket,
            key: request.key,
            location,
            object,
            attributes: Attributes { acl: owned.acl, encryption, ..attributes },
            seal,
            owner: owned.owner,
            storage_class: request.storage_class,
            conditions: request.conditions,
        };
        let (this, checksum) = (Arc::clone(self), request.checksum);
        let put = finish_anyway(async move { this.copy(draft, &source, source_key, checksum).await }).await?;
        Ok(CopyOutcome { put, source_version })
    }

    async fn copy(
        self: &Arc<Self>,
        mut draft: Draft,
        source: &Version,
        source_key: Option<DataKey>,
        checksum: Option<Algorithm>,
    ) -> Result<PutOutcome> {
        let has_checksum = |algorithm: Algorithm| source.checksums.iter().any(|own| own.algorithm == algorithm.name());
        // A checksum that the source lacks can only come from its bytes.
        if checksum.is_none_or(has_checksum)
            && let Some(encryption) = self.encrypted_alike(&draft, source, source_key.as_ref()).await?
        {
            let wanted = std::mem::replace(&mut draft.attributes.encryption, encryption);
            if let Some(outcome) = self.copy_by_reference(&draft, source).await? {
                return Ok(outcome);
            }
            if let Some(outcome) = self.copy_on_backend(&draft, source).await? {
                return Ok(outcome);
            }
            draft.attributes.encryption = wanted;
        }
        let span = Span { offset: 0, length: source.size };
        let body = self.reopen(source, span, source_key).await?;
        let kept = source.checksums.first().and_then(|own| Algorithm::parse(&own.algorithm));
        let incoming = Incoming {
            body,
            size: source.size,
            md5: None,
            checksums: Vec::new(),
            trailer: None,
            compute: checksum.or(kept),
        };
        self.write(draft, incoming).await
    }

    /// A version like the source, with the draft's headers.
    fn copied_version(&self, draft: &Draft, source: &Version) -> NewVersion {
        NewVersion {
            id: new_version_id(draft.bucket.versioning),
            last_modified: now(),
            object: draft.object.clone(),
            attributes: draft.attributes.clone(),
            owner: draft.owner.clone(),
            storage_class: draft.storage_class.clone(),
            announcement: draft.announcement.clone(),
            ..source.clone().into()
        }
    }

    /// Where the backend shows no names, as many versions may share bytes as like: they are
    /// freed with the last one.
    async fn copy_by_reference(&self, draft: &Draft, source: &Version) -> Result<Option<PutOutcome>> {
        let backend = self.backend_for(&draft.bucket.owner, &draft.location)?;
        let traits = backend.traits();
        let here = source.segments.iter().all(|segment| segment.location == draft.location);
        if !here || !traits.keeps_overwritten || traits.copy || traits.tagging {
            return Ok(None);
        }
        let version = self.copied_version(draft, source);
        let _guard = self.keys.lock(&draft.bucket.name, &draft.key).await;
        let begun = self.begin_as(WriteKind::Copy, draft, false, Some(version.clone())).await?;
        match self.metadata.commit(&begun.id, source.segments.clone()).await {
            Ok(_) => Ok(Some(draft.outcome(&version))),
            Err(error) => {
                self.leave_to_sweeper(&begun.id).await;
                // The source was replaced, and what it was is being freed.
                let gone = matches!(error, MetadataError::Gone(_));
                Err(if gone {
                    Error::SlowDown("the source is replaced as it is copied".to_owned())
                } else {
                    error.into()
                })
            }
        }
    }

    async fn copy_on_backend(&self, draft: &Draft, source: &Version) -> Result<Option<PutOutcome>> {
        let backend = self.backend_for(&draft.bucket.owner, &draft.location)?;
        let Some(segment) = whole_segment(source) else { return Ok(None) };
        if segment.location != draft.location
            || !backend.traits().copy
            || segment.stored_size > backend.traits().max_put
        {
            return Ok(None);
        }
        let version = self.copied_version(draft, source);
        let _guard = self.keys.lock(&draft.bucket.name, &draft.key).await;
        let wants_plain = self.may_write_plain(&draft.bucket.name, &draft.location).await?;
        let begun = self.begin(draft, wants_plain, Some(version.clone())).await?;
        let request = backend::Copy {
            source: segment.locator.clone(),
            size: segment.stored_size,
            name: begun.name.clone(),
            write_id: begun.id.clone(),
            expect: expectation(&begun),
            object: draft.object.clone(),
        };
        match backend.copy(request).await {
            Ok(mut stored) => {
                // The backend's ETag of a copy need not be what the source's upload had.
                stored.checksums.retain(|_| !version.etag.contains('-'));
                let version = self.finish(draft, begun, &version, Ok(stored)).await?;
                Ok(Some(draft.outcome(&version)))
            }
            Err(error) if streams_instead(&error) => {
                self.roll_back(&begun.id, None).await?;
                Ok(None)
            }
            Err(error) => Err(self.fail(draft, &begun, error).await),
        }
    }

    /// UploadPartCopy: the part, and the source's version.
    ///
    /// # Errors
    /// Those of reading the source and of UploadPart.
    pub async fn copy_part(self: &Arc<Self>, request: CopyPart) -> Result<CopyOutcome> {
        for _ in 0..FOLLOWED {
            match self.copy_part_once(request.clone()).await {
                Err(Error::LocationLost { .. }) => self.settle_key(&request.source.bucket, &request.source.key).await?,
                outcome => return outcome,
            }
        }
        self.copy_part_once(request).await
    }

    async fn copy_part_once(self: &Arc<Self>, request: CopyPart) -> Result<CopyOutcome> {
        let copy_source = Some((&request.source.bucket, &request.source.key));
        let upload = self.upload_for_part(&request.upload, copy_source).await?;
        check_number(request.number)?;
        let (source_bucket, source) = self.source(&request.upload.caller, &request.source).await?;
        let source_version = shown_version(source_bucket.versioning, &source.id);
        let span = part_span(request.range, source.size)?;
        if span.length > LARGEST_COPY {
            return Err(too_large());
        }
        let source_key = self.reader_key(&source, &request.source.customer).await?;
        let seal = self.seal_of_upload(&upload, &request.customer).await?;
        let (this, number) = (Arc::clone(self), request.number);
        let put = finish_anyway(async move {
            if let Some(outcome) = this.copy_part_on_backend(&upload, number, &source, span).await? {
                return Ok(outcome);
            }
            let body = this.reopen(&source, span, source_key).await?;
            let incoming =
                Incoming { body, size: span.length, md5: None, checksums: Vec::new(), trailer: None, compute: None };
            this.store_part(upload, number, incoming, seal).await
        })
        .await?;
        Ok(CopyOutcome { put, source_version })
    }

    /// Server-side, when the backend says the part's MD5 and nobody needs another checksum.
    async fn copy_part_on_backend(
        &self,
        upload: &Upload,
        number: u32,
        source: &Version,
        span: Span,
    ) -> Result<Option<PutOutcome>> {
        let backend = self.backend_of(&upload.bucket, &upload.location).await?;
        let traits = backend.traits();
        let (Some(segment), Some((_, token))) = (whole_segment(source), &upload.backend) else {
            return Ok(None);
        };
        let fits = traits.copy && span.length > 0 && span.length <= traits.max_part && traits.max_part >= LARGEST_COPY;
        let is_plain = source.attributes.encryption.is_none() && upload.attributes.encryption.is_none();
        if segment.location != upload.location || !fits || upload.checksum.is_some() || !is_plain {
            return Ok(None);
        }
        let _guard = self.part_guard(upload, number).await?;
        let request = backend::CopyPart {
            source: segment.locator.clone(),
            source_size: source.size,
            span: (span.length < source.size).then_some(span),
            upload: Token(token.0.clone()),
            number,
        };
        let stored = match backend.copy_part(request).await {
            Ok(stored) => stored,
            Err(error) if streams_instead(&error) => return Ok(None),
            Err(error) => return Err(Error::from_backend(&upload.location, error)),
        };
        let Some(md5) = stored.checksums.iter().find(|digest| digest.algorithm == "md5") else {
            return Ok(None);
        };
        let part = Part {
            number,
            etag: hex::encode(&md5.value),
            size: span.length,
            last_modified: now(),
            checksums: Vec::new(),
            pieces: vec![(number, stored.part, span.length)],
            segment: None,
            run: None,
        };
        self.metadata.put_part(&upload.id, part.clone(), None).await.map_err(gone_upload)?;
        Ok(Some(part_outcome(part, upload)))
    }

    async fn source(&self, caller: &Caller, source: &Source) -> Result<(Bucket, Version)> {
        let action = if source.version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
        let target = (&source.bucket, &source.key);
        let (bucket, version) =
            match self.version_for(caller, action, target, source.version.clone(), Asks::default()).await {
                Err(Error::MethodNotAllowedOnMarker { .. }) => {
                    return Err(Error::InvalidRequest(
                        "The source of a copy request may not specifically refer to a delete marker by version id."
                            .to_owned(),
                    ));
                }
                other => other?,
            };
        // Also for a copy that never opens the source.
        if let Some(segment) = version.segments.iter().find(|one| !self.belongs_to(&one.location, &bucket.owner)) {
            return Err(super::tenants::gone(&segment.location));
        }
        self.check_reader_key(&version, &source.customer)?;
        source.conditions.decide_source(&version)?;
        Ok((bucket, version))
    }
}

/// What the copy shows: the source's headers and tags, or those of the request. A location
/// that the source names becomes the copy's.
fn copied_object(source: &Version, request: &CopyObject, location: &LocationName) -> Projection {
    let kept = request.replace_metadata.as_ref().unwrap_or(&source.object);
    let tags = request.replace_tags.as_ref().unwrap_or(&source.object.tags);
    let mut metadata = kept.metadata.clone();
    let named = metadata.iter_mut().find(|(name, _)| name == backend::LOCATION_METADATA);
    if let Some((_, named)) = named {
        *named = location.to_string();
    }
    Projection { content: kept.content.clone(), metadata, tags: tags.clone() }
}

fn too_large() -> Error {
    Error::InvalidRequest(format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST_COPY}"
    ))
}

/// The one segment that is a whole stored object and a whole version.
fn whole_segment(version: &Version) -> Option<&Segment> {
    let [segment] = version.segments.as_slice() else {
        return None;
    };
    (segment.offset == 0 && segment.length == segment.stored_size).then_some(segment)
}

fn streams_instead(error: &backend::BackendError) -> bool {
    matches!(error.code(), Some(FailureCode::Unsupported | FailureCode::TooLarge | FailureCode::Exists))
}

fn part_span(range: Option<(u64, u64)>, size: u64) -> Result<Span> {
    let Some((first, last)) = range else {
        return Ok(Span { offset: 0, length: size });
    };
    if first > last || last >= size {
        return Err(Error::InvalidRange { size });
    }
    Ok(Span { offset: first, length: last - first + 1 })
}
