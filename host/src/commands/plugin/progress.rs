//! How far the kit is: a line for each case, and a bar where somebody is watching.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sallyport_kit::{CaseReport, Progress, Setting, Verdict};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Writes cases to standard output as they are answered, and a bar to a terminal.
pub(super) struct Shown {
    bar: ProgressBar,
}

impl Shown {
    pub(super) fn new() -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a constant; were it wrong, the bar would have its own look.
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Shown {
    fn begins(&self, cases: usize) {
        self.bar.set_length(cases as u64);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn asks(&self, id: &str, setting: Setting) {
        self.bar.set_message(format!("{id} ({})", setting.name()));
    }

    fn answered(&self, report: &CaseReport) {
        self.bar.inc(1);
        let verdict = match report.verdict {
            Verdict::Passed => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        };
        let milliseconds = report.microseconds / 1000;
        let why = report.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        self.bar.suspend(|| {
            // Nobody reads it when standard output is closed.
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{verdict:8} {:9} {:24} {milliseconds:6} ms{why}", report.setting.name(), report.id);
            if report.verdict == Verdict::Failed {
                let _ = writeln!(out, "         the contract: {}", report.contract);
            }
        });
    }

    fn measures(&self) {
        self.bar.set_message("measuring");
    }
}
