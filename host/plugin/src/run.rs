//! Drives one call in one store: its time, its processor time, and what outlives its answer.

use crate::call::Call;
use crate::instance::{Exports, Instance};
use crate::lane::{Lane, Moving};
use crate::limits::{Limits, overrun};
use crate::state::{Budget, State};
use crate::usage;
use crate::whose::Whose;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Broke {
    /// It trapped or overran a limit.
    Trapped(String),
    /// It took too long.
    Late(Duration),
    /// The engine has no store for it now.
    NoStore,
}

impl std::fmt::Display for Broke {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Trapped(why) => formatter.write_str(why),
            Self::NoStore => formatter.write_str("all stores of the engine are in use"),
            Self::Late(after) => write!(formatter, "it did not answer within {} ms", after.as_millis()),
        }
    }
}

/// A call of an export: from the store's accessor to an answer.
pub(crate) type Work<T> = Box<dyn for<'a> FnOnce(&'a Accessor<State>, Arc<Exports>) -> Working<'a, T> + Send>;
/// A call that was begun.
pub(crate) type Working<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// Processor time for a call with a body of this size.
pub(crate) fn cpu(limits: &Limits, body: u64) -> Duration {
    let mebibytes = u32::try_from(body >> 20).unwrap_or(u32::MAX);
    limits.cpu.saturating_add(limits.cpu_per_mebibyte.saturating_mul(mebibytes))
}

/// Runs one call. The instance comes back through `done` once nothing of the call is left in
/// it, which may be after the answer when the plugin itself moves a body's bytes; after a
/// trap or a deadline it does not come back. Dropping the future drops the store with
/// whatever was going on in it. What `done` holds goes with the store, and not before.
pub(crate) async fn run<T: Send + 'static>(
    mut instance: Instance,
    lane: Arc<Lane>,
    call: Arc<Call>,
    limits: &Limits,
    body: u64,
    work: Work<T>,
    done: impl FnOnce(Instance) + Send + 'static,
) -> Result<T, Broke> {
    let (sender, mut answer) = oneshot::channel();
    let whose = instance.store.data().whose.clone();
    let budget = instance.store.data_mut().begin(call.clone(), cpu(limits, body));
    instance.store.set_epoch_deadline(1);
    let (written, unfinished) = (call.clone(), Unfinished(Some(call.clone())));
    let driving = async move {
        let exports = instance.exports.clone();
        let ran = {
            let mut running = pin!(instance.store.run_concurrent(async |accessor| {
                let answer = work(accessor, exports).await;
                let fine = answer.is_ok();
                // Nobody listens any more when the caller's deadline has passed.
                let _ = sender.send(answer);
                if fine {
                    std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                    // The end of what the plugin wrote is brought out by this store, and not by the plugin.
                    written.wrote().await;
                }
                fine
            }));
            // Here, so that it is dropped before anything of the store is.
            let unfinished = unfinished;
            let ran = running.as_mut().await;
            if matches!(ran, Ok(true)) {
                unfinished.end();
            }
            ran
        };
        match ran {
            Ok(true) => {
                instance.left = instance.left.saturating_sub(1);
                done(instance);
                None
            }
            Ok(false) => None,
            Err(error) => Some(describe(&error)),
        }
    };
    let mut driving = driven(driving, budget, &call, limits, lane);
    let mut cut = false;
    loop {
        let deadline = call.deadline() + if cut { limits.grace } else { Duration::ZERO };
        let mut late = pin!(tokio::time::sleep_until(deadline));
        tokio::select! {
            biased;
            trap = &mut driving => return match (answer.try_recv(), trap) {
                (Ok(Ok(answer)), _) => Ok(answer),
                (Ok(Err(error)), _) => Err(Broke::Trapped(describe(&error))),
                (Err(_), Some(trap)) => Err(Broke::Trapped(trap)),
                (Err(_), None) => Err(Broke::Trapped("it ended without an answer".to_owned())),
            },
            answered = &mut answer => match answered {
                Ok(Ok(answer)) => {
                    // The plugin is still at it: it writes the answer's body itself. How long the
                    // answer took does not count as a time in which the body stood still.
                    call.touch();
                    tokio::spawn(outlive(driving, call, (limits.idle, limits.wall), whose));
                    return Ok(answer);
                }
                Ok(Err(error)) => return Err(Broke::Trapped(describe(&error))),
                Err(_) => return Err(Broke::Trapped(driving.await.unwrap_or_else(|| "it ended without an answer".to_owned()))),
            },
            () = &mut late => {
                if call.deadline() > tokio::time::Instant::now() {
                    continue;
                }
                if cut {
                    whose.hit(if call.is_sending() { "idleMs" } else { "wallMs" });
                    return Err(Broke::Late(call.started().elapsed()));
                }
                // A plugin whose request fails can still answer, and its store lives on.
                cut = true;
                call.cut_off();
            }
        }
    }
}

/// Fails the requests of a call whose store goes before its time: what the plugin wrote of a
/// request's body would else seem to be all of it.
struct Unfinished(Option<Arc<Call>>);

