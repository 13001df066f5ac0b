//! A plugin's lines on their way to the operator's log: short, few and printable.

use crate::bindings::base::sallyport::plugin::log::Level;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

const LINE: usize = 8192;

/// The log of one location's plugin.
pub(crate) struct PluginLog {
    kind: String,
    location: String,
    lines_per_second: u32,
    window: Mutex<(Option<Instant>, u32)>,
}

impl PluginLog {
    pub(crate) fn new(kind: &str, location: &str, lines_per_second: u32) -> Arc<Self> {
        Arc::new(Self {
            kind: kind.to_owned(),
            location: location.to_owned(),
            lines_per_second,
            window: Mutex::new((None, 0)),
        })
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        if !self.admit(Instant::now()) {
            metrics::counter!("sallyport_plugin_log_dropped_total", "plugin" => self.kind.clone()).increment(1);
            return;
        }
        let message = printable(message, LINE);
        let (plugin, location) = (&self.kind, &self.location);
        match level {
            Level::Debug => tracing::debug!(plugin, location, "{message}"),
            Level::Info => tracing::info!(plugin, location, "{message}"),
            Level::Warn => tracing::warn!(plugin, location, "{message}"),
            Level::Error => tracing::error!(plugin, location, "{message}"),
        }
    }

    /// Standard output or error of a store.
    pub(crate) fn output(self: &Arc<Self>) -> Output {
        Output(self.clone())
    }

    fn admit(&self, now: Instant) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, lines) = &mut *window;
        if began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            (*began, *lines) = (Some(now), 0);
        }
        *lines += 1;
        *lines <= self.lines_per_second
    }
}

/// Keeps what can be printed of a text: no control characters, no ends of lines, nothing
/// that turns the direction of what follows, at most `limit` bytes.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(limit));
    let moves = |character: char| {
        character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    for character in text.chars().map(|character| if moves(character) { ' ' } else { character }) {
        if kept.len() + character.len_utf8() > limit {
            break;
        }
        kept.push(character);
    }
    kept
}

/// Hands lines to the log.
pub(crate) struct Output(Arc<PluginLog>);

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { log: self.0.clone(), line: Vec::new() })
    }
}

struct Lines {
    log: Arc<PluginLog>,
    line: Vec<u8>,
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        for byte in bytes {
            if *byte == b'\n' {
                self.flush_line();
            } else if self.line.len() < LINE {
                self.line.push(*byte);
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush_line();
        Poll::Ready(Ok(()))
    }
}

impl Lines {
    fn flush_line(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.log.write(Level::Warn, &String::from_utf8_lossy(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_reach_the_log_and_long_lines_are_cut() {
        assert_eq!(printable("a\x1b[31mb\nc", 100), "a [31mb c");
        assert_eq!(printable("ääää", 5), "ää");
    }

    #[test]
    fn a_chatty_plugin_is_cut_short_until_the_next_second() {
        let (log, now) = (PluginLog::new("k", "l", 2), Instant::now());
        assert_eq!([log.admit(now), log.admit(now), log.admit(now)], [true, true, false]);
        assert!(log.admit(now + Duration::from_secs(1)));
    }
}
