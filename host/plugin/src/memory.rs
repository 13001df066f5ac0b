//! What the instances of one location have grown to, all together.

use crate::whose::Whose;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What an instance may have grown by since it was opened and still be kept, in bytes. No module gives memory back:
/// what one call needed once would stay with all later ones, which need it no more.
pub(crate) const KEPT_GROWTH: usize = 8 << 20;

/// The memory of one location; its stores take from it and give back when they go.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    used: AtomicUsize,
    /// The most that an instance had when it was opened.
    start: AtomicUsize,
    shown: metrics::Gauge,
}

impl Memory {
    pub(crate) fn new(limit: usize, whose: &Whose) -> Arc<Self> {
        let (plugin, location) = (whose.plugin.to_string(), whose.location.to_string());
        // A plugin that is only looked at has none.
        let shown = if location.is_empty() {
            metrics::Gauge::noop()
        } else {
            metrics::gauge!("sallyport_plugin_memory_bytes", "plugin" => plugin, "location" => location)
        };
        Arc::new(Self { limit, used: AtomicUsize::new(0), start: AtomicUsize::new(0), shown })
    }

    /// Takes some, unless there is not as much.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let sum = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let fits = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok();
        if fits {
            // Added to, not set: a location that is opened anew has both figures for a while.
            self.shown.increment(bytes as f64);
        }
        fits
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.shown.decrement(bytes as f64);
    }

    /// An instance was made and opened, and has so much.
    pub(crate) fn started_with(&self, bytes: usize) {
        self.start.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Whether one more instance can be made, and do something.
    pub(crate) fn has_room(&self) -> bool {
        let start = self.start.load(Ordering::Relaxed).max(KEPT_GROWTH);
        self.used.load(Ordering::Relaxed).saturating_add(start) <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_ends_at_the_limit_until_it_is_given_back() {
        let memory = Memory::new(32 << 20, &Whose::new("k", "l"));
        assert!(memory.take(20 << 20) && !memory.take(13 << 20) && memory.take(12 << 20));
        assert!(!memory.take(1));
        memory.give_back(20 << 20);
        assert!(memory.take(20 << 20));
    }

    #[test]
    fn there_is_room_for_an_instance_as_large_as_those_before_it() {
        let memory = Memory::new(32 << 20, &Whose::new("k", "l"));
        assert!(memory.take(20 << 20) && memory.has_room());
        memory.started_with(20 << 20);
        assert!(!memory.has_room());
        memory.give_back(20 << 20);
        assert!(memory.has_room());
    }
}
