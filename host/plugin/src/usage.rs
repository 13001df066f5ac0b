//! What the calls of one location cost: time at work, and bytes that the plugin read itself.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

thread_local! {
    /// What this thread does.
    static DOES: Cell<Does> = const { Cell::new(Does::Something) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Nothing that has to do with a store.
    Something,
    /// It drives a store: what is read meanwhile, its plugin reads.
    Drives,
    /// It drives a store, and is at the host's own work within that.
    Works,
}

/// Counts over all calls of one location since it was opened.
#[derive(Debug, Default)]
pub struct Usage {
    busy: AtomicU64,
    bytes_read: AtomicU64,
}

impl Usage {
    /// Time in which a store was driven: the plugin's own, and the host's on its behalf.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    /// Bytes of bodies that the plugin read, instead of handing them on unread.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(crate) fn add_busy(&self, time: Duration) {
        self.busy.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts bytes that moved, when it is a plugin that they moved to. A body that was handed
    /// on is read by a connection's task or a file's, and not while a store is driven.
    pub(crate) fn moved(&self, bytes: usize) {
        if DOES.get() == Does::Drives {
            self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// Whether this thread drives a store: then it can drive no other one.
pub(crate) fn is_in_store() -> bool {
    DOES.get() != Does::Something
}

/// Drives a store for one poll.
pub(crate) fn in_store<T>(poll: impl FnOnce() -> T) -> T {
    doing(Does::Drives, poll)
}

fn doing<T>(what: Does, work: impl FnOnce() -> T) -> T {
    let _outer = Outer(DOES.replace(what));
    work()
}

/// What the thread did before, and does again when this is dropped: also where a poll panics.
struct Outer(Does);

impl Drop for Outer {
    fn drop(&mut self) {
        DOES.set(self.0);
    }
}

/// The host's own work within a store's poll: what it reads, no plugin reads.
pub(crate) struct HostWork<F>(pub(crate) Pin<Box<F>>);

impl<F: Future> Future for HostWork<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        doing(Does::Works, || self.0.as_mut().poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_moves_within_a_store_counts() {
        let usage = Usage::default();
        usage.moved(1);
        in_store(|| usage.moved(10));
        usage.moved(100);
        assert_eq!(usage.bytes_read(), 10);
        let mut work = Box::pin(HostWork(Box::pin(async { usage.moved(1_000) })));
        std::future::poll_fn(|cx| in_store(|| work.as_mut().poll(cx))).await;
        assert_eq!(usage.bytes_read(), 10);
    }

    #[test]
    fn a_poll_that_panics_leaves_the_thread_as_it_was() {
        let ended = std::panic::catch_unwind(|| in_store::<()>(|| std::panic::resume_unwind(Box::new(()))));
        assert!(ended.is_err() && !is_in_store());
    }
}
