//! A location and its plugin, as logs and counters name them.

use std::sync::Arc;

/// Whose a call, a store or a connection is; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Whose {
    /// The location's type.
    pub(crate) plugin: Arc<str>,
    /// Empty while a plugin is asked pure questions.
    pub(crate) location: Arc<str>,
}

impl Whose {
    pub(crate) fn new(plugin: &str, location: &str) -> Self {
        Self { plugin: plugin.into(), location: location.into() }
    }

    /// Counts that a limit was met, by its name in the configuration.
    pub(crate) fn hit(&self, limit: &'static str) {
        let (plugin, location) = (self.plugin.to_string(), self.location.to_string());
        metrics::counter!("sallyport_plugin_limit_hits_total", "plugin" => plugin, "location" => location, "limit" => limit)
            .increment(1);
    }

    /// Counts a request that was not sent, or whose answer was not taken.
    pub(crate) fn deny(&self, reason: &'static str) {
        let (plugin, location) = (self.plugin.to_string(), self.location.to_string());
        metrics::counter!("sallyport_plugin_egress_denied_total", "plugin" => plugin, "location" => location, "reason" => reason)
            .increment(1);
    }
}
