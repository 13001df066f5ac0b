//! A location's storage with its calls counted, and refused while the location's breaker is open.

use super::breaker::{Breaker, Pass, Refusal};
use async_trait::async_trait;
use sallyport_core::backend::{
    Backend, BackendError, Checked, CompleteUpload, Copy, CopyPart, CreateUpload, FailureCode, Found, Get, Identity,
    ListStored, Locator, Name, Projection, Put, PutPart, Shown, Stored, StoredPage, StoredPart, Token, Traits,
};
use sallyport_core::body::Body;
use sallyport_core::names::{BucketName, WriteId};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Broken calls, at least a tenth of all, that speak against a plugin that is new.
const BROKEN: u32 = 3;

/// Storage behind a breaker.
pub(super) struct Guarded {
    inner: Arc<dyn Backend>,
    breaker: Arc<Breaker>,
    vitals: Arc<Vitals>,
}

/// What became of the calls of one opened storage.
#[derive(Default)]
pub(super) struct Vitals {
    calls: AtomicU32,
    broke: AtomicU32,
    cause: Mutex<String>,
}

impl Vitals {
    /// Why it does worse than a plugin may that has just taken another's place; `None` as
    /// long as it does not.
    pub(super) fn failing(&self) -> Option<String> {
        let broke = self.broke.load(Ordering::Relaxed);
        if broke < BROKEN || broke.saturating_mul(10) < self.calls.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn note<T>(&self, answer: &Result<T, BackendError>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Err(BackendError::Broke(cause)) = answer {
            cause.clone_into(&mut self.cause.lock().unwrap_or_else(PoisonError::into_inner));
            self.broke.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Guarded {
    pub(super) fn new(inner: Arc<dyn Backend>, breaker: Arc<Breaker>) -> (Arc<Self>, Arc<Vitals>) {
        let vitals = Arc::<Vitals>::default();
        (Arc::new(Self { inner, breaker, vitals: vitals.clone() }), vitals)
    }

    async fn call<T: Send>(
        &self,
        call: impl Future<Output = Result<T, BackendError>> + Send,
    ) -> Result<T, BackendError> {
        let pass = self.breaker.admit().map_err(refused)?;
        let answer = call.await;
        self.vitals.note(&answer);
        if matches!(answer, Err(BackendError::Broke(_))) {
            let location = self.breaker.location().to_owned();
            metrics::counter!("sallyport_location_broken_calls_total", "location" => location).increment(1);
        }
        settle(pass, &answer);
        answer
    }
}

fn settle<T>(pass: Pass, answer: &Result<T, BackendError>) {
    match answer {
        Err(BackendError::Broke(cause)) => pass.broke(cause),
        // Nothing was tried, or the client's body ended it: that says nothing of the plugin.
        Err(BackendError::Busy(_) | BackendError::Body(_)) => drop(pass),
        Ok(_) | Err(BackendError::Answered { .. }) => pass.answered(),
    }
}

fn refused(refusal: Refusal) -> BackendError {
    BackendError::Answered { code: FailureCode::Unavailable, message: refusal.cause, retry_after: Some(refusal.wait) }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for Guarded {
    fn traits(&self) -> &Traits {
        self.inner.traits()
    }

    async fn namespace(&self, bucket: &BucketName) -> Result<String, BackendError> {
        self.call(self.inner.namespace(bucket)).await
    }

    /// Asked in any state of the breaker, and changes none: the calls that broke are others,
    /// and a location whose check breaks is out of service by that alone.
    async fn check(&self, thorough: bool) -> Result<Checked, BackendError> {
        self.inner.check(thorough).await
    }

    async fn put(&self, request: Put, body: Body) -> Result<Stored, BackendError> {
        self.call(self.inner.put(request, body)).await
    }

    async fn get(&self, request: Get) -> Result<Body, BackendError> {
        self.call(self.inner.get(request)).await
    }

    async fn head(&self, locator: &Locator) -> Result<u64, BackendError> {
        self.call(self.inner.head(locator)).await
    }

    async fn delete(&self, locator: &Locator) -> Result<(), BackendError> {
        self.call(self.inner.delete(locator)).await
    }

    async fn find(&self, name: &Name, write_id: Option<&WriteId>) -> Result<Option<Found>, BackendError> {
        self.call(self.inner.find(name, write_id)).await
    }

    async fn look(&self, name: &Name) -> Result<Option<Shown>, BackendError> {
        self.call(self.inner.look(name)).await
    }

    async fn identify(&self, locator: &Locator) -> Result<Identity, BackendError> {
        self.call(self.inner.identify(locator)).await
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Token, BackendError> {
        self.call(self.inner.create_upload(request)).await
    }

    async fn put_part(&self, request: PutPart, body: Body) -> Result<StoredPart, BackendError> {
        self.call(self.inner.put_part(request, body)).await
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Stored, BackendError> {
        self.call(self.inner.complete_upload(request)).await
    }

    async fn abort_upload(&self, upload: &Token) -> Result<(), BackendError> {
        self.call(self.inner.abort_upload(upload)).await
    }

    async fn keep_upload(&self, upload: &Token) -> Result<(), BackendError> {
        self.call(self.inner.keep_upload(upload)).await
    }

    async fn find_uploads(&self, name: &Name, write_id: &WriteId) -> Result<Vec<Token>, BackendError> {
        self.call(self.inner.find_uploads(name, write_id)).await
    }

    async fn copy(&self, request: Copy) -> Result<Stored, BackendError> {
        self.call(self.inner.copy(request)).await
    }

    async fn copy_part(&self, request: CopyPart) -> Result<StoredPart, BackendError> {
        self.call(self.inner.copy_part(request)).await
    }

    async fn put_tags(&self, locator: &Locator, object: &Projection) -> Result<Locator, BackendError> {
        self.call(self.inner.put_tags(locator, object)).await
    }

    async fn hide(&self, name: &Name) -> Result<Locator, BackendError> {
        self.call(self.inner.hide(name)).await
    }

    async fn list(&self, request: ListStored) -> Result<StoredPage, BackendError> {
        self.call(self.inner.list(request)).await
    }
}
