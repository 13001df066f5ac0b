//! [Bucket policies](https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html)
//! in the [IAM policy language](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).

mod condition;
mod evaluate;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod json;
mod parse;
mod pattern;
mod principal;
mod request;
mod steps;
mod visibility;
mod vocabulary;

pub use evaluate::Verdict;
pub(crate) use request::{Facts, Request};
pub(crate) use steps::Steps;

use condition::Condition;
use pattern::{Glob, Template};
use principal::Principals;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest policy that S3 takes, in bytes.
const LARGEST: usize = 20 << 10;

/// A policy; one that exists is well formed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Policy {
    text: String,
    statements: Vec<Statement>,
}

/// Why a text is no policy; worded for who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedPolicy(pub(super) String);

/// One statement.
#[derive(Debug, Clone)]
struct Statement {
    allows: bool,
    principals: Principals,
    /// With `NotAction` all but these.
    actions: Set<Glob>,
    /// With `NotResource` all but these.
    resources: Set<Template>,
    /// All have to hold.
    conditions: Vec<Condition>,
}

/// A set, or everything outside of it.
#[derive(Debug, Clone)]
struct Set<T> {
    is_negated: bool,
    members: Vec<T>,
}

impl<T> Set<T> {
    fn contains(&self, mut is_member: impl FnMut(&T) -> bool) -> bool {
        self.members.iter().any(&mut is_member) != self.is_negated
    }
}

impl Policy {
    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Policy {
    type Error = MalformedPolicy;

    fn try_from(text: String) -> Result<Self, MalformedPolicy> {
        let statements = parse::statements(&text)?;
        Ok(Self { text, statements })
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> Self {
        policy.text
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Policy {}

impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Policy").field(&self.text).finish()
    }
}
