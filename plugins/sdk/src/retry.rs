//! Tries again what can be repeated.

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::random::random;
use crate::call;
use crate::types::Failure;

/// How often to try, and how long to wait in between.
///
/// Only for what is safe to repeat: a body that was handed on is gone after the first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least one.
    pub attempts: u32,
    /// The longest first pause in milliseconds; it doubles with each try.
    pub first: u64,
    /// No pause is longer, in milliseconds, whatever the backend asks for.
    pub longest: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, first: 100, longest: 5_000 }
    }
}

impl Retry {
    /// Runs `attempt` until it succeeds, fails for good, or the call has no time left.
    pub async fn run<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut tried = 0;
        loop {
            let failure = match attempt().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            tried += 1;
            if !crate::failure::is_retryable(&failure) || tried >= self.attempts {
                return Err(failure);
            }
            let asked = failure.retry_after.unwrap_or_default();
            let pause = self.pause(tried, asked, call::remaining(), random::get_random_u64());
            match pause {
                Some(milliseconds) if !call::cancelled() => {
                    monotonic_clock::wait_for(milliseconds.saturating_mul(1_000_000)).await;
                }
                _ => return Err(failure),
            }
        }
    }

    /// Milliseconds to wait after `tried` tries; `None` when too little time remains.
    ///
    /// Full jitter: anything up to the doubled bound, so that many who failed together do
    /// not come back together. What the backend asked for is the least.
    fn pause(&self, tried: u32, asked: u64, remaining: Option<u64>, random: u64) -> Option<u64> {
        let doublings = tried.saturating_sub(1).min(32);
        let bound = self.first.saturating_mul(1 << doublings).clamp(1, self.longest.max(1));
        let jitter = random.checked_rem(bound).unwrap_or_default();
        let pause = jitter.max(asked).min(self.longest);
        match remaining {
            Some(remaining) if remaining <= pause => None,
            _ => Some(pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_tried_again_when_the_time_is_up() {
        assert_eq!(Retry::default().pause(1, 200, Some(200), 0), None);
        assert_eq!(Retry::default().pause(1, 200, Some(201), 0), Some(200));
        assert_eq!(Retry::default().pause(1, 200, None, 0), Some(200));
    }

    #[test]
    fn a_backend_cannot_make_a_call_hang() {
        assert_eq!(Retry::default().pause(1, u64::MAX, None, 7), Some(5_000));
    }

    proptest! {
        #[test]
        fn a_pause_stays_within_its_bounds(tried in 0u32..100, asked: u64, random: u64) {
            let retry = Retry::default();
            let pause = retry.pause(tried, asked, None, random).unwrap();
            prop_assert!(pause <= retry.longest);
            prop_assert!(pause >= asked.min(retry.longest));
        }
    }
}
