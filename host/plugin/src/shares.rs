//! Keeps one location from taking what all share: instances per second, and stores of the engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So much per second, and as much at once after a pause.
pub(crate) struct Rate {
    per_second: f64,
    /// What is left, and when that was counted.
    left: Mutex<(f64, Instant)>,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, left: Mutex::new((per_second, Instant::now())) }
    }

    /// Takes one, or says after which time there may be one.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(left.1).as_secs_f64();
        *left = ((left.0 + passed * self.per_second).min(self.per_second), now);
        if left.0 >= 1.0 {
            left.0 -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - left.0) / self.per_second))
    }
}

/// The engine's stores: while most are in use, no location has more than its share of them.
#[derive(Debug)]
pub(crate) struct Shares {
    stores: usize,
    used: AtomicUsize,
    locations: AtomicUsize,
    /// Stores of instances that wait for calls beyond what each location keeps at all times.
    spare: AtomicUsize,
}

/// What one location uses of them.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Shares>,
    used: AtomicUsize,
}

/// The store of an instance that waits for calls; given back when dropped.
pub(crate) struct Spare(Arc<Shares>);

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.spare.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A store in use; given back when dropped.
pub(crate) struct Used(Arc<Share>);

impl Shares {
    pub(crate) fn new(stores: usize) -> Arc<Self> {
        Arc::new(Self { stores, used: AtomicUsize::new(0), locations: AtomicUsize::new(0), spare: AtomicUsize::new(0) })
    }

    /// The share of one more location.
    pub(crate) fn share(self: &Arc<Self>) -> Arc<Share> {
        self.locations.fetch_add(1, Ordering::Relaxed);
        Arc::new(Share { all: Arc::clone(self), used: AtomicUsize::new(0) })
    }

    /// How many there are to share with, at least one.
    fn locations(&self) -> usize {
        self.locations.load(Ordering::Relaxed).max(1)
    }
}

impl Share {
    /// A store for a call, unless the location has its share and the rest is scarce.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Used> {
        let all = &self.all;
        let (own, used) = (self.used.fetch_add(1, Ordering::Relaxed), all.used.fetch_add(1, Ordering::Relaxed));
        let taken = Used(Arc::clone(self));
        let fair = (all.stores / all.locations()).max(1);
        let is_scarce = used >= all.stores / 4 * 3;
        (own < fair || !is_scarce).then_some(taken)
    }

    /// How many of so many warm instances the location may keep at all times: all locations
    /// together keep a quarter of the stores, but each has one.
    pub(crate) fn kept(&self, warm: usize) -> usize {
        warm.min((self.all.stores / 4 / self.all.locations()).max(1))
    }

    /// A store for an instance that waits, as long as those that wait leave most to calls.
    pub(crate) fn spare(&self) -> Option<Spare> {
        let spare = Spare(Arc::clone(&self.all));
        (self.all.spare.fetch_add(1, Ordering::Relaxed) < self.all.stores / 4).then_some(spare)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.locations.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
        self.0.all.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_burst_pass_and_then_so_many_a_second() {
        let (rate, start) = (Rate::new(10), Instant::now());
        assert!((0..10).all(|_| rate.take(start).is_ok()));
        let wait = rate.take(start).expect_err("none is left");
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert!(rate.take(start + Duration::from_millis(101)).is_ok());
        assert!(rate.take(start + Duration::from_millis(101)).is_err());
        let later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| rate.take(later).is_ok()).count(), 10);
    }

    #[test]
    fn who_has_more_than_its_share_waits_when_stores_are_scarce() {
        let shares = Shares::new(8);
        let (greedy, modest) = (shares.share(), shares.share());
        let mut held: Vec<_> = (0..20).map_while(|_| greedy.take()).collect();
        assert_eq!(held.len(), 6, "three quarters");
        let others: Vec<_> = (0..20).map_while(|_| modest.take()).collect();
        assert_eq!(others.len(), 4, "its share, whatever the other has");
        assert!(greedy.take().is_none());
        drop(others);
        held.truncate(3);
        assert!(greedy.take().is_some());
    }

    #[test]
    fn a_store_is_used_for_as_long_as_it_is_held_also_beyond_its_location() {
        let shares = Shares::new(8);
        let share = shares.share();
        let held = share.take().expect("one is free");
        drop(share);
        assert_eq!(shares.used.load(Ordering::Relaxed), 1);
        drop(held);
        assert_eq!((shares.used.load(Ordering::Relaxed), shares.locations.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn what_waits_at_all_times_is_a_quarter_of_the_stores_however_many_locations_there_are() {
        let shares = Shares::new(1_000);
        let first = shares.share();
        assert_eq!((first.kept(16), first.kept(0)), (16, 0));
        let others: Vec<_> = (0..62).map(|_| shares.share()).collect();
        assert_eq!(first.kept(16), 3);
        let more: Vec<_> = (0..1_000).map(|_| shares.share()).collect();
        assert_eq!((first.kept(16), first.kept(0)), (1, 0));
        drop((others, more));
        assert_eq!(first.kept(16), 16);
    }
}
