//! [Access logs](https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html) of a
//! bucket: where its lines go.

use crate::access::Grant;
use crate::names::{AccountId, BucketName, LocationName};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

/// Who delivers, as policies name it; lists name it by a group.
pub const LOG_DELIVERY: &str = "logging.s3.amazonaws.com";

/// Where the lines of a bucket are delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketLogging {
    /// Another bucket of the same owner, or the same one.
    pub target: BucketName,
    /// What the keys of delivered objects begin with.
    pub prefix: String,
    /// How they go on.
    pub format: LogKeyFormat,
    /// What else the lists of delivered objects grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// The twelve digits of the account that owns the bucket whose lines they are.
    #[serde(default)]
    pub account: String,
}

/// How keys of delivered objects are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogKeyFormat {
    /// `[prefix][time]-[unique]`; what holds when nothing was said.
    #[default]
    Simple,
    /// `[prefix][account]/[region]/[bucket]/[year]/[month]/[day]/[time]-[unique]`, with the
    /// time of the events' day.
    EventTime,
    /// The same with the time of delivery.
    DeliveryTime,
}

/// Whose lines are delivered.
#[derive(Debug, Clone, Copy)]
pub struct LogSource<'a> {
    /// The bucket's owner.
    pub owner: &'a AccountId,
    /// Where it is.
    pub region: &'a LocationName,
    /// The bucket.
    pub bucket: &'a BucketName,
}

impl BucketLogging {
    /// The key of an object with lines of one day, that is delivered at `now`.
    pub fn key(&self, source: LogSource<'_>, event: OffsetDateTime, now: OffsetDateTime, unique: &str) -> String {
        let stamp = format_description!("[year]-[month]-[day]-[hour]-[minute]-[second]");
        let day = format_description!("[year]/[month]/[day]");
        let text = |time: OffsetDateTime| time.format(stamp).unwrap_or_default();
        let partition = |time: OffsetDateTime| {
            let LogSource { owner, region, bucket } = source;
            format!("{owner}/{region}/{bucket}/{}/", time.format(day).unwrap_or_default())
        };
        let prefix = &self.prefix;
        match self.format {
            LogKeyFormat::Simple => format!("{prefix}{}-{unique}", text(now)),
            LogKeyFormat::DeliveryTime => format!("{prefix}{}{}-{unique}", partition(now), text(now)),
            // Of an object with the events of a day AWS shows no time but the day's begin.
            LogKeyFormat::EventTime => {
                let begin = event.replace_time(time::Time::MIDNIGHT);
                format!("{prefix}{}{}-{unique}", partition(event), text(begin))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn keys_tell_time_and_origin_as_they_were_asked_to() {
        let names = (AccountId::new("me"), LocationName::parse("here").unwrap(), BucketName::parse("source").unwrap());
        let source = LogSource { owner: &names.0, region: &names.1, bucket: &names.2 };
        let key = |format| {
            let logging = BucketLogging {
                target: BucketName::parse("target").unwrap(),
                prefix: "logs/".into(),
                format,
                grants: Vec::new(),
                account: String::new(),
            };
            let (event, now) = (datetime!(2026-11-22 23:59:59 UTC), datetime!(2026-11-23 00:01:02 UTC));
            logging.key(source, event, now, "UNIQUE")
        };
        assert_eq!(key(LogKeyFormat::Simple), "logs/2026-11-23-00-01-02-UNIQUE");
        assert_eq!(key(LogKeyFormat::DeliveryTime), "logs/me/here/source/2026/11/23/2026-11-23-00-01-02-UNIQUE");
        assert_eq!(key(LogKeyFormat::EventTime), "logs/me/here/source/2026/11/22/2026-11-22-00-00-00-UNIQUE");
    }
}
