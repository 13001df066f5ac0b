//! One case's stage: a bucket of its own, the calls that every case makes, and the tidying up.

use crate::case::{Outcome, Stop, ensure, failed};
use crate::content::{in_frames, pattern};
use crate::detour::Detour;
use crate::subject::Opened;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use sallyport_core::backend::{
    Backend, BackendError, Expectation, FailureCode, Found, Get, Locator, Name, Place, Projection, Put, Span, Stored,
    Token, Traits,
};
use sallyport_core::body::Body;
use sallyport_core::names::{BucketName, ObjectKey, WriteId};
use std::sync::{Arc, Mutex, PoisonError};

/// What a case has at hand.
pub(crate) struct Trial {
    opened: Opened,
    bucket: BucketName,
    pub(crate) detour: Arc<Detour>,
    /// What has to be removed when the case is over.
    left: Mutex<Left>,
}

#[derive(Default)]
struct Left {
    objects: Vec<Locator>,
    uploads: Vec<Token>,
    /// Writes that may have left something which nobody has a locator of.
    writes: Vec<(Name, WriteId)>,
}

impl Trial {
    pub(crate) fn new(opened: Opened, detour: Arc<Detour>) -> Result<Self, Stop> {
        let random = WriteId::random();
        let name = format!("kit-{}", random.as_str().get(..12).unwrap_or("bucket"));
        Ok(Self { opened, bucket: legal(BucketName::parse(&name))?, detour, left: Mutex::default() })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.opened.backend.as_ref()
    }

    pub(crate) fn spent(&self) -> crate::subject::Spent {
        (self.opened.spent)()
    }

    pub(crate) fn traits(&self) -> &Traits {
        self.backend().traits()
    }

    pub(crate) fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// As many bytes as asked for, or as one write takes.
    pub(crate) fn fitting(&self, length: usize) -> usize {
        length.min(usize::try_from(self.traits().max_put).unwrap_or(usize::MAX))
    }

    /// The plain place of a key in the case's bucket.
    pub(crate) fn plain(&self, key: &str) -> Result<Name, Stop> {
        Ok(Name { bucket: self.bucket.clone(), key: legal(ObjectKey::parse(key))?, place: Place::Plain })
    }

    /// A place that nobody else has.
    pub(crate) fn derived(&self, key: &str) -> Result<Name, Stop> {
        let token = WriteId::random().as_str().to_owned();
        Ok(Name { place: Place::Derived(token), ..self.plain(key)? })
    }

    /// A write of bytes that nothing is expected of.
    pub(crate) fn write(&self, name: &Name, size: u64) -> Put {
        Put {
            name: name.clone(),
            write_id: WriteId::random(),
            size,
            expect: Expectation::Anything,
            object: Projection::default(),
            checksums: Vec::new(),
        }
    }

    /// Sends a write, and remembers what it leaves.
    pub(crate) async fn send(&self, put: Put, body: Body) -> Result<Stored, BackendError> {
        let (name, write_id) = (put.name.clone(), put.write_id.clone());
        let outcome = self.backend().put(put, body).await;
        let mut left = self.left();
        match &outcome {
            Ok(stored) => left.objects.push(stored.locator.clone()),
            Err(_) => left.writes.push((name, write_id)),
        }
        outcome
    }

    /// A write that was given up: what it left is looked for at the end.
    pub(crate) fn remember_write(&self, name: &Name, write_id: &WriteId) {
        self.left().writes.push((name.clone(), write_id.clone()));
    }

    pub(crate) fn remember(&self, locator: &Locator) {
        self.left().objects.push(locator.clone());
    }

    pub(crate) fn remember_upload(&self, upload: &Token) {
        self.left().uploads.push(upload.clone());
    }

    /// Stores bytes at a place; it has to work.
    pub(crate) async fn put(&self, name: &Name, bytes: &Bytes) -> Result<Stored, Stop> {
        let put = self.write(name, bytes.len() as u64);
        said("put", self.send(put, in_frames(bytes, 65_536)).await)
    }

