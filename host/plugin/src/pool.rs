//! Warm instances of one location, lent to one call at a time.

use crate::bindings::base::exports::sallyport::plugin::storage::OpenRequest;
use crate::bindings::base::sallyport::plugin::types::Failure;
use crate::call::Call;
use crate::instance::{Instance, Program};
use crate::lane::Lane;
use crate::limits::{Limits, overrun};
use crate::run::{self, Broke, Work};
use crate::shares::{Rate, Share, Spare, Used};
use crate::state::Grants;
use crate::tally::Tally;
use crate::usage::Usage;
use crate::wakes::at_once;
use crate::whose::Whose;
use sallyport_core::backend::{BackendError, FailureCode};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Where a location's calls get their instances.
///
/// A call has a store of its own while it runs, in its caller's task: a trap costs that one
/// call, dropping the call drops all that it started, and nothing hops between tasks.
pub(crate) struct Pool {
    program: Program,
    grants: Grants,
    limits: Limits,
    whose: Whose,
    open: OpenParts,
    /// The one that was used last is at the back, and the next to be lent.
    idle: Mutex<VecDeque<Idle>>,
    /// A task is under way that drops instances which nobody needs any more.
    is_cooling: AtomicBool,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    /// Calls that wait for their turn.
    waiting: AtomicUsize,
    /// How fast instances are made.
    making: Rate,
    /// The location's part of the engine's stores.
    share: Arc<Share>,
    /// Where its calls run.
    lane: Arc<Lane>,
    /// Failed openings in a row; they are spaced out.
    failures: AtomicU32,
    usage: Arc<Usage>,
    tally: Tally,
}

/// A warm instance that serves no call.
struct Idle {
    instance: Instance,
    since: Instant,
    /// Held beyond what the location keeps at all times.
    _spare: Option<Spare>,
}

/// What a call takes of what there is only so much of, for as long as its store lives.
struct Held {
    _permit: OwnedSemaphorePermit,
    _store: Used,
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
    /// Bytes that a plugin may have to move itself, in either direction.
    pub(crate) bytes: u64,
}

