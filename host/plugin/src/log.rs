//! A plugin's lines on their way to the operator's log: short, few and printable.

use crate::bindings::base::sallyport::plugin::log::Level;
use crate::limits::Limits;
use crate::whose::Whose;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// The log of one location's plugin.
pub(crate) struct PluginLog {
    whose: Whose,
    lines_per_second: u32,
    bytes_per_second: u32,
    line: usize,
    window: Mutex<Window>,
}

/// What was written since a second began.
#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    bytes: usize,
}

impl PluginLog {
    pub(crate) fn new(whose: Whose, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            whose,
            lines_per_second: limits.log_lines,
            bytes_per_second: limits.log_bytes,
            line: limits.log_line,
            window: Mutex::default(),
        })
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        if let Err(limit) = self.admit(Instant::now(), message.len().min(self.line)) {
            self.whose.hit(limit);
            return;
        }
        if message.len() > self.line {
            self.whose.hit("logLineBytes");
        }
        let message = printable(message, self.line);
        let (plugin, location) = (&*self.whose.plugin, &*self.whose.location);
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

    /// Whether a line of so many bytes is written, or else the limit that keeps it out.
    fn admit(&self, now: Instant, bytes: usize) -> Result<(), &'static str> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            *window = Window { began: Some(now), ..Window::default() };
        }
        if window.lines >= self.lines_per_second {
            return Err("logLinesPerSecond");
        }
        if window.bytes.saturating_add(bytes) > self.bytes_per_second as usize {
            return Err("logBytesPerSecond");
        }
        window.lines += 1;
        window.bytes += bytes;
        Ok(())
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
            } else if self.line.len() <= self.log.line {
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
        let limits = Limits { log_lines: 3, log_bytes: 100, ..Limits::default() };
        let (log, now) = (PluginLog::new(Whose::new("k", "l"), &limits), Instant::now());
        assert_eq!([log.admit(now, 40), log.admit(now, 40)], [Ok(()), Ok(())]);
        assert_eq!(log.admit(now, 40), Err("logBytesPerSecond"));
        assert_eq!([log.admit(now, 1), log.admit(now, 1)], [Ok(()), Err("logLinesPerSecond")]);
        assert!(log.admit(now + Duration::from_secs(1), 40).is_ok());
    }
}
