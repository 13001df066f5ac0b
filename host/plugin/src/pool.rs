//! Warm instances of one location, lent to one call at a time.

use crate::bindings::base::exports::sallyport::plugin::storage::OpenRequest;
use crate::call::Call;
use crate::instance::{Instance, Program};
use crate::limits::Limits;
use crate::run::{self, Broke, Work};
use crate::state::Grants;
use crate::usage::Usage;
use sallyport_core::backend::{BackendError, FailureCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Where a location's calls get their instances.
///
/// A call has a store of its own while it runs, in its caller's task: a trap costs that one
/// call, dropping the call drops all that it started, and nothing hops between tasks.
pub(crate) struct Pool {
    program: Program,
    grants: Grants,
    limits: Limits,
    kind: String,
    open: OpenParts,
    idle: Mutex<Vec<Instance>>,
    reads: Semaphore,
    writes: Semaphore,
    /// Failed openings in a row; they are spaced out.
    failures: AtomicU32,
    usage: Arc<Usage>,
}

/// What every instance is opened with.
pub(crate) struct OpenParts {
    pub(crate) location: String,
    pub(crate) tenant: String,
    /// With placeholders for secrets.
    pub(crate) details: String,
}

/// What a call is, to those who count and limit it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Length of the body that it carries, if it carries one.
    pub(crate) body: Option<u64>,
}

impl Pool {
    pub(crate) fn new(program: Program, grants: Grants, limits: Limits, kind: String, open: OpenParts) -> Arc<Self> {
        Arc::new(Self {
            program,
            grants,
            kind,
            open,
            idle: Mutex::new(Vec::new()),
            reads: Semaphore::new(limits.reads),
            writes: Semaphore::new(limits.writes),
            failures: AtomicU32::new(0),
            usage: Arc::default(),
            limits,
        })
    }

    /// A call to be made; its clock starts now.
    pub(crate) fn call(&self) -> Arc<Call> {
        Arc::new(Call::counted(self.limits.wall, self.limits.idle, self.usage.clone()))
    }

    /// What all of its calls cost.
    pub(crate) fn usage(&self) -> Arc<Usage> {
        self.usage.clone()
    }

    /// Makes one call on an instance of its own.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        call: Arc<Call>,
        work: Work<T>,
    ) -> Result<T, BackendError> {
        let started = tokio::time::Instant::now();
        let ran = self.run_inner(kind, call, work).await;
        let outcome = match &ran {
            Ok(_) => "returned",
            Err(BackendError::Busy(_)) => "busy",
            Err(BackendError::Answered { .. } | BackendError::Broke(_) | BackendError::Body(_)) => "broke",
        };
        metrics::counter!("sallyport_plugin_calls_total", "plugin" => self.kind.clone(), "call" => kind.name, "outcome" => outcome)
            .increment(1);
        metrics::histogram!("sallyport_plugin_call_seconds", "plugin" => self.kind.clone(), "call" => kind.name)
            .record(started.elapsed().as_secs_f64());
        ran
    }

    async fn run_inner<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        call: Arc<Call>,
        work: Work<T>,
    ) -> Result<T, BackendError> {
        let _permit = self.permit(kind).await?;
        let instance = match self.warm() {
            Some(instance) => instance,
            None => self.fresh().await?,
        };
        call.touch();
        let pool = self.clone();
        let ran =
            run::run(instance, call, &self.limits, kind.body.unwrap_or(0), work, move |instance| pool.keep(instance))
                .await;
        ran.map_err(|broke| self.broke(kind.name, &broke))
    }

    async fn permit(&self, kind: Kind) -> Result<SemaphorePermit<'_>, BackendError> {
        let permits = if kind.body.is_some() { &self.writes } else { &self.reads };
        if let Ok(permit) = permits.try_acquire() {
            return Ok(permit);
        }
        // Waiting holds nothing else, so nobody waits for each other.
        match tokio::time::timeout(self.limits.queue, permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(BackendError::Busy("all of its instances are at work".to_owned())),
        }
    }

    fn warm(&self) -> Option<Instance> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, instance: Instance) {
        if instance.left == 0 {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.limits.warm {
            idle.push(instance);
        }
    }

    async fn fresh(self: &Arc<Self>) -> Result<Instance, BackendError> {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures > 2 {
            // A plugin that traps in `open` would otherwise burn a processor.
            tokio::time::sleep(Duration::from_millis(10 << failures.min(7))).await;
        }
        let call = self.call();
        let limits = &self.limits;
        let instantiating = self.program.instantiate(&self.grants, limits, call.clone());
        let instance = tokio::time::timeout(limits.wall, instantiating).await;
        let instance = instance
            .map_err(|_| Broke::Late(limits.wall))
            .and_then(|made| made.map_err(|error| Broke::Trapped(run::describe(&error))))
            .map_err(|broke| self.broke("instantiate", &broke))?;
        metrics::counter!("sallyport_plugin_instances_total", "plugin" => self.kind.clone()).increment(1);
        let request = OpenRequest {
            location: self.open.location.clone(),
            tenant: self.open.tenant.clone(),
            details: self.open.details.clone(),
            attributes: Vec::new(),
        };
        let work: Work<_> = Box::new(move |accessor, exports| {
            Box::pin(async move { exports.base.sallyport_plugin_storage().call_open(accessor, request).await })
        });
        let (sender, mut opened) = tokio::sync::oneshot::channel();
        let answer = run::run(instance, call, limits, 0, work, move |instance| drop(sender.send(instance))).await;
        let answer = answer.map_err(|broke| self.broke("open", &broke))?;
        if let Err(failure) = answer {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(crate::convert::failure(failure));
        }
        self.failures.store(0, Ordering::Relaxed);
        opened.try_recv().map_err(|_| BackendError::Answered {
            code: FailureCode::Internal,
            message: "the plugin's `open` goes on after it answered".to_owned(),
            retry_after: None,
        })
    }

    fn broke(&self, name: &'static str, broke: &Broke) -> BackendError {
        if matches!(name, "open" | "instantiate") {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let (plugin, location) = (&self.kind, &self.open.location);
        tracing::error!(plugin, location, call = name, error = %broke, "the plugin {plugin} broke in {name}");
        metrics::counter!("sallyport_plugin_broke_total", "plugin" => self.kind.clone(), "call" => name).increment(1);
        BackendError::Broke(broke.to_string())
    }
}
