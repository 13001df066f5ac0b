//! Work that wakes itself goes on at once.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls in a row, so that nothing that wakes itself again and again keeps its thread.
const MOST: usize = 8;

/// Runs work whose parts wake each other while it is polled, as a store's do several times per call. To a runtime that
/// is a task that yields: it is queued anew, and a thread that sleeps is woken to look for it. Here it is polled again
/// instead, and a wake that comes when the work is done already is none.
pub(crate) async fn at_once<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    std::future::poll_fn(|cx| {
        let mut inner = Context::from_waker(&waker);
        for _ in 0..MOST {
            woken.begin(cx.waker());
            if let Poll::Ready(output) = work.as_mut().poll(&mut inner) {
                return Poll::Ready(output);
            }
            if !woken.end() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[derive(Default)]
struct Woken(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    is_polled: bool,
    /// Since the poll began.
    is_woken: bool,
    task: Option<Waker>,
}

impl Woken {
    fn begin(&self, task: &Waker) {
        let mut seen = self.held();
        seen.is_polled = true;
        seen.is_woken = false;
        if seen.task.as_ref().is_none_or(|known| !known.will_wake(task)) {
            seen.task = Some(task.clone());
        }
    }

    /// Whether the work was woken while it was polled. From here on the task is.
    fn end(&self) -> bool {
        let mut seen = self.held();
        seen.is_polled = false;
        seen.is_woken
    }

    fn held(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = {
            let mut seen = self.held();
            if seen.is_polled {
                seen.is_woken = true;
                return;
            }
            seen.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls once, and answers what came and how often the task was woken.
    fn polled<F: Future>(work: F) -> (Poll<F::Output>, usize) {
        let counted = Arc::<Counted>::default();
        let waker = Waker::from(Arc::clone(&counted));
        let polled = pin!(at_once(work)).poll(&mut Context::from_waker(&waker));
        (polled, counted.0.load(Ordering::Relaxed))
    }

    /// Wakes itself so many times before it is ready.
    async fn waking(times: usize) -> usize {
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls > times { Poll::Ready(polls) } else { Poll::Pending }
        })
        .await
    }

    #[test]
    fn what_wakes_itself_is_polled_again_and_its_task_not_woken() {
        assert_eq!(polled(waking(3)), (Poll::Ready(4), 0));
    }

    #[test]
    fn what_never_stops_waking_itself_yields() {
        assert_eq!(polled(waking(usize::MAX)), (Poll::Pending, 1));
    }

    #[test]
    fn what_waits_for_something_else_is_polled_once() {
        assert_eq!(polled(std::future::pending::<()>()), (Poll::Pending, 0));
    }

    #[tokio::test]
    async fn what_others_wake_goes_on() {
        let (sender, receiver) = oneshot::channel();
        let waits = tokio::spawn(at_once(receiver));
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.send(7).expect("it waits");
        assert_eq!(waits.await.expect("no panic"), Ok(7));
    }

    /// The wake and the end of the poll meet in all orders.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_is_lost() {
        for _ in 0..2_000 {
            let (sender, receiver) = oneshot::channel();
            let waits = tokio::spawn(at_once(receiver));
            tokio::spawn(async move { sender.send(()) });
            let waited = tokio::time::timeout(Duration::from_secs(60), waits).await;
            assert!(matches!(waited, Ok(Ok(Ok(())))));
        }
    }
}
