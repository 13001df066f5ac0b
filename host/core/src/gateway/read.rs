//! Reads: one look at the database, then the bytes.

use super::authorize::{Asks, Target, decide};
use super::lifecycle::candidate;
use super::request::{Found, GetObject};
use super::{Gateway, shown_version};
use crate::access::{Action, Facts};
use crate::backend::{BackendError, FailureCode, Get, Span};
use crate::body::{self, Body, BodyError};
use crate::encryption::{self, DataKey, Plan};
use crate::error::{Error, Result};
use crate::lifecycle::{Expiry, Standing};
use crate::metadata::{Bucket, Segment, Version};
use crate::names::{BucketName, LocationName};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// How often a read follows a version that is replaced while it opens.
pub(super) const FOLLOWED: usize = 3;

impl Gateway {
    /// HeadObject: answered from the database, whatever the backend's state.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchKey`, `NoSuchVersion`,
    /// `MethodNotAllowedOnMarker`, `PreconditionFailed`, `NotModified`, `InvalidRange`,
    /// `InvalidPartNumber`, `Encryption`.
    pub async fn head_object(&self, request: &GetObject) -> Result<Found> {
        let action = if request.version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
        let target = (&request.bucket, &request.key);
        let asks = Asks { tells_absence: request.is_visit, ..Asks::default() };
        let found = self.version_for(&request.caller, action, target, request.version.clone(), asks).await?;
        let (bucket, mut version) = found;
        version.attributes.lock = self.shown_lock(&request.caller, &version, request.version.as_ref()).await;
        let version_id = shown_version(bucket.versioning, &version.id);
        self.check_reader_key(&version, &request.customer)?;
        request.conditions.decide(&version, version_id.as_ref().map(super::VersionId::as_str))?;
        let expiry = expiry(&bucket, &version);
        hide_tags(request, &bucket, &mut version);
        if let Some(number) = request.part {
            return Ok(Found { expiry, ..found_part(version, version_id, number)? });
        }
        let range = request.range.filter(|_| request.conditions.keep_range(&version));
        let span = range.map(|range| range.resolve(version.size)).transpose()?;
        Ok(Found { version, version_id, span, parts_count: None, part_checksums: Vec::new(), expiry })
    }

    /// GetObjectAttributes, which takes the right to read the object besides its own.
    ///
    /// # Errors
    /// As [`Gateway::head_object`].
    pub async fn object_attributes(&self, request: &GetObject) -> Result<Found> {
        let by_id = request.version.is_some();
        let action = if by_id { Action::GetObjectVersionAttributes } else { Action::GetObjectAttributes };
        let target = (&request.bucket, &request.key);
        self.version_for(&request.caller, action, target, request.version.clone(), Asks::default()).await?;
        self.head_object(request).await
    }

    /// GetObject: the body has exactly the bytes of `span`, or of the whole version.
    ///
    /// # Errors
    /// As [`Gateway::head_object`], and the location's.
    pub async fn get_object(self: &Arc<Self>, request: &GetObject) -> Result<(Found, Body)> {
        let mut found = self.head_object(request).await?;
        for _ in 0..FOLLOWED {
            let span = found.span.unwrap_or(Span { offset: 0, length: found.version.size });
            let key = self.reader_key(&found.version, &request.customer).await?;
            let (location, error) = match self.open(&found.version, span, key).await {
                Ok(body) => return Ok((found, body)),
                Err(Opening::Refused(error)) => return Err(error),
                Err(Opening::Backend(location, error)) => (location, error),
            };
            if !matches!(error.code(), Some(FailureCode::Changed | FailureCode::NotFound)) {
                return Err(Error::from_backend(&location, error));
            }
            // Replaced since the look at the database: the new version is what the client
            // would have got a moment later.
            let mut again = self.head_object(request).await?;
            if again.version.segments == found.version.segments {
                self.settle_key(&request.bucket, &request.key).await?;
                again = self.head_object(request).await?;
            }
            if again.version.segments == found.version.segments {
                return Err(Error::from_backend(&location, error));
            }
            found = again;
        }
        Err(Error::SlowDown("the object is replaced too fast to be read".to_owned()))
    }

    /// Opens a span of a version's plain bytes; an encrypted one needs its key.
    async fn open(self: &Arc<Self>, version: &Version, span: Span, key: Option<DataKey>) -> Result<Body, Opening> {
        let Some(encryption) = &version.attributes.encryption else {
            return self.open_stored(version, span).await;
        };
        let key = key.ok_or_else(|| Opening::Refused(Error::Internal("an encrypted object without its key".into())))?;
        if encryption.plain_size() != version.size {
            return Err(Opening::Refused(Error::Internal(
                "an encrypted object of other bytes than its size says".into(),
            )));
        }
        let plan = Plan::new(&encryption.runs, span);
        let Some(stored) = plan.stored else {
            return Ok(body::empty());
        };
        let stored = self.open_stored(version, stored).await?;
        Ok(encryption::open(stored, key, plan))
    }

    /// Opens a span of a version's stored bytes: its first segment now, the others when their
    /// turn comes.
    pub(super) async fn open_stored(self: &Arc<Self>, version: &Version, span: Span) -> Result<Body, Opening> {
        let mut cuts = cuts(&version.segments, span).into_iter();
        let Some(first) = cuts.next() else {
            return Ok(body::empty());
        };
        let head = self.open_cut(&version.bucket, first).await?;
        let rest: Vec<Cut> = cuts.collect();
        if rest.is_empty() {
            return Ok(head);
        }
        let this = Arc::clone(self);
        let bucket = version.bucket.clone();
        let tail = stream::iter(rest).then(move |cut| {
            let (this, bucket) = (Arc::clone(&this), bucket.clone());
            async move {
                match this.open_cut(&bucket, cut).await {
                    Ok(body) => Ok(chunks(body)),
                    Err(Opening::Refused(error)) => Err(BodyError::Backend(error.to_string())),
                    Err(Opening::Backend(_, error)) => Err(BodyError::Backend(error.to_string())),
                }
            }
        });
        Ok(body::from_stream(chunks(head).chain(tail.try_flatten())))
    }

