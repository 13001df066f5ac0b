//! [Object lock](https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html):
//! what protects a version from being deleted for good.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// A bucket's configuration; that there is one means that object lock is enabled, for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectLockConfiguration {
    /// What versions get that name no retention of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultRetention>,
}

/// How long new versions are retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How strictly.
    pub mode: RetentionMode,
    /// How long.
    pub period: RetentionPeriod,
}

/// A period from a version's creation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetentionPeriod {
    /// So many days.
    Days(u32),
    /// So many years.
    Years(u32),
}

/// Who may end a retention early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Whoever has the right to bypass it, and says so.
    Governance,
    /// Nobody.
    Compliance,
}

impl RetentionMode {
    /// As S3 calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// Until when a version is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// Milliseconds since 1970.
    pub until: i64,
}

/// What protects a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectLock {
    /// Until a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Until it is taken off; `None` when it was never put on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<bool>,
}

/// The version is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protected;

impl ObjectLock {
    /// Whether nothing was ever said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the version may not go now. `bypass` ends governance, nothing else.
    pub fn protects(&self, now: i64, bypass: bool) -> bool {
        let retained = self.retention.is_some_and(|retention| match retention.mode {
            RetentionMode::Governance => !bypass && retention.is_active(now),
            RetentionMode::Compliance => retention.is_active(now),
        });
        retained || self.legal_hold == Some(true)
    }

    /// With the bucket's default where no retention is named.
    #[must_use]
    pub fn or_default(self, configuration: Option<&ObjectLockConfiguration>, now: i64) -> Self {
        let default = configuration.and_then(|configuration| configuration.default);
        let retention = self.retention.or_else(|| default.map(|default| default.from(now)));
        Self { retention, ..self }
    }

    /// Replaces the retention, or takes it off.
    ///
    /// # Errors
    /// `Protected` when that would loosen one that holds: under compliance never, under
    /// governance not without `bypass`.
    pub fn retain(&mut self, new: Option<Retention>, now: i64, bypass: bool) -> Result<(), Protected> {
        if let Some(old) = self.retention.filter(|old| old.is_active(now)) {
            let tightens = new.is_some_and(|new| new.mode == old.mode && new.until >= old.until);
            if !tightens && (old.mode == RetentionMode::Compliance || !bypass) {
                return Err(Protected);
            }
        }
        self.retention = new;
        Ok(())
    }
}

impl Retention {
    fn is_active(&self, now: i64) -> bool {
        self.until > now
    }
}

impl DefaultRetention {
    fn from(self, now: i64) -> Retention {
        const DAY: i64 = 86_400_000;
        let until = match self.period {
            RetentionPeriod::Days(days) => now.saturating_add(i64::from(days).saturating_mul(DAY)),
            RetentionPeriod::Years(years) => years_later(now, years),
        };
        Retention { mode: self.mode, until }
    }
}

/// The same day of a later year; of a leap day, the one after it.
fn years_later(now: i64, years: u32) -> i64 {
    let moment = i128::from(now) * 1_000_000;
    let later = OffsetDateTime::from_unix_timestamp_nanos(moment).ok().and_then(|moment| {
        let year = moment.year().checked_add(i32::try_from(years).ok()?)?;
        let same_day = moment.replace_year(year);
        same_day.or_else(|_| (moment + Duration::DAY).replace_year(year)).ok()
    });
    later.map_or(i64::MAX, |later| i64::try_from(later.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retention(mode: RetentionMode, until: i64) -> Option<Retention> {
        Some(Retention { mode, until })
    }

    #[test]
    fn only_governance_gives_way_to_a_bypass() {
        let lock = |retention, legal_hold| ObjectLock { retention, legal_hold };
        let governed = lock(retention(RetentionMode::Governance, 10), None);
        assert!(governed.protects(9, false) && !governed.protects(9, true) && !governed.protects(10, false));
        let complied = lock(retention(RetentionMode::Compliance, 10), None);
        assert!(complied.protects(9, true) && !complied.protects(10, false));
        assert!(lock(None, Some(true)).protects(i64::MAX, true));
        assert!(!lock(None, Some(false)).protects(0, false));
    }

    #[test]
    fn a_default_counts_from_the_creation() {
        let of = |period| {
            let default = Some(DefaultRetention { mode: RetentionMode::Compliance, period });
            let configuration = ObjectLockConfiguration { default };
            ObjectLock::default().or_default(Some(&configuration), 1_709_164_800_000).retention.map(|it| it.until)
        };
        assert_eq!(of(RetentionPeriod::Days(2)), Some(1_709_164_800_000 + 2 * 86_400_000));
        // From 29 February 2024 to 1 March 2025, and to 29 February 2028.
        assert_eq!(of(RetentionPeriod::Years(1)), Some(1_740_787_200_000));
        assert_eq!(of(RetentionPeriod::Years(4)), Some(1_835_395_200_000));
        let own = ObjectLock { retention: retention(RetentionMode::Governance, 7), legal_hold: None };
        let default = DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Days(1) };
        assert_eq!(own.or_default(Some(&ObjectLockConfiguration { default: Some(default) }), 1), own);
    }

    prop_compose! {
        fn any_retention()(governance: bool, until in 0_i64..100, some: bool) -> Option<Retention> {
            let mode = if governance { RetentionMode::Governance } else { RetentionMode::Compliance };
            some.then_some(Retention { mode, until })
        }
    }

    proptest! {
        /// Whatever is set without a bypass, nothing becomes deletable before it was.
        #[test]
        fn no_change_without_bypass_loosens(old in any_retention(), new in any_retention(), now in 0_i64..100,
                at in 0_i64..100, deleter_bypasses: bool) {
            let before = ObjectLock { retention: old, legal_hold: None };
            let mut after = before;
            if after.retain(new, now, false).is_ok() && at >= now {
                prop_assert!(!before.protects(at, deleter_bypasses) || after.protects(at, deleter_bypasses));
            } else {
                prop_assert!(after == before || at < now);
            }
        }

        #[test]
        fn compliance_outlives_every_change(until in 1_i64..100, new in any_retention(), bypass: bool) {
            let mut lock = ObjectLock { retention: retention(RetentionMode::Compliance, until), legal_hold: None };
            let _ = lock.retain(new, 0, bypass);
            prop_assert!(lock.protects(until - 1, true));
        }
    }
}
