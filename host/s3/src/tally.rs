//! The numbers of all requests, as metrics show them.

use metrics::{Counter, Histogram};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Metrics of one front. Each is looked up once: by its labels that takes longer than all else that is counted of a
/// request.
pub(crate) struct Tally {
    received: Counter,
    sent: Counter,
    /// By operation and status.
    answers: RwLock<HashMap<(&'static str, u16), Arc<Answers>>>,
}

struct Answers {
    requests: Counter,
    seconds: Histogram,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            received: metrics::counter!("sallyport_s3_bytes_received_total"),
            sent: metrics::counter!("sallyport_s3_bytes_sent_total"),
            answers: RwLock::default(),
        }
    }

    /// Counts a request that is over, with the bytes of its body and of its answer's.
    pub(crate) fn count(&self, operation: &'static str, status: u16, took: Duration, (received, sent): (u64, u64)) {
        let answers = self.answers(operation, status);
        answers.requests.increment(1);
        answers.seconds.record(took.as_secs_f64());
        self.received.increment(received);
        self.sent.increment(sent);
    }

    fn answers(&self, operation: &'static str, status: u16) -> Arc<Answers> {
        let known = (operation, status);
        if let Some(answers) = self.answers.read().unwrap_or_else(PoisonError::into_inner).get(&known) {
            return answers.clone();
        }
        let mut all = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        let answers = all.entry(known).or_insert_with(|| {
            let labels = [("operation", operation.to_owned()), ("status", status.to_string())];
            Arc::new(Answers {
                requests: metrics::counter!("sallyport_s3_requests_total", &labels),
                seconds: metrics::histogram!("sallyport_s3_request_seconds", "operation" => operation),
            })
        });
        answers.clone()
    }
}