    async fn open_cut(&self, bucket: &BucketName, Cut { location, get }: Cut) -> Result<Body, Opening> {
        let backend = self.backend_of(bucket, &location).await.map_err(Opening::Refused)?;
        let length = get.length();
        match backend.get(get).await {
            Ok(body) => Ok(counted(body, length)),
            Err(error) => Err(Opening::Backend(location, error)),
        }
    }

    /// The stored bytes of a version again, to move them.
    pub(super) async fn reopen_stored(self: &Arc<Self>, version: &Version, span: Span) -> Result<Body> {
        self.open_stored(version, span).await.map_err(Error::from)
    }

    /// The plain bytes of a version again, for a copy that streams.
    pub(super) async fn reopen(self: &Arc<Self>, version: &Version, span: Span, key: Option<DataKey>) -> Result<Body> {
        self.open(version, span, key).await.map_err(Error::from)
    }
}

/// Why a version's bytes could not be opened.
pub(super) enum Opening {
    Refused(Error),
    Backend(LocationName, BackendError),
}

impl From<Opening> for Error {
    fn from(opening: Opening) -> Self {
        match opening {
            Opening::Refused(error) => error,
            Opening::Backend(location, error) => Self::from_backend(&location, error),
        }
    }
}

/// What to read of one stored object.
struct Cut {
    location: LocationName,
    get: Get,
}

impl Get {
    /// How many bytes it asks for.
    fn length(&self) -> u64 {
        self.span.map_or(self.size, |span| span.length)
    }
}

/// The spans of stored objects that make up a span of a version's stored bytes.
fn cuts(segments: &[Segment], span: Span) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut start, end) = (0_u64, span.offset + span.length);
    for segment in segments {
        let (from, to) = (span.offset.max(start), end.min(start + segment.length));
        if from < to {
            let part = Span { offset: segment.offset + (from - start), length: to - from };
            let whole = part.offset == 0 && part.length == segment.stored_size;
            let get =
                Get { locator: segment.locator.clone(), size: segment.stored_size, span: (!whole).then_some(part) };
            cuts.push(Cut { location: segment.location.clone(), get });
        }
        start += segment.length;
    }
    cuts
}

fn chunks(body: Body) -> BoxStream<'static, Result<Bytes, BodyError>> {
    body.into_data_stream().boxed()
}

/// A body that ends in an error when it has more or fewer bytes than it should.
fn counted(body: Body, expected: u64) -> Body {
    Counted { body, expected, actual: 0, failed: false }.boxed_unsync()
}

struct Counted {
    body: Body,
    expected: u64,
    actual: u64,
    failed: bool,
}

impl Counted {
    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.failed = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.failed {
                return Poll::Ready(None);
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let (expected, actual) = (self.expected, self.actual);
            match frame {
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.actual = actual + bytes.len() as u64;
                    if self.actual > expected {
                        let actual = self.actual;
                        return self.fail(BodyError::Length { expected, actual });
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Err(error)) => return self.fail(error),
                None if actual < expected => return self.fail(BodyError::Length { expected, actual }),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || (self.actual == self.expected && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.expected.saturating_sub(self.actual))
    }
}

/// How many tags an object has is for those to know who may read them.
fn hide_tags(request: &GetObject, bucket: &Bucket, version: &mut Version) {
    if version.object.tags.is_empty() {
        return;
    }
    let by_id = request.version.is_some();
    let action = if by_id { Action::GetObjectVersionTagging } else { Action::GetObjectTagging };
    let facts = Facts { version: request.version.as_ref(), ..Facts::default() };
    let target = Target { existing: Some(version), facts, ..Target::key(bucket, &request.key) };
    if decide(&request.caller, action, target).is_err() {
        version.object.tags.clear();
    }
}

/// When a lifecycle rule of the bucket removes a version that is current.
fn expiry(bucket: &Bucket, version: &Version) -> Option<Expiry> {
    let lifecycle = bucket.settings.lifecycle.as_ref().filter(|_| version.is_current)?;
    lifecycle.expiry(&candidate(version, Standing::Current { is_only: false }))
}

fn found_part(version: Version, version_id: Option<crate::names::VersionId>, number: u32) -> Result<Found> {
    if version.parts.is_empty() {
        if number != 1 {
            return Err(Error::InvalidPartNumber(number));
        }
        let span = (version.size > 0).then_some(Span { offset: 0, length: version.size });
        return Ok(Found { version, version_id, span, parts_count: None, part_checksums: Vec::new(), expiry: None });
    }
    let mut offset = 0;
    let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
    for (position, part) in version.parts.iter().enumerate() {
        // Parts are counted by their place in the object, as S3 does after completion.
        if position == index {
            let span = Some(Span { offset, length: part.size });
            let (parts_count, part_checksums) = (Some(version.parts.len()), part.checksums.clone());
            return Ok(Found { version, version_id, span, parts_count, part_checksums, expiry: None });
        }
        offset += part.size;
    }
    Err(Error::InvalidPartNumber(number))
}
