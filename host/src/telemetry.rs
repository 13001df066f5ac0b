//! Sets up what the process tells of itself: log lines on stderr, and metrics.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Upper bounds of the buckets that durations are counted in, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Why the process cannot tell of itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The metrics cannot be set up.
    #[error("metrics cannot be set up: {0}")]
    Build(#[from] BuildError),
    /// Something else counts already.
    #[error("metrics are set up already")]
    Taken,
}

/// Logs from now on. Stdout stays free for the one line that says where the server listens.
/// Does nothing when something else logs already.
pub fn log(settings: LogSettings) {
    let level = match settings.level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries are of interest only to who looks for a mistake in them, and some of them
    // would log headers.
    let filter = EnvFilter::new(format!(
        "warn,sallyport={level},sallyport_core={level},sallyport_metadata={level},\
         sallyport_plugin={level},sallyport_s3={level},access={level}"
    ));
    let text = match settings.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(text && std::io::stderr().is_terminal());
    let _ = if text { subscriber.try_init() } else { subscriber.json().flatten_event(true).try_init() };
}

/// Counts from now on; the handle shows the numbers.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Taken)?;
    Ok(handle)
}
