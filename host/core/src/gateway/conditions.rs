//! Conditions of reads, in HTTP's order.

use super::request::ReadConditions;
use crate::error::{Error, Result};
use crate::metadata::Version;

impl ReadConditions {
    /// Decides a read by [RFC 9110 §13.2.2](https://www.rfc-editor.org/rfc/rfc9110#name-precedence-of-preconditions).
    ///
    /// # Errors
    /// `PreconditionFailed`, `NotModified`.
    pub(super) fn decide(&self, version: &Version, shown: Option<&str>) -> Result<()> {
        let seconds = version.last_modified.div_euclid(1000);
        if let Some(condition) = &self.if_match {
            if !condition.matches(&version.etag) {
                return Err(Error::PreconditionFailed("If-Match"));
            }
        } else if self.if_unmodified_since.is_some_and(|time| seconds > time.div_euclid(1000)) {
            return Err(Error::PreconditionFailed("If-Unmodified-Since"));
        }
        let fresh = match &self.if_none_match {
            Some(condition) => condition.matches(&version.etag),
            None => self.if_modified_since.is_some_and(|time| seconds <= time.div_euclid(1000)),
        };
        if fresh {
            return Err(Error::NotModified {
                etag: version.etag.clone(),
                last_modified: version.last_modified,
                version: shown.map(str::to_owned),
            });
        }
        Ok(())
    }

    /// Decides a copy by its source: whatever does not hold is 412.
    ///
    /// # Errors
    /// `PreconditionFailed`.
    pub(super) fn decide_source(&self, version: &Version) -> Result<()> {
        self.decide(version, None).map_err(|error| match error {
            Error::NotModified { .. } => Error::PreconditionFailed("x-amz-copy-source-if-none-match"),
            other => other,
        })
    }
}
