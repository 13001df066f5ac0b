//! Spares a location whose plugin breaks again and again: its calls are refused at once, and one is tried now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Calls are counted for so long.
const WINDOW: Duration = Duration::from_secs(10);
/// Broken calls of a window, at least half of all, that open the breaker.
pub(super) const BROKEN: u32 = 5;
/// How long it stays open at first; each probe that breaks doubles that.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest pause between two probes.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One location's breaker. Refused calls touch neither plugin nor backend.
pub(super) struct Breaker {
    location: String,
    /// Broken calls that open it; never when that is 0.
    most: u32,
    inner: Mutex<Inner>,
    /// Calls that were let through to see how it is.
    probes: AtomicU64,
}

#[derive(Default)]
struct Inner {
    began: Option<Instant>,
    calls: u32,
    broke: u32,
    open: Option<Open>,
}

struct Open {
    until: Instant,
    wait: Duration,
    /// Since when a call is under way that decides whether it closes.
    probing: Option<Instant>,
    /// The number of that call: only the last one decides.
    probe: u64,
    cause: String,
}

/// Why a call is not made, and when one is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) cause: String,
    pub(super) wait: Duration,
}

/// Allows one call; its outcome is told, or it is dropped without one.
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    /// Which probe of the breaker it is, if it is one.
    probe: Option<u64>,
}

impl Breaker {
    pub(super) fn new(location: &str, most: u32) -> Arc<Self> {
        Arc::new(Self { location: location.to_owned(), most, inner: Mutex::default(), probes: AtomicU64::new(0) })
    }

    /// Whose it is.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Lets a call through unless the breaker is open; after its pause one at a time.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Pass, Refusal> {
        let mut inner = self.inner();
        let probe = match &mut inner.open {
            None => None,
            Some(open) if open.is_shut() => return Err(open.refusal()),
            Some(open) => {
                open.probing = Some(Instant::now());
                open.probe = self.probes.fetch_add(1, Ordering::Relaxed);
                Some(open.probe)
            }
        };
        Ok(Pass { breaker: self.clone(), probe })
    }

    /// Why calls are refused now; nothing when the next one is let through.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let inner = self.inner();
        let open = inner.open.as_ref()?;
        open.is_shut().then(|| open.refusal())
    }

    /// Why it is open, whether or not a call is tried now.
    pub(super) fn cause(&self) -> Option<String> {
        self.inner().open.as_ref().map(|open| open.refusal().cause)
    }

    /// Something else serves the location now.
    pub(super) fn reset(&self) {
        self.close(&mut self.inner());
    }

    fn broke(&self, cause: &str) {
        let mut inner = self.inner();
        if inner.open.is_none() {
            inner.count(true);
            self.open_if_due(&mut inner, cause);
        }
    }

    fn fine(&self, probe: Option<u64>) {
        let mut inner = self.inner();
        if let Some(probe) = probe {
            if inner.open.as_ref().is_none_or(|open| open.probe != probe) {
                return;
            }
            tracing::info!(location = %self.location, "the plugin works again: the location's breaker is closed");
            self.close(&mut inner);
        } else if inner.open.is_none() {
            inner.count(false);
        }
    }

    fn probe_ended(&self, probe: u64, broke: Option<&str>) {
        if let Some(open) = self.inner().open.as_mut().filter(|open| open.probe == probe) {
            open.probing = None;
            if let Some(cause) = broke {
                open.wait = open.wait.saturating_mul(2).min(LONGEST_WAIT);
                open.until = Instant::now() + open.wait;
                open.cause = cause.to_owned();
            }
        }
    }

    fn open_if_due(&self, inner: &mut Inner, cause: &str) {
        if self.most == 0 || inner.broke < self.most || inner.broke.saturating_mul(2) < inner.calls {
            return;
        }
        let (broke, calls) = (inner.broke, inner.calls);
        inner.open = Some(Open {
            until: Instant::now() + FIRST_WAIT,
            wait: FIRST_WAIT,
            probing: None,
            probe: u64::MAX,
            cause: cause.to_owned(),
        });
        tracing::error!(location = %self.location, "{broke} of {calls} calls broke: the location's breaker is open: {cause}");
        let location = || self.location.clone();
        metrics::counter!("sallyport_location_breaker_opened_total", "location" => location()).increment(1);
        metrics::gauge!("sallyport_location_breaker_open", "location" => location()).set(1.0);
    }

    fn close(&self, inner: &mut Inner) {
        if inner.open.is_some() {
            metrics::gauge!("sallyport_location_breaker_open", "location" => self.location.clone()).set(0.0);
        }
        *inner = Inner::default();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count(&mut self, broke: bool) {
        let now = Instant::now();
        if self.began.is_none_or(|began| now.duration_since(began) > WINDOW) {
            (self.began, self.calls, self.broke) = (Some(now), 0, 0);
        }
        self.calls = self.calls.saturating_add(1);
        self.broke = self.broke.saturating_add(u32::from(broke));
    }
}

