//! The table that is printed, and the same as JSON.

use anyhow::{Context, Result};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// One measured line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Which figure it belongs to.
    pub(crate) figure: &'static str,
    /// What was done.
    pub(crate) case: String,
    /// Who did it.
    pub(crate) server: String,
    /// What was measured, with units in the names.
    pub(crate) values: Vec<(&'static str, f64)>,
}

/// Whether a promise held.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    /// Which figure it belongs to.
    pub(crate) figure: &'static str,
    /// What was promised.
    pub(crate) promise: String,
    /// What was measured.
    pub(crate) measured: String,
    /// Whether it held.
    pub(crate) held: bool,
}

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    verdicts: Vec<Verdict>,
    notes: Vec<String>,
}

impl Report {
    /// Adds and prints a line.
    pub(crate) fn row(&mut self, figure: &'static str, case: &str, server: &str, values: &[(&'static str, f64)]) {
        let shown: Vec<String> = values.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
        say(&format!("{figure}  {case:<28} {server:<18} {}", shown.join("   ")));
        self.rows.push(Row { figure, case: case.to_owned(), server: server.to_owned(), values: values.to_vec() });
    }

    /// Adds and prints what became of a promise.
    pub(crate) fn verdict(&mut self, figure: &'static str, promise: &str, measured: String, held: bool) {
        say(&format!("{figure}  {} {promise}: {measured}", if held { "HELD  " } else { "MISSED" }));
        self.verdicts.push(Verdict { figure, promise: promise.to_owned(), measured, held });
    }

    /// Adds and prints what a reader has to know.
    pub(crate) fn note(&mut self, text: String) {
        say(&text);
        self.notes.push(text);
    }

    /// Writes all of it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(self)?).with_context(|| path.display().to_string())
    }
}

/// Prints a line at once, also through a pipe.
pub(crate) fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}");
    let _ = output.flush();
}

/// The middle of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:>8.0}"),
        size if size >= 10.0 => format!("{value:>8.1}"),
        _ => format!("{value:>8.3}"),
    }
}
