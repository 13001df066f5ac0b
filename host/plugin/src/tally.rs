//! What becomes of a location's calls, as metrics show it.

use crate::whose::Whose;
use metrics::{Counter, Histogram};
use sallyport_core::backend::BackendError;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// The metrics of one location's calls. Each is looked up once: by its labels that takes longer than all else that is
/// counted of a call.
pub(crate) struct Tally {
    whose: Whose,
    calls: RwLock<HashMap<&'static str, Arc<Shown>>>,
}

/// The metrics of one kind of call.
struct Shown {
    returned: OnceLock<Counter>,
    busy: OnceLock<Counter>,
    broke: OnceLock<Counter>,
    seconds: Histogram,
}

impl Tally {
    pub(crate) fn new(whose: Whose) -> Self {
        Self { whose, calls: RwLock::default() }
    }

    /// Counts a call by its name, with what became of it and how long it took.
    pub(crate) fn count<T>(&self, call: &'static str, ran: &Result<T, BackendError>, took: Duration) {
        let shown = self.shown(call);
        let (counter, outcome) = match ran {
            Ok(_) => (&shown.returned, "returned"),
            Err(BackendError::Busy(_)) => (&shown.busy, "busy"),
            Err(BackendError::Answered { .. } | BackendError::Broke(_) | BackendError::Body(_)) => {
                (&shown.broke, "broke")
            }
        };
        counter.get_or_init(|| self.counter(call, outcome)).increment(1);
        shown.seconds.record(took.as_secs_f64());
    }

    fn shown(&self, call: &'static str) -> Arc<Shown> {
        if let Some(shown) = self.calls.read().unwrap_or_else(PoisonError::into_inner).get(call) {
            return shown.clone();
        }
        let mut calls = self.calls.write().unwrap_or_else(PoisonError::into_inner);
        calls.entry(call).or_insert_with(|| Arc::new(self.first(call))).clone()
    }

    fn first(&self, call: &'static str) -> Shown {
        let (plugin, location) = (self.whose.plugin.to_string(), self.whose.location.to_string());
        let seconds = metrics::histogram!(
            "sallyport_plugin_call_seconds",
            "plugin" => plugin, "location" => location, "call" => call
        );
        Shown { returned: OnceLock::new(), busy: OnceLock::new(), broke: OnceLock::new(), seconds }
    }

    fn counter(&self, call: &'static str, outcome: &'static str) -> Counter {
        let (plugin, location) = (self.whose.plugin.to_string(), self.whose.location.to_string());
        metrics::counter!(
            "sallyport_plugin_calls_total",
            "plugin" => plugin, "location" => location, "call" => call, "outcome" => outcome
        )
    }
}
