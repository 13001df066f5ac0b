//! Where calls run: in their caller's task as long as they are short, and else on threads that give way to all others.

use crate::priority::give_way;
use crate::state::Budget;
use crate::usage;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The part of the machine that one location's short calls may take while others have calls.
const PART: f64 = 0.1;
/// How long a location may do more than that: what it saved up while it did less.
const SAVED: f64 = 0.5;
/// Who had a call within this is at work.
const RECENT: Duration = Duration::from_secs(1);

/// The threads beside, which all locations share, and who is at work.
pub(crate) struct Lanes {
    runtime: OnceLock<Option<Runtime>>,
    processors: usize,
    next: AtomicUsize,
    /// The two locations that had a call last, and when.
    last: Mutex<[Option<(usize, Instant)>; 2]>,
    /// When the last call began, others than its location's had been there.
    is_shared: AtomicBool,
    /// Where calls begin, unless they begin beside.
    among: OnceLock<Handle>,
}

/// One location's way to a processor.
pub(crate) struct Lane {
    all: Arc<Lanes>,
    number: usize,
    /// Seconds in callers' tasks that are left, and when that was counted.
    left: Mutex<(f64, Instant)>,
}

impl Lanes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            runtime: OnceLock::new(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            next: AtomicUsize::new(0),
            last: Mutex::default(),
            is_shared: AtomicBool::new(false),
            among: OnceLock::new(),
        })
    }

    /// The lane of one more location.
    pub(crate) fn lane(self: &Arc<Self>) -> Arc<Lane> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Lane { all: Arc::clone(self), number, left: Mutex::new((SAVED, Instant::now())) })
    }

    /// The threads beside, started when they are first needed; `None` where they do not start.
    fn beside(&self) -> Option<&Runtime> {
        let start = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(self.processors).thread_name("plugins-beside").enable_all();
            // On Linux a thread has a priority of its own.
            builder.on_thread_start(give_way);
            let started = builder.build();
            started.inspect_err(|error| tracing::error!(%error, "no threads for plugins that compute")).ok()
        };
        self.runtime.get_or_init(start).as_ref()
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // The last one may go in a task, which is no place to wait.
        if let Some(runtime) = self.runtime.take().flatten() {
            runtime.shutdown_background();
        }
    }
}

impl Lane {
    /// Notes that a call begins; answers whether it has to run beside from its beginning.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        let others = {
            let mut last = held(&self.all.last);
            let [newest, before] = &mut *last;
            if newest.is_none_or(|(number, _)| number != self.number) {
                std::mem::swap(newest, before);
            }
            *newest = Some((self.number, now));
            before.is_some_and(|(_, seen)| now.saturating_duration_since(seen) < RECENT)
        };
        self.all.is_shared.store(others, Ordering::Relaxed);
        self.all.among.get_or_init(Handle::current);
        let left = self.count(now, 0.0);
        others && left <= 0.0
    }

    /// Whether others than the location had calls of late, by the last call that began.
    pub(crate) fn has_others(&self) -> bool {
        self.all.is_shared.load(Ordering::Relaxed)
    }

    /// Whether it took more than its part while others have calls.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.has_others() && self.count(now, 0.0) <= 0.0
    }

    /// Whether it has been modest for long enough to run among the others again.
    pub(crate) fn may_return(&self, now: Instant) -> bool {
        !self.has_others() || self.count(now, 0.0) >= SAVED / 2.0
    }

    /// Where all others run; called from a task, here or beside.
    pub(crate) fn among(&self) -> Handle {
        let here = Handle::current();
        let beside = self.all.runtime.get().and_then(Option::as_ref);
        let is_beside = beside.is_some_and(|runtime| runtime.handle().id() == here.id());
        self.all.among.get().filter(|_| is_beside).cloned().unwrap_or(here)
    }

    /// The threads beside, where they start.
    pub(crate) fn beside(&self) -> Option<Handle> {
        self.all.beside().map(|runtime| runtime.handle().clone())
    }

    /// Notes what was taken of the others' threads.
    pub(crate) fn spend(&self, took: Duration) {
        self.count(Instant::now(), took.as_secs_f64());
    }

    #[cfg(test)]
    pub(crate) fn give(&self, saved: Duration) {
        self.count(Instant::now(), -saved.as_secs_f64());
    }

    fn count(&self, now: Instant, spent: f64) -> f64 {
        let mut left = held(&self.left);
        let passed = now.saturating_duration_since(left.1).as_secs_f64();
        let per_second = PART * self.all.processors as f64;
        *left = (((left.0 + passed * per_second).min(SAVED) - spent).max(-SAVED), now);
        left.0
    }
}

/// The work of a store, which moves when it goes on for long.
pub(crate) struct Moving<F: Future> {
    place: Place<F>,
    budget: Arc<Budget>,
    lane: Arc<Lane>,
}

enum Place<F: Future> {
    Here(Pin<Box<F>>),
    Beside(JoinHandle<F::Output>),
    /// It ended, or is on its way.
    Nowhere,
}

