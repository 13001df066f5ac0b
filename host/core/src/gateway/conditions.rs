//! Conditions of reads, in HTTP's order.

use super::request::{RangeCondition, ReadConditions};
use crate::error::{Error, Result};
use crate::metadata::Version;

impl ReadConditions {
    /// Decides a read of `version`, whose id is `shown` to clients, by
    /// [RFC 9110 §13.2.2](https://www.rfc-editor.org/rfc/rfc9110#name-precedence-of-preconditions).
    ///
    /// # Errors
    /// `PreconditionFailed` for 412, `NotModified` for 304.
    pub fn decide(&self, version: &Version, shown: Option<&str>) -> Result<()> {
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

    /// Whether a range of `version` is wanted; else all of it is.
    pub(super) fn keep_range(&self, version: &Version) -> bool {
        match &self.if_range {
            None => true,
            Some(RangeCondition::Etag(etag)) => *etag == version.etag,
            Some(RangeCondition::Modified(time)) => time.div_euclid(1000) == version.last_modified.div_euclid(1000),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Projection;
    use crate::metadata::{Attributes, EtagCondition};
    use crate::names::{AccountId, BucketName, ObjectKey, VersionId};
    use proptest::prelude::*;

    fn version(last_modified: i64) -> Version {
        Version {
            bucket: BucketName::parse("bucket").unwrap(),
            key: ObjectKey::parse("k").unwrap(),
            id: VersionId::null(),
            sequence: 1,
            is_current: true,
            is_delete_marker: false,
            etag: "a".to_owned(),
            size: 1,
            last_modified,
            object: Projection::default(),
            attributes: Attributes::default(),
            checksums: Vec::new(),
            owner: AccountId::new("owner"),
            storage_class: "STANDARD".to_owned(),
            parts: Vec::new(),
            segments: Vec::new(),
        }
    }

    fn etags() -> impl Strategy<Value = Option<EtagCondition>> {
        let list = proptest::collection::vec("[ab]", 0..3).prop_map(EtagCondition::OneOf);
        proptest::option::of(prop_oneof![Just(EtagCondition::Any), list])
    }

    fn conditions() -> impl Strategy<Value = ReadConditions> {
        let time = || proptest::option::of(-3000..6000_i64);
        (etags(), etags(), time(), time()).prop_map(
            |(if_match, if_none_match, if_modified_since, if_unmodified_since)| ReadConditions {
                if_match,
                if_none_match,
                if_modified_since,
                if_unmodified_since,
                if_range: None,
            },
        )
    }

    fn status(conditions: &ReadConditions, modified: i64) -> u16 {
        match conditions.decide(&version(modified), None) {
            Ok(()) => 200,
            Err(Error::NotModified { .. }) => 304,
            Err(Error::PreconditionFailed(_)) => 412,
            Err(other) => panic!("{other}"),
        }
    }

    proptest! {
        #[test]
        fn etags_go_before_dates_and_failures_before_freshness(conditions in conditions(), modified in -3000..6000_i64) {
            let matches = |condition: &Option<EtagCondition>| condition.as_ref().map(|one| one.matches("a"));
            // A date of HTTP has no fractions, and neither has what it is compared with.
            let after = |time: Option<i64>| time.map(|time| modified.div_euclid(1000) > time.div_euclid(1000));
            let fails = matches(&conditions.if_match).map(|is| !is).or_else(|| after(conditions.if_unmodified_since));
            let is_fresh = matches(&conditions.if_none_match).or_else(|| after(conditions.if_modified_since).map(|is| !is));
            let expected = match (fails, is_fresh) {
                (Some(true), _) => 412,
                (_, Some(true)) => 304,
                _ => 200,
            };
            prop_assert_eq!(status(&conditions, modified), expected);
            let copied = conditions.decide_source(&version(modified)).is_ok();
            prop_assert_eq!(copied, expected == 200, "a copy is not made of what a read would not give");
        }

        #[test]
        fn a_condition_that_is_not_there_decides_nothing(conditions in conditions(), modified in -3000..6000_i64) {
            let alone = [
                ReadConditions { if_match: conditions.if_match.clone(), ..ReadConditions::default() },
                ReadConditions { if_none_match: conditions.if_none_match.clone(), ..ReadConditions::default() },
            ];
            let dates = ReadConditions { if_match: None, if_none_match: None, ..conditions.clone() };
            if alone.iter().chain([&dates]).all(|one| status(one, modified) == 200) {
                prop_assert_eq!(status(&conditions, modified), 200);
            }
            prop_assert_eq!(status(&ReadConditions::default(), modified), 200);
        }
    }
}