impl Pool {
    pub(crate) fn new(
        program: Program,
        grants: Grants,
        limits: Limits,
        (share, lane): (Arc<Share>, Arc<Lane>),
        open: OpenParts,
    ) -> Arc<Self> {
        limits.show(&grants.whose);
        Arc::new(Self {
            program,
            tally: Tally::new(grants.whose.clone()),
            whose: grants.whose.clone(),
            grants,
            share,
            lane,
            waiting: AtomicUsize::new(0),
            making: Rate::new(limits.instances_per_second),
            open,
            idle: Mutex::new(VecDeque::new()),
            is_cooling: AtomicBool::new(false),
            reads: Arc::new(Semaphore::new(limits.reads)),
            writes: Arc::new(Semaphore::new(limits.writes)),
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

    /// How long a body may stand still.
    pub(crate) fn idle(&self) -> Duration {
        self.limits.idle
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
        self.tally.count(kind.name, &ran, started.elapsed());
        ran
    }

    async fn run_inner<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        call: Arc<Call>,
        work: Work<T>,
    ) -> Result<T, BackendError> {
        let permit = self.permit(kind).await?;
        let Some(store) = self.share.take() else {
            self.whose.hit("stores");
            return Err(BackendError::Busy("it has its share of the server's instances".to_owned()));
        };
        let held = Held { _permit: permit, _store: store };
        let (instance, held) = match self.warm() {
            Some(instance) => (instance, held),
            None => self.fresh(held).await?,
        };
        call.touch();
        let pool = self.clone();
        let (lane, bytes) = (self.lane.clone(), kind.bytes);
        let done = move |instance: Instance| {
            pool.keep(instance);
            drop(held);
        };
        let served = call.clone();
        let ran = at_once(run::run(instance, lane, call, &self.limits, bytes, work, done)).await;
        // What has no more memory because others of its location have it is no plugin that breaks.
        ran.map_err(|broke| if served.is_short() { short() } else { self.broke(kind.name, &broke) })
    }

    async fn permit(&self, kind: Kind) -> Result<OwnedSemaphorePermit, BackendError> {
        let permits = if kind.body.is_some() { &self.writes } else { &self.reads };
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting::among(&self.waiting);
        if waiting.before >= self.limits.waiting {
            self.whose.hit("waiting");
            return Err(BackendError::Busy("too many calls wait for it".to_owned()));
        }
        // Waiting holds nothing else, so nobody waits for each other.
        match tokio::time::timeout(self.limits.queue, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                self.whose.hit(if kind.body.is_some() { "writes" } else { "reads" });
                Err(BackendError::Busy("all of its instances are at work".to_owned()))
            }
        }
    }

    /// Waits until one more instance may be made.
    async fn may_make(&self) -> Result<(), BackendError> {
        let deadline = tokio::time::Instant::now() + self.limits.queue;
        while let Err(wait) = self.making.take(tokio::time::Instant::now()) {
            if tokio::time::Instant::now() + wait > deadline {
                self.whose.hit("instancesPerSecond");
                return Err(BackendError::Busy("its instances are made too fast".to_owned()));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// A plugin's no to a call.
    pub(crate) fn failure(&self, failure: Failure, call: &Call) -> BackendError {
        if call.is_short() {
            return short();
        }
        if failure.message.len() > self.limits.error_bytes {
            self.whose.hit("errorBytes");
        }
        crate::convert::failure(failure, self.limits.error_bytes)
    }

    fn warm(&self) -> Option<Instance> {
        self.idle_instances().pop_back().map(|idle| idle.instance)
    }

    fn keep(self: &Arc<Self>, mut instance: Instance) {
        if !instance.is_fit() {
            return;
        }
        let kept = self.share.kept(self.limits.warm);
        let mut idle = self.idle_instances();
        if idle.len() >= self.limits.warm_at_peak.max(kept) {
            return;
        }
        let is_spare = idle.len() >= kept;
        let spare = is_spare.then(|| self.share.spare()).flatten();
        if is_spare && spare.is_none() {
            return;
        }
        idle.push_back(Idle { instance, since: Instant::now(), _spare: spare });
        let is_more = self.may_cool(&idle);
        drop(idle);
        if is_more && !self.is_cooling.swap(true, Ordering::AcqRel) {
            tokio::spawn(cool(Arc::downgrade(self), self.limits.cooling));
        }
    }

    /// Whether some of them may have to go some time: with each location that is opened, less is kept.
    fn may_cool(&self, idle: &VecDeque<Idle>) -> bool {
        idle.len() > self.limits.warm.min(1)
    }

    /// Drops the instances that no call needed for a while; whether more may have to go.
    fn cool(&self) -> bool {
        let kept = self.share.kept(self.limits.warm);
        let mut idle = self.idle_instances();
        let spare = idle.len().saturating_sub(kept);
        let cold = idle.iter().take(spare).take_while(|idle| idle.since.elapsed() >= self.limits.cooling).count();
        let dropped: Vec<Idle> = idle.drain(..cold).collect();
        let is_more = self.may_cool(&idle);
        if !is_more {
            self.is_cooling.store(false, Ordering::Release);
        }
        drop(idle);
        // Freeing a store takes its time, which no call should wait for.
        drop(dropped);
        is_more
    }

    fn idle_instances(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an instance and opens it, on the account of a call that waits for it.
    async fn fresh(&self, held: Held) -> Result<(Instance, Held), BackendError> {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures > 2 {
            // A plugin that traps in `open` would otherwise burn a processor.
            tokio::time::sleep(Duration::from_millis(10 << failures.min(7))).await;
        }
        self.may_make().await?;
        if !self.grants.memory.has_room() {
            self.whose.hit("locationMemoryBytes");
            return Err(full());
        }
        let call = self.call();
        let limits = &self.limits;
        let instantiating = self.program.instantiate(self.lane.clone(), &self.grants, limits, call.clone());
        let instance = tokio::time::timeout(limits.wall, instantiating).await;
        let instance = instance
            .map_err(|_| Broke::Late(limits.wall))
            .and_then(|made| made.map_err(|error| run::broke(&error)))
            .map_err(|broke| if call.is_short() { full() } else { self.broke("instantiate", &broke) })?;
        let (plugin, location) = (self.whose.plugin.to_string(), self.whose.location.to_string());
        metrics::counter!("sallyport_plugin_instances_total", "plugin" => plugin, "location" => location).increment(1);
        let request = OpenRequest {
            location: self.open.location.clone(),
            tenant: self.open.tenant.clone(),
            details: self.open.details.clone(),
            attributes: Vec::new(),
        };
        let work: Work<_> = Box::new(move |accessor, exports| {
            Box::pin(async move { exports.base.sallyport_plugin_storage().call_open(accessor, request).await })
        });
        let (sender, opened) = tokio::sync::oneshot::channel();
        let (lane, opening) = (self.lane.clone(), call.clone());
        let done = move |instance: Instance| drop(sender.send((instance, held)));
        let answer = run::run(instance, lane, call, limits, 0, work, done).await;
        let answer = answer.map_err(|broke| if opening.is_short() { full() } else { self.broke("open", &broke) })?;
        if let Err(failure) = answer {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(crate::convert::failure(failure, limits.error_bytes));
        }
        self.failures.store(0, Ordering::Relaxed);
        // Where it runs on another thread, its answer comes a moment before the instance.
        let opened = tokio::time::timeout(limits.grace, opened).await.ok().and_then(Result::ok);
        let opened = opened.map(|(mut instance, held): (Instance, Held)| {
            instance.is_opened(&self.grants.memory);
            (instance, held)
        });
        opened.ok_or_else(|| {
            opening.cut_off();
            BackendError::Answered {
                code: FailureCode::Internal,
                message: "the plugin's `open` goes on after it answered".to_owned(),
                retry_after: None,
            }
        })
    }

    fn broke(&self, name: &'static str, broke: &Broke) -> BackendError {
        if matches!(broke, Broke::NoStore) {
            self.whose.hit("stores");
            return BackendError::Busy(broke.to_string());
        }
        if matches!(name, "open" | "instantiate") {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let why = broke.to_string();
        if let Some(limit) = overrun(&why) {
            self.whose.hit(limit);
        }
        let (plugin, location) = (&*self.whose.plugin, &*self.whose.location);
        tracing::error!(plugin, location, call = name, error = why, "the plugin {plugin} broke in {name}");
        let (plugin, location) = (plugin.to_owned(), location.to_owned());
        metrics::counter!("sallyport_plugin_broke_total", "plugin" => plugin, "location" => location, "call" => name)
            .increment(1);
        BackendError::Broke(why)
    }
}

/// A place among those who wait; left when dropped.
struct Waiting<'a> {
    all: &'a AtomicUsize,
    /// How many were there before.
    before: usize,
}

impl<'a> Waiting<'a> {
    fn among(all: &'a AtomicUsize) -> Self {
        Self { all, before: all.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs while a location has instances that it may not keep for ever when nobody calls.
async fn cool(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if !pool.upgrade().is_some_and(|pool| pool.cool()) {
            return;
        }
    }
}
/// No instance can be made now.
fn full() -> BackendError {
    BackendError::Busy("its instances have all of its memory".to_owned())
}

/// A call met an end of what its location has. Not busy: an earlier request of the same call may
/// have done something.
fn short() -> BackendError {
    BackendError::Answered {
        code: FailureCode::Throttled,
        message: "its connections, or its memory, are all in use".to_owned(),
        retry_after: None,
    }
}
