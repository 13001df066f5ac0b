//! The conformance kit: asks a backend everything that the contract promises of it.
//!
//! It knows the port ([`sallyport_core::backend::Backend`]) and nothing of what is behind it, so
//! the same cases judge a stranger's component and the release's own. Whoever runs it brings a
//! [`Subject`] that opens the location in each [`Setting`]; [`run`] answers a [`Report`].

mod case;
mod cases;
pub mod chaos;
mod content;
mod detour;
mod measure;
mod report;
mod run;
mod subject;
mod trial;

pub use case::{Needs, Setting};
pub use cases::all as cases;
pub use detour::Detour;
pub use report::{CaseReport, OperationReport, Report, Summary, Verdict};
pub use run::{Options, Progress, Quiet, run};
pub use subject::{Opened, Spent, Subject};
