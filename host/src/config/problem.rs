//! What is wrong with a configuration, told so that it can be put right.

use std::fmt;

/// How far a mistake reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something has no effect or was replaced; everything works.
    Warning,
    /// One location cannot be used and answers 503; the others work.
    Location,
    /// The server does not start, since data could end up where nobody expects it.
    Fatal,
}

/// One mistake: where it is, what is wrong and what to write instead.
///
/// None of the texts ever holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How far it reaches.
    pub severity: Severity,
    /// The file, or `environment` or `command line`.
    pub file: String,
    /// The location that it concerns.
    pub location: Option<String>,
    /// Path of the field with dots, or the name of the variable.
    pub field: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

impl Problem {
    /// A mistake that keeps the server from starting.
    pub fn fatal(file: impl fmt::Display, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, file, what, fix)
    }

    /// Something to know; nothing stops for it.
    pub fn warning(file: impl fmt::Display, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Severity::Warning, file, what, fix)
    }

    /// A mistake that stops one location.
    pub fn location(
        file: impl fmt::Display,
        location: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let mut problem = Self::new(Severity::Location, file, what, fix);
        problem.location = Some(location.into());
        problem
    }

    /// Names the location that it concerns.
    #[must_use]
    pub fn of(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Names the field or variable.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    fn new(severity: Severity, file: impl fmt::Display, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity, file: file.to_string(), location: None, field: None, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if let Some(location) = &self.location {
            write!(out, ", location {location}")?;
        }
        if let Some(field) = &self.field {
            write!(out, ", {field}")?;
        }
        write!(out, ": {}", self.what)?;
        if self.fix.is_empty() {
            return Ok(());
        }
        write!(out, " → {}", self.fix)
    }
}

/// All mistakes of one configuration, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds what another reader found.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Problem>) {
        self.0.extend(others);
    }

    /// Whether the server must not start.
    pub fn is_fatal(&self) -> bool {
        self.iter().any(|problem| problem.severity == Severity::Fatal)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line each, the gravest first.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Problem> = self.iter().collect();
        sorted.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
        for problem in sorted {
            let mark = match problem.severity {
                Severity::Fatal => "error",
                Severity::Location => "location stopped",
                Severity::Warning => "warning",
            };
            writeln!(out, "{mark}: {problem}")?;
        }
        Ok(())
    }
}