impl Unfinished {
    /// The store is no longer needed.
    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.cut_off();
        }
    }
}

/// Work in a store whose time is counted, where it is in nobody's way.
pub(crate) fn driven<F: Future<Output: Send> + Send + 'static>(
    work: F,
    budget: Arc<Budget>,
    call: &Arc<Call>,
    limits: &Limits,
    lane: Arc<Lane>,
) -> Moving<impl Future<Output = F::Output> + Send + 'static + use<F>> {
    let metered = Metered { inner: work, budget: budget.clone(), call: call.clone(), looks: limits.metered };
    Moving::new(metered, budget, lane)
}

/// Drives a store on behalf of a body that a plugin writes, until it ends, is dropped or
/// stands still. Without such a body it has no more time than a call has for its answer.
async fn outlive(
    mut driving: impl Future<Output = Option<String>> + Unpin,
    call: Arc<Call>,
    (idle, wall): (Duration, Duration),
    whose: Whose,
) {
    let mut over = None;
    loop {
        if over.is_none() && !call.needs_store() {
            over = Some(tokio::time::Instant::now() + wall);
        }
        let still = call.sent_by() + idle;
        let deadline = over.map_or(still, |over| over.min(still));
        tokio::select! {
            biased;
            trap = &mut driving => {
                if let Some(trap) = trap {
                    let (plugin, location) = (&*whose.plugin, &*whose.location);
                    if let Some(limit) = overrun(&trap) {
                        whose.hit(limit);
                    }
                    tracing::warn!(plugin, location, error = trap, "a plugin broke while it wrote a body");
                }
                return;
            }
            () = call.cut() => return,
            () = call.wrote(), if over.is_none() => {}
            () = tokio::time::sleep_until(deadline) => {
                let now = tokio::time::Instant::now();
                let (plugin, location) = (&*whose.plugin, &*whose.location);
                if call.sent_by() + idle <= now {
                    whose.hit("idleMs");
                    tracing::warn!(plugin, location, "a plugin's body stood still for too long");
                    return;
                }
                if over.is_some_and(|over| over <= now) {
                    whose.hit("wallMs");
                    tracing::warn!(plugin, location, "a plugin went on for too long after its answer");
                    return;
                }
            }
        }
    }
}

/// Why there is no instance.
pub(crate) fn broke(error: &wasmtime::Error) -> Broke {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Broke::NoStore;
    }
    Broke::Trapped(describe(error))
}

/// An error in one line, innermost cause included, without the plugin's backtrace.
pub(crate) fn describe(error: &wasmtime::Error) -> String {
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        return format!("it trapped: {trap}");
    }
    crate::log::printable(&error.root_cause().to_string(), 1024)
}

/// Counts the time that a future is being polled.
struct Metered<F> {
    inner: F,
    budget: Arc<Budget>,
    call: Arc<Call>,
    looks: bool,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `inner` is never moved out of its place; the others are not pinned.
        #[expect(unsafe_code, reason = "a projection to one field, which no macro in reach makes shorter")]
        let (inner, budget, call, looks) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.inner), &this.budget, &this.call, this.looks)
        };
        if !looks {
            return usage::in_store(|| inner.poll(cx));
        }
        budget.begin_poll();
        let polled = usage::in_store(|| inner.poll(cx));
        call.usage().add_busy(budget.end_poll());
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(3);
    const WALL: Duration = Duration::from_secs(10);

    #[test]
    fn the_requests_of_a_store_that_goes_before_its_time_fail() {
        for (ends, cut) in [(true, false), (false, true)] {
            let call = Arc::new(Call::new(WALL, IDLE));
            let unfinished = Unfinished(Some(call.clone()));
            if ends {
                unfinished.end();
            } else {
                drop(unfinished);
            }
            assert_eq!(call.is_cut(), cut);
        }
    }

    /// A store that does not end by itself, and to which something moves every second.
    fn outliving(call: &Arc<Call>) -> tokio::task::JoinHandle<()> {
        let moving = call.clone();
        let driving: Pin<Box<dyn Future<Output = Option<String>> + Send>> = Box::pin(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                moving.touch();
            }
        });
        tokio::spawn(outlive(driving, call.clone(), (IDLE, WALL), Whose::new("k", "l")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_without_a_body_goes_on_for_no_longer_than_a_call() {
        let call = Arc::new(Call::new(WALL, IDLE));
        let began = tokio::time::Instant::now();
        outliving(&call).await.expect("it ends");
        assert!((WALL..WALL + IDLE).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_whose_body_moves_goes_on_until_it_is_read() {
        let call = Arc::new(Call::new(WALL, IDLE));
        call.begin_writing();
        let (began, outliving) = (tokio::time::Instant::now(), outliving(&call));
        tokio::time::sleep(WALL * 3).await;
        assert!(!outliving.is_finished());
        call.end_reading();
        outliving.await.expect("it ends");
        assert!((WALL * 4..WALL * 4 + IDLE).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