impl Open {
    /// A probe that lasts is not waited for: it may be a body that a client sends for hours.
    fn is_shut(&self) -> bool {
        let now = Instant::now();
        self.until > now || self.probing.is_some_and(|since| now.duration_since(since) < FIRST_WAIT)
    }

    fn refusal(&self) -> Refusal {
        // A probe that is under way may last: who asks meanwhile comes back a moment later.
        let wait = self.until.saturating_duration_since(Instant::now()).max(FIRST_WAIT);
        Refusal { cause: format!("its plugin breaks again and again, last time: {}", self.cause), wait }
    }
}

impl Pass {
    /// The call was answered, be it with an error of the backend's.
    pub(super) fn answered(mut self) {
        self.breaker.fine(self.probe.take());
    }

    /// The plugin broke.
    pub(super) fn broke(mut self, cause: &str) {
        match self.probe.take() {
            Some(probe) => self.breaker.probe_ended(probe, Some(cause)),
            None => self.breaker.broke(cause),
        }
    }
}

impl Drop for Pass {
    /// A probe that nobody waited for says nothing: the next call is one.
    fn drop(&mut self) {
        if let Some(probe) = self.probe {
            self.breaker.probe_ended(probe, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Arc<Breaker> {
        Breaker::new("here", BROKEN)
    }

    fn breaks(breaker: &Arc<Breaker>, times: u32) {
        for _ in 0..times {
            breaker.admit().unwrap().broke("it trapped");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_five_broken_calls_and_tries_one_after_a_pause() {
        let breaker = breaker();
        breaks(&breaker, 4);
        assert!(breaker.refusal().is_none());
        breaks(&breaker, 1);
        let refusal = breaker.refusal().unwrap();
        assert!(refusal.cause.contains("it trapped"), "{refusal:?}");
        assert_eq!(refusal.wait, FIRST_WAIT);
        assert!(breaker.admit().is_err());
        tokio::time::advance(FIRST_WAIT).await;
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "one at a time");
        probe.answered();
        assert!(breaker.admit().is_ok());
        assert_eq!(breaker.cause(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_breaks_doubles_the_pause_and_one_that_is_dropped_does_not() {
        let breaker = breaker();
        breaks(&breaker, 5);
        tokio::time::advance(FIRST_WAIT).await;
        drop(breaker.admit());
        breaks(&breaker, 1);
        tokio::time::advance(FIRST_WAIT).await;
        assert!(breaker.admit().is_err());
        tokio::time::advance(FIRST_WAIT).await;
        assert!(breaker.admit().is_ok());
        for _ in 0..10 {
            tokio::time::advance(LONGEST_WAIT).await;
            breaks(&breaker, 1);
        }
        assert_eq!(breaker.refusal().unwrap().wait, LONGEST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_lasts_keeps_nobody_out() {
        let breaker = breaker();
        breaks(&breaker, 5);
        tokio::time::advance(FIRST_WAIT).await;
        let endless = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        tokio::time::advance(FIRST_WAIT).await;
        let second = breaker.admit().unwrap();
        endless.broke("at last");
        second.answered();
        assert_eq!(breaker.cause(), None, "the last one decides");
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_broken_calls_among_many_do_not_open_it() {
        let breaker = breaker();
        for _ in 0..20 {
            breaker.admit().unwrap().answered();
        }
        breaks(&breaker, 8);
        assert!(breaker.refusal().is_none());
        tokio::time::advance(WINDOW * 2).await;
        breaks(&breaker, 4);
        assert!(breaker.refusal().is_none(), "what is long ago does not count");
    }
}
