//! Waits for what another process does sooner or later.

use std::time::Duration;
use tokio::time::Instant;

/// Longer than anything takes that is not broken.
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// Asks until the answer is yes.
///
/// # Panics
/// After a minute, with `what`.
#[allow(clippy::panic, reason = "a test fails by panicking")]
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + LONG_ENOUGH;
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    while !condition().await {
        assert!(Instant::now() < deadline, "not in {LONG_ENOUGH:?}: {what}");
        pause.tick().await;
    }
}
