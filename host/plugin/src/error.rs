//! What can be wrong with a plugin or with a location that wants one.

use std::path::PathBuf;

/// Why a plugin cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PluginError {
    /// No folder has a file for this type.
    #[error("no plugin serves the type `{kind}`: {file} is in none of {folders}")]
    Missing {
        /// The location's type.
        kind: String,
        /// What was looked for.
        file: String,
        /// Where it was looked for.
        folders: String,
    },
    /// The file is there and cannot be read.
    #[error("{path} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file is not a component that this host runs.
    #[error("{path} is refused: {why}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// A sentence for the operator.
        why: String,
    },
    /// The plugin trapped, overran a limit or answered nonsense where it may not.
    #[error("the plugin `{kind}` broke in {call}: {why}")]
    Broke {
        /// The location's type.
        kind: String,
        /// The function that was called.
        call: &'static str,
        /// What happened.
        why: String,
    },
    /// The host itself cannot do its part.
    #[error("{0}")]
    Host(String),
}

/// Why a location cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Its plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The location does not trust it.
    #[error("{}: {}", .0.path, .0.message)]
    Untrusted(Problem),
    /// Its configuration is wrong; all that is, not the first thing.
    #[error("the location has {} problem(s): {}", .0.len(), summary(.0))]
    Problems(Vec<Problem>),
}

/// The part of a location's entry that a problem is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `details`
    Details,
    /// `grants`
    Grants,
    /// `limits`
    Limits,
    /// `plugin`
    Plugin,
}

impl Section {
    /// Its key in the entry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Details => "details",
            Self::Grants => "grants",
            Self::Limits => "limits",
            Self::Plugin => "plugin",
        }
    }
}

/// One thing that is wrong with a location's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub section: Section,
    /// The field's path within the section, with dots; empty for the section itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

fn summary(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    lines.join("; ")
}
