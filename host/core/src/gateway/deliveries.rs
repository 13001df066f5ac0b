//! Delivers what waits for destinations, for each one on its own: one that is down holds up
//! nobody else.

use super::Gateway;
use crate::error::Result;
use crate::notification::{DeliveryFailure, DestinationName, Event};
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Events taken at a time.
const BATCH: usize = 64;
/// Keys whose events are under way to one destination at a time.
const CONCURRENCY: usize = 16;
/// First wait after a failure, and the longest one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a destination may refuse one message before it is dropped.
const REFUSALS: u32 = 5;
/// How long nobody looks when nothing is said to have been queued.
const IDLE: Duration = Duration::from_secs(10);

/// What is remembered of a destination between two rounds.
#[derive(Default)]
struct Progress {
    /// Rounds in a row in which something failed.
    failures: u32,
    /// How often which event was refused.
    refusals: HashMap<i64, u32>,
    /// What was dropped when it was last looked.
    dropped: Option<u64>,
}

/// What a round came to.
enum Round {
    /// Nothing waits.
    Idle,
    /// There may be more.
    Busy,
    /// Something could not be delivered.
    Failed,
}

/// What became of the events of one key.
#[derive(Default)]
struct Outcome {
    delivered: Vec<i64>,
    unwanted: Vec<i64>,
    refused: Option<i64>,
    failure: Option<DeliveryFailure>,
}

impl Gateway {
    /// Delivers events until `stop` resolves. An event that is under way then, or when the
    /// process dies, is sent again after the next start: each arrives at least once, and
    /// those of one key in their order.
    pub async fn deliver_notifications(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let destinations = self.destinations.names();
        if let Err(error) = self.tell_of_stranded(&destinations).await {
            tracing::error!("nobody knows how many notifications wait: {error}");
        }
        let workers = stream::iter(&destinations).for_each_concurrent(None, |name| self.serve_destination(name));
        let forever = async {
            workers.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop => {}
            () = forever => {}
        }
    }

    /// Says what waits for destinations that nobody configured any more: as many events as may
    /// wait for any other, until it is back.
    async fn tell_of_stranded(&self, destinations: &[DestinationName]) -> Result<()> {
        let queues = self.metadata.event_queues().await?;
        for queue in queues.iter().filter(|queue| queue.pending > 0 && !destinations.contains(&queue.destination)) {
            tracing::warn!(
                destination = %queue.destination, pending = queue.pending,
                "notifications wait for a destination that is not in config.json any more"
            );
        }
        Ok(())
    }

