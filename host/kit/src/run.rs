//! Goes through the cases in each setting.

use crate::case::{Case, Setting, Stop, failed, skipped};
use crate::cases;
use crate::detour::Detour;
use crate::measure::measure;
use crate::report::{CaseReport, Report, Verdict};
use crate::subject::{Opened, Subject};
use crate::trial::Trial;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A case that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(180);

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only cases whose id begins with one of these; all of them when empty.
    pub only: Vec<String>,
    /// Whether to measure operations when the cases are over.
    pub measure: bool,
}

/// Hears how far the kit is.
pub trait Progress: Send + Sync {
    /// So many cases are to be asked, over all settings.
    fn begins(&self, cases: usize);
    /// A case is being asked.
    fn asks(&self, id: &str, setting: Setting);
    /// It came out.
    fn answered(&self, report: &CaseReport);
    /// Operations are being measured; the cases are over.
    fn measures(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl Progress for Quiet {
    fn begins(&self, _: usize) {}
    fn asks(&self, _: &str, _: Setting) {}
    fn answered(&self, _: &CaseReport) {}
    fn measures(&self) {}
}

/// Asks all cases of a subject, one after the other, and removes what each stored.
///
/// # Errors
/// When the location cannot be opened at all.
pub async fn run(subject: &dyn Subject, options: &Options, progress: &dyn Progress) -> Result<Report, String> {
    let wanted =
        |case: &Case| options.only.is_empty() || options.only.iter().any(|id| case.id.starts_with(id.as_str()));
    let all: Vec<Case> = cases::all().into_iter().filter(wanted).collect();
    let of = |setting| all.iter().filter(move |case| case.troubled == (setting == Setting::Troubled));
    progress.begins(Setting::ALL.iter().map(|setting| of(*setting).count()).sum());
    let mut reports = Vec::new();
    for setting in Setting::ALL {
        let detour = Arc::new(Detour::default());
        let opened = subject.open(setting, &detour).await?;
        for case in of(setting) {
            progress.asks(case.id, setting);
            let report = ask(case, setting, &opened, &detour).await;
            progress.answered(&report);
            reports.push(report);
        }
    }
    let mut operations = Vec::new();
    if options.measure {
        progress.measures();
        let detour = Arc::new(Detour::default());
        let opened = subject.open(Setting::Warm, &detour).await?;
        // What cannot be measured was found to be broken above.
        operations = measure(opened, detour).await.unwrap_or_default();
    }
    Ok(Report::new(reports, operations))
}

async fn ask(case: &Case, setting: Setting, opened: &Opened, detour: &Arc<Detour>) -> CaseReport {
    let started = Instant::now();
    let outcome = match case.needs.missing(opened.backend.traits()) {
        Some(interface) => skipped(format!("the plugin does not export {interface}")),
        None => match Trial::new(opened.clone(), Arc::clone(detour)) {
            Ok(trial) => {
                let asked = tokio::time::timeout(LONGEST, (case.ask)(&trial)).await;
                let outcome =
                    asked.unwrap_or_else(|_| failed(format!("it was not over after {} s", LONGEST.as_secs())));
                detour.turn(crate::chaos::Mood::Honest).await;
                // A backend that hangs was found to hang; what it holds stays there.
                let _ = tokio::time::timeout(LONGEST, trial.clean()).await;
                outcome
            }
            Err(stop) => Err(stop),
        },
    };
    let (verdict, why) = match outcome {
        Ok(()) => (Verdict::Passed, None),
        Err(Stop::Failed(why)) => (Verdict::Failed, Some(why)),
        Err(Stop::Skipped(why)) => (Verdict::Skipped, Some(why)),
    };
    let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    CaseReport { id: case.id, setting, contract: case.contract, verdict, why, microseconds }
}
