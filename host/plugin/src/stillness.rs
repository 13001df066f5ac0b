//! How long a body has been standing still while somebody waits for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Waits out a body that does not move. Its one timer goes on while the body moves, and is set again when it fires:
/// a body that is fast waits thousands of times per gigabyte, and setting a timer costs more than looking at the clock.
pub(crate) struct Stillness {
    most: Duration,
    /// When the wait that goes on began.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stillness {
    /// A body that may stand still for so long at a time.
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, since: None, timer: None }
    }

    /// It moved.
    pub(crate) fn end(&mut self) {
        self.since = None;
    }

    /// It does not move: ready when it has not for too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since + self.most;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const MOST: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn only_the_wait_that_goes_on_counts() {
        let (began, mut stillness) = (Instant::now(), Stillness::new(MOST));
        // Each wait is shorter than the most, all of them together are longer.
        for _ in 0..5 {
            let waited = tokio::time::timeout(MOST * 2 / 3, poll_fn(|cx| stillness.poll(cx))).await;
            assert!(waited.is_err());
            stillness.end();
        }
        // Nobody waits meanwhile, so nothing stands still.
        tokio::time::advance(MOST * 7).await;
        let resumed = Instant::now();
        assert!(resumed - began > MOST * 10);
        poll_fn(|cx| stillness.poll(cx)).await;
        assert_eq!(resumed.elapsed().as_secs(), MOST.as_secs());
    }
}
