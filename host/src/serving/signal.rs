//! Waits for the operator's wishes: to stop, or to read the configuration again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns when the process gets SIGTERM or SIGINT.
pub async fn stop_requested() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Tells of each SIGHUP from now on.
pub fn reload_requests() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
