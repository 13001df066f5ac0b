//! Work that is done again and again, until the gateway stops.

use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Runs `round` now, and again whenever `interval` is over, until `stop` resolves, which drops
/// a round that is under way. Rounds that take longer than the interval follow each other.
pub(super) async fn every<F: Future<Output = ()>>(
    interval: Duration,
    stop: impl Future<Output = ()>,
    mut round: impl FnMut() -> F,
) {
    let mut stop = std::pin::pin!(stop);
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = timer.tick() => {}
        }
        tokio::select! {
            () = &mut stop => return,
            () = round() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn rounds_follow_each_other_until_the_end_which_waits_for_none() {
        let (rounds, ended) = (AtomicUsize::new(0), tokio::sync::Notify::new());
        let work = every(Duration::from_millis(1), ended.notified(), || async {
            if rounds.fetch_add(1, Ordering::Relaxed) == 2 {
                ended.notify_one();
                std::future::pending::<()>().await;
            }
        });
        work.await;
        assert_eq!(rounds.load(Ordering::Relaxed), 3);
    }
}