    async fn serve_destination(&self, name: &DestinationName) {
        let mut queued = self.metadata.events_queued();
        let mut progress = Progress::default();
        loop {
            queued.mark_unchanged();
            let round = self.delivery_round(name, &mut progress).await.unwrap_or_else(|error| {
                tracing::error!(destination = %name, "notifications wait for the database: {error}");
                Round::Failed
            });
            match round {
                Round::Busy => progress.failures = 0,
                Round::Idle => {
                    progress.failures = 0;
                    wait_for_events(&mut queued).await;
                }
                Round::Failed => {
                    let wait = jittered(backoff(progress.failures));
                    progress.failures = progress.failures.saturating_add(1);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn delivery_round(&self, name: &DestinationName, progress: &mut Progress) -> Result<Round> {
        // As everything that is done later: a restored database may tell of what never was.
        if self.metadata.is_restored().await? {
            return Ok(Round::Idle);
        }
        let events = self.metadata.events(name, BATCH).await?;
        self.show_queue(name, progress).await?;
        if events.is_empty() {
            return Ok(Round::Idle);
        }
        let mut keys: BTreeMap<_, Vec<Event>> = BTreeMap::new();
        for event in events {
            keys.entry((event.bucket.clone(), event.key.clone())).or_default().push(event);
        }
        let refusals = &progress.refusals;
        let outcomes: Vec<Outcome> = stream::iter(keys.into_values())
            .map(|events| self.deliver_key(name, events, refusals))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        self.settle_round(name, progress, outcomes).await
    }

    /// Delivers the events of one key in their order, up to the first that fails.
    async fn deliver_key(&self, name: &DestinationName, events: Vec<Event>, refusals: &HashMap<i64, u32>) -> Outcome {
        let mut outcome = Outcome::default();
        for event in events {
            match self.destinations.deliver(name, &event.message()).await {
                Ok(()) => outcome.delivered.push(event.id),
                Err(DeliveryFailure::Refused(why))
                    if refusals.get(&event.id).is_some_and(|times| times + 1 >= REFUSALS) =>
                {
                    tracing::error!(
                        destination = %name, bucket.name = %event.bucket, object.key = %event.key,
                        event = event.kind.name(), "a notification is dropped, refused {REFUSALS} times: {why}"
                    );
                    outcome.unwanted.push(event.id);
                }
                Err(failure) => {
                    outcome.refused = matches!(failure, DeliveryFailure::Refused(_)).then_some(event.id);
                    outcome.failure = Some(failure);
                    break;
                }
            }
        }
        outcome
    }

    async fn settle_round(
        &self,
        name: &DestinationName,
        progress: &mut Progress,
        outcomes: Vec<Outcome>,
    ) -> Result<Round> {
        let (mut delivered, mut unwanted, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        let mut refusals = HashMap::new();
        for outcome in outcomes {
            delivered.extend(outcome.delivered);
            unwanted.extend(outcome.unwanted);
            failures.extend(outcome.failure);
            if let Some(id) = outcome.refused {
                refusals.insert(id, progress.refusals.get(&id).map_or(1, |times| times + 1));
            }
        }
        progress.refusals = refusals;
        let label = || name.to_string();
        metrics::counter!("sallyport_notifications_delivered_total", "destination" => label())
            .increment(delivered.len() as u64);
        metrics::counter!("sallyport_notifications_failed_total", "destination" => label())
            .increment((failures.len() + unwanted.len()) as u64);
        self.metadata.forget_events(delivered, unwanted).await?;
        let Some(failure) = failures.first() else { return Ok(Round::Busy) };
        tracing::warn!(
            destination = %name, failed = failures.len(), rounds = progress.failures + 1,
            "notifications wait for their destination: {failure}"
        );
        Ok(Round::Failed)
    }

    /// Shows how many events wait, and says when some were dropped.
    async fn show_queue(&self, name: &DestinationName, progress: &mut Progress) -> Result<()> {
        let queues = self.metadata.event_queues().await?;
        let queue = queues.into_iter().find(|queue| queue.destination == *name);
        let (pending, dropped) = queue.map_or((0, 0), |queue| (queue.pending, queue.dropped));
        metrics::gauge!("sallyport_notifications_pending", "destination" => name.to_string()).set(pending as f64);
        metrics::counter!("sallyport_notifications_dropped_total", "destination" => name.to_string()).absolute(dropped);
        let before = progress.dropped.replace(dropped).unwrap_or(dropped);
        if dropped > before {
            tracing::error!(
                destination = %name, dropped = dropped - before, pending,
                "notifications were dropped: too many wait for their destination, or it refuses them"
            );
        }
        Ok(())
    }
}

async fn wait_for_events(queued: &mut watch::Receiver<u64>) {
    tokio::select! {
        changed = queued.changed() => if changed.is_err() {
            // The store is closed: there is nothing to wake up for.
            tokio::time::sleep(IDLE).await;
        },
        () = tokio::time::sleep(IDLE) => {}
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.min(20))).min(LONGEST_WAIT)
}

/// Between half and all of it, so that what failed together does not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    // Without random numbers all come together, which harms nobody here.
    let _ = getrandom::fill(&mut byte);
    let [share] = byte;
    wait / 2 + wait.mul_f64(f64::from(share) / 510.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute() {
        let waits: Vec<u64> = [0, 1, 2, 6, 7, 40].map(|failures| backoff(failures).as_millis() as u64).to_vec();
        assert_eq!(waits, [500, 1_000, 2_000, 32_000, 60_000, 60_000]);
        let wait = jittered(Duration::from_secs(10));
        assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&wait), "{wait:?}");
    }
}