impl<F: Future<Output: Send> + Send + 'static> Moving<F> {
    pub(crate) fn new(work: F, budget: Arc<Budget>, lane: Arc<Lane>) -> Self {
        let beside = lane.begin(Instant::now());
        let mut moving = Self { place: Place::Here(Box::pin(work)), budget, lane };
        if beside {
            moving.go_beside();
        }
        moving
    }

    fn go_beside(&mut self) {
        if let Some(handle) = self.lane.beside() {
            self.go(&handle);
        }
    }

    fn go(&mut self, runtime: &Handle) {
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Here(work) => {
                self.lane.spend(self.budget.polled());
                self.place = Place::Beside(runtime.spawn(work));
            }
            elsewhere => self.place = elsewhere,
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Moving<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if usage::is_in_store() && matches!(self.place, Place::Here(_)) {
            // The body that one store takes is another's answer, and is asked for here.
            self.go(&Handle::current());
        }
        if let Place::Here(work) = &mut self.place {
            let polled = work.as_mut().poll(cx);
            if polled.is_ready() || !self.budget.is_long() {
                return polled;
            }
            self.go_beside();
            if matches!(self.place, Place::Here(_)) {
                return Poll::Pending;
            }
        }
        match &mut self.place {
            Place::Beside(task) => match ready!(Pin::new(task).poll(cx)) {
                Ok(output) => Poll::Ready(output),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The process is going down.
                Err(_) => Poll::Pending,
            },
            Place::Here(_) | Place::Nowhere => Poll::Pending,
        }
    }
}

impl<F: Future> Drop for Moving<F> {
    fn drop(&mut self) {
        match &self.place {
            Place::Here(_) => self.lane.spend(self.budget.polled()),
            Place::Beside(task) => task.abort(),
            Place::Nowhere => {}
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::NICE;
    use rustix::process::nice;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_store_is_never_driven_within_another() {
        let budget = Arc::<Budget>::default();
        let work = async { usage::in_store(|| std::thread::current().id()) };
        let mut moving = Moving::new(work, budget, Lanes::new().lane());
        let first = std::future::poll_fn(|cx| Poll::Ready(usage::in_store(|| Pin::new(&mut moving).poll(cx)))).await;
        assert!(first.is_pending() && matches!(moving.place, Place::Beside(_)));
        moving.await;
    }

    /// Uses a processor for so many polls, and answers where it ended.
    async fn busy(budget: Arc<Budget>, polls: u32) -> (String, i32) {
        budget.refill(Duration::from_secs(10));
        for _ in 0..polls {
            budget.begin_poll();
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(12) {
                std::hint::spin_loop();
            }
            budget.end_poll();
            tokio::task::yield_now().await;
        }
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        (name, nice(0).unwrap_or_default())
    }

    fn moving(polls: u32) -> Moving<impl Future<Output = (String, i32)> + Send + 'static> {
        let budget = Arc::<Budget>::default();
        Moving::new(busy(budget.clone(), polls), budget, Lanes::new().lane())
    }

    #[tokio::test]
    async fn who_computes_for_long_goes_on_beside_with_less_of_a_claim() {
        let (name, short) = moving(1).await;
        assert_ne!(name, "plugins-beside");
        let (name, long) = moving(4).await;
        assert_eq!((name.as_str(), long), ("plugins-beside", (short + NICE).min(19)));
    }

    #[tokio::test]
    async fn what_was_moved_is_dropped_with_its_call() {
        let (sender, dropped) = oneshot::channel::<()>();
        let budget = Arc::<Budget>::default();
        let work = {
            let budget = budget.clone();
            async move {
                let _held = sender;
                busy(budget, 4).await;
                std::future::pending::<()>().await;
            }
        };
        let mut moving = Moving::new(work, budget, Lanes::new().lane());
        let waited = tokio::time::timeout(Duration::from_millis(200), &mut moving).await;
        assert!(waited.is_err() && matches!(moving.place, Place::Beside(_)));
        drop(moving);
        assert!(tokio::time::timeout(Duration::from_secs(10), dropped).await.is_ok_and(|held| held.is_err()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_more_than_its_part_begins_beside_as_long_as_others_are_there() {
        let lanes = Lanes::new();
        let (greedy, modest) = (lanes.lane(), lanes.lane());
        let now = Instant::now();
        greedy.spend(Duration::from_secs(30));
        assert!(!greedy.begin(now), "nobody else has a call");
        assert!(!modest.begin(now));
        assert!(greedy.begin(now));
        assert!(!modest.begin(now), "it took nothing");
        // What was taken is forgiven after a while, and what was saved up has an end.
        tokio::time::advance(Duration::from_secs(10)).await;
        let now = Instant::now();
        assert!(!modest.begin(now) && !greedy.begin(now));
        greedy.spend(Duration::from_millis(600));
        assert!(greedy.begin(now));
        tokio::time::advance(RECENT * 2).await;
        assert!(!greedy.begin(Instant::now()), "the other has gone");
    }
}
