//! [Inventories](https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html) of
//! a bucket: which reports are wanted of it, and when the next one is due.

mod field;
mod file;
mod report;
mod row;

pub use field::InventoryField;
pub(crate) use file::DataFile;
pub(crate) use report::{Report, ReportFile};
pub(crate) use row::row;

use crate::lifecycle::Clock;
use crate::names::{AccountId, BucketName};
use serde::{Deserialize, Serialize};

/// Most configurations of one bucket.
pub const MOST_INVENTORIES: usize = 1_000;

/// Thursday, when 1970 began, among days of which Sunday is the first.
const FIRST_WEEKDAY: i64 = 4;

/// A report that is wanted again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryConfiguration {
    /// Names it within its bucket.
    pub id: String,
    /// Whether reports are made.
    pub is_enabled: bool,
    /// Which versions they are about.
    pub versions: IncludedVersions,
    /// How often.
    pub frequency: Frequency,
    /// Only keys that start so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What is told of each version beside its name, in the order it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<InventoryField>,
    /// Where reports go.
    pub destination: InventoryDestination,
}

/// Which versions a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncludedVersions {
    /// Current objects.
    Current,
    /// All versions and delete markers.
    All,
}

/// How often reports are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frequency {
    /// Each day.
    Daily,
    /// Each Sunday, after a first one that is made as a daily one is.
    Weekly,
}

/// Where reports go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryDestination {
    /// Into which bucket.
    pub bucket: BucketName,
    /// The twelve digits of the account that has to own it; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What keys of reports begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How reports are encrypted; `None`: as the bucket has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<ReportEncryption>,
}

/// How reports are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportEncryption {
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms {
        /// The key's name.
        key: String,
    },
}

/// A configuration with what is known of its reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What was asked for.
    pub configuration: InventoryConfiguration,
    /// When it was first configured, milliseconds since 1970.
    pub created: i64,
    /// The accounts that it concerns.
    pub accounts: InventoryAccounts,
    /// When the last report that was delivered was begun, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<i64>,
}

/// The accounts that an inventory concerns, as they were when it was configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InventoryAccounts {
    /// The twelve digits of the source bucket's owner, for `aws:SourceAccount`.
    pub source: String,
    /// Who has to own the destination, when the configuration names an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<AccountId>,
}

impl Inventory {
    /// Whether a report is to be made now. The first one is on the day after the configuration;
    /// days end at midnight UTC, weeks before Sunday.
    pub fn is_due(&self, clock: Clock, now: i64) -> bool {
        let day = |time: i64| time.div_euclid(clock.day());
        let week = |time: i64| (day(time) + FIRST_WEEKDAY).div_euclid(7);
        self.configuration.is_enabled
            && match (self.reported, self.configuration.frequency) {
                (None, _) => day(now) > day(self.created),
                (Some(last), Frequency::Daily) => day(now) > day(last),
                (Some(last), Frequency::Weekly) => week(now) > week(last),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    pub(super) fn configuration() -> InventoryConfiguration {
        InventoryConfiguration {
            id: "id".into(),
            is_enabled: true,
            versions: IncludedVersions::All,
            frequency: Frequency::Daily,
            prefix: None,
            fields: Vec::new(),
            destination: InventoryDestination {
                bucket: BucketName::parse("reports").unwrap(),
                account: None,
                prefix: None,
                encryption: None,
            },
        }
    }

    fn inventory(frequency: Frequency, reported: Option<i64>) -> Inventory {
        let configuration = InventoryConfiguration { frequency, ..configuration() };
        Inventory { configuration, created: 10 * DAY + 5, accounts: InventoryAccounts::default(), reported }
    }

    #[test]
    fn the_first_report_is_made_on_the_next_day_whatever_the_frequency() {
        for frequency in [Frequency::Daily, Frequency::Weekly] {
            let new = inventory(frequency, None);
            assert!(!new.is_due(Clock::default(), 11 * DAY - 1));
            assert!(new.is_due(Clock::default(), 11 * DAY));
        }
        let mut disabled = inventory(Frequency::Daily, None);
        disabled.configuration.is_enabled = false;
        assert!(!disabled.is_due(Clock::default(), 99 * DAY));
    }

    #[test]
    fn later_ones_are_made_each_day_or_each_sunday() {
        let daily = inventory(Frequency::Daily, Some(20 * DAY + 7));
        assert!(!daily.is_due(Clock::default(), 21 * DAY - 1));
        assert!(daily.is_due(Clock::default(), 21 * DAY));
        // 4 January 1970 was a Sunday.
        let weekly = inventory(Frequency::Weekly, Some(DAY));
        assert!(!weekly.is_due(Clock::default(), 3 * DAY - 1));
        assert!(weekly.is_due(Clock::default(), 3 * DAY));
        let weekly = inventory(Frequency::Weekly, Some(3 * DAY));
        assert!(!weekly.is_due(Clock::default(), 10 * DAY - 1));
        assert!(weekly.is_due(Clock::default(), 10 * DAY));
    }

    #[test]
    fn a_test_clock_has_short_days() {
        let daily = inventory(Frequency::Daily, Some(9_999));
        assert!(daily.is_due(Clock::of_seconds(10), 10_000));
        assert!(!daily.is_due(Clock::of_seconds(10), 9_999));
    }
}