    /// Stores a pattern at the plain place of a key.
    pub(crate) async fn put_pattern(&self, key: &str, length: usize) -> Result<(Stored, Bytes), Stop> {
        let bytes = pattern(length as u64 + key.len() as u64, self.fitting(length));
        let stored = self.put(&self.plain(key)?, &bytes).await?;
        Ok((stored, bytes))
    }

    /// Reads a span, or all of it; an error is the backend's, or the body's.
    pub(crate) async fn get(&self, locator: &Locator, size: u64, span: Option<Span>) -> Result<Bytes, BackendError> {
        let mut body = self.backend().get(Get { locator: locator.clone(), size, span }).await?;
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes.freeze())
    }

    /// The whole object has to be these bytes, by `head` and by `get`.
    pub(crate) async fn holds(&self, locator: &Locator, bytes: &Bytes) -> Outcome {
        let size = said("head", self.backend().head(locator).await)?;
        ensure(size == bytes.len() as u64, || format!("head answered {size} bytes where {} were stored", bytes.len()))?;
        self.reads(locator, bytes).await
    }

    /// The whole object has to be these bytes, by `get`.
    pub(crate) async fn reads(&self, locator: &Locator, bytes: &Bytes) -> Outcome {
        let read = said("get", self.get(locator, bytes.len() as u64, None).await)?;
        ensure(read == *bytes, || differs(&read, bytes))
    }

    /// The bytes that a locator named have to be gone: by `head` and by `get`.
    pub(crate) async fn is_gone(&self, locator: &Locator, size: u64) -> Outcome {
        gone("head", self.backend().head(locator).await.map(|_| ()))?;
        gone("get", self.get(locator, size, None).await.map(|_| ()))
    }

    /// What `find` says of a write.
    pub(crate) async fn find(&self, name: &Name, write_id: &WriteId) -> Result<Option<Found>, Stop> {
        said("find", self.backend().find(name, Some(write_id)).await)
    }

    /// After a write whose end nobody heard, there is all of it or nothing.
    pub(crate) async fn whole_or_nothing(&self, name: &Name, write_id: &WriteId, bytes: &Bytes) -> Outcome {
        let Some(found) = self.find(name, write_id).await? else { return Ok(()) };
        self.remember(&found.locator);
        let expected = bytes.len();
        ensure(found.size == expected as u64, || {
            format!("a write of {expected} bytes that broke off left {} of them", found.size)
        })?;
        self.reads(&found.locator, bytes).await
    }

    /// Removes what the case left. What cannot be removed is another case's finding.
    pub(crate) async fn clean(&self) {
        let left = std::mem::take(&mut *self.left());
        for (name, write_id) in &left.writes {
            if let Ok(Some(found)) = self.backend().find(name, Some(write_id)).await {
                let _ = self.backend().delete(&found.locator).await;
            }
        }
        for locator in &left.objects {
            let _ = self.backend().delete(locator).await;
        }
        for upload in &left.uploads {
            let _ = self.backend().abort_upload(upload).await;
        }
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call answered; an error fails the case.
pub(crate) fn said<T>(call: &str, answer: Result<T, BackendError>) -> Result<T, Stop> {
    answer.map_err(|error| Stop::Failed(format!("{call} failed: {error}")))
}

/// The answer has to be that the bytes are gone or others.
pub(crate) fn gone(call: &str, answer: Result<(), BackendError>) -> Outcome {
    match answer {
        Err(error) if matches!(error.code(), Some(FailureCode::NotFound | FailureCode::Changed)) => Ok(()),
        Err(error) => failed(format!("{call} of bytes that are gone answered neither not-found nor changed: {error}")),
        Ok(()) => failed(format!("{call} of bytes that are gone succeeded")),
    }
}

/// Says where two runs of bytes part.
pub(crate) fn differs(read: &Bytes, expected: &Bytes) -> String {
    if read.len() != expected.len() {
        return format!("{} bytes came back where {} were stored", read.len(), expected.len());
    }
    let at = read.iter().zip(expected).position(|(one, other)| one != other).unwrap_or_default();
    format!("the bytes that came back differ from byte {at} on")
}

fn legal<T>(name: Result<T, sallyport_core::names::InvalidName>) -> Result<T, Stop> {
    name.map_err(|error| Stop::Failed(format!("the kit's own mistake: {error}")))
}
