//! What the kit found out, for people and for machines.

use crate::case::Setting;
use serde::Serialize;

/// How a case came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The backend does as the contract says.
    Passed,
    /// It does something else.
    Failed,
    /// The case does not apply: `why` says for what reason.
    Skipped,
}

/// One case in one setting.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Which case.
    pub id: &'static str,
    /// In what surroundings.
    pub setting: Setting,
    /// What the contract says.
    pub contract: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What happened instead, or why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long it took.
    pub microseconds: u64,
}

/// What one operation costs on warm instances, one call at a time.
#[derive(Debug, Clone, Serialize)]
pub struct OperationReport {
    /// `put`, `get`, `head`, `find` or `delete`.
    pub operation: &'static str,
    /// Bytes of the object.
    pub size: u64,
    /// How often it was measured.
    pub calls: usize,
    /// The median of the time from call to answer, body included, the backend's time too.
    pub median_microseconds: u64,
    /// The slowest call.
    pub slowest_microseconds: u64,
    /// Of that, the time in which the plugin or the host on its behalf was at work, on average.
    pub busy_microseconds: u64,
    /// Bytes that the plugin read per call instead of handing them on, on average.
    pub bytes_through_plugin: u64,
}

/// How many cases came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// As the contract says.
    pub passed: usize,
    /// Otherwise.
    pub failed: usize,
    /// Not applicable.
    pub skipped: usize,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// In the order in which they were asked.
    pub cases: Vec<CaseReport>,
    /// What was measured; empty when that was not asked for or nothing works.
    pub operations: Vec<OperationReport>,
    /// The counts.
    pub summary: Summary,
}

impl Report {
    pub(crate) fn new(cases: Vec<CaseReport>, operations: Vec<OperationReport>) -> Self {
        let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
        let summary = Summary {
            passed: count(Verdict::Passed),
            failed: count(Verdict::Failed),
            skipped: count(Verdict::Skipped),
        };
        Self { cases, operations, summary }
    }

    /// Whether nothing failed and something passed.
    pub fn is_conformant(&self) -> bool {
        self.summary.failed == 0 && self.summary.passed > 0
    }
}
