//! What a bucket's configuration says, checked as S3 checks it.

use super::arn::{DestinationKind, DestinationName};
use super::event::{EventKind, EventPattern};
use serde::{Deserialize, Serialize};

/// Most rules of a bucket.
const MOST_RULES: usize = 100;
/// Longest value of a filter, in bytes.
const LONGEST_VALUE: usize = 1024;
/// Longest id, in characters.
const LONGEST_ID: usize = 255;

/// A bucket's rules; a legal configuration has them in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotificationConfiguration(Vec<NotificationRule>);

/// One destination, and what it is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationRule {
    /// The client's, else one of ours.
    pub id: String,
    /// Which element it is.
    pub kind: DestinationKind,
    /// As the client wrote it.
    pub arn: String,
    /// What the ARN means.
    pub destination: DestinationName,
    /// Of what; never empty.
    pub events: Vec<EventPattern>,
    /// Of which keys.
    pub filter: KeyFilter,
}

/// Which keys a rule is about: all, unless something is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyFilter {
    /// How they begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}

/// Why rules are no configuration, in S3's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNotification {
    /// More than a bucket may have.
    #[error("A bucket cannot have more than {MOST_RULES} notification configurations")]
    TooMany,
    /// An id without end.
    #[error("The ID of a notification configuration cannot exceed {LONGEST_ID} characters")]
    Id,
    /// Two rules of one id.
    #[error("Same ID used for multiple configurations. IDs must be unique: {0}")]
    SameId(String),
    /// A filter without end.
    #[error("Size of filter rule value cannot exceed {LONGEST_VALUE} bytes in UTF-8 representation")]
    Value,
    /// One change would be told twice.
    #[error(
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are \
         overlapping for the same event type: {0} and {1}"
    )]
    Overlap(String, String),
}

impl NotificationConfiguration {
    /// Checks rules against each other.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(rules: Vec<NotificationRule>) -> Result<Self, InvalidNotification> {
        if rules.len() > MOST_RULES {
            return Err(InvalidNotification::TooMany);
        }
        for (position, rule) in rules.iter().enumerate() {
            if rule.id.chars().count() > LONGEST_ID {
                return Err(InvalidNotification::Id);
            }
            let values = [&rule.filter.prefix, &rule.filter.suffix];
            if values.into_iter().flatten().any(|value| value.len() > LONGEST_VALUE) {
                return Err(InvalidNotification::Value);
            }
            for earlier in rules.iter().take(position) {
                if earlier.id == rule.id {
                    return Err(InvalidNotification::SameId(rule.id.clone()));
                }
                if rule.overlaps(earlier) {
                    return Err(InvalidNotification::Overlap(earlier.id.clone(), rule.id.clone()));
                }
            }
        }
        Ok(Self(rules))
    }

    /// The rules.
    pub fn rules(&self) -> &[NotificationRule] {
        &self.0
    }

    /// The rules that a change of a key is told by: at most one, since they do not overlap.
    pub fn rules_for<'a>(&'a self, kind: EventKind, key: &'a str) -> impl Iterator<Item = &'a NotificationRule> {
        self.0
            .iter()
            .filter(move |rule| rule.filter.matches(key) && rule.events.iter().any(|pattern| pattern.matches(kind)))
    }
}

impl NotificationRule {
    fn overlaps(&self, other: &Self) -> bool {
        let share = self.events.iter().any(|event| other.events.iter().any(|their| event.overlaps(their)));
        share && self.filter.overlaps(&other.filter)
    }
}

impl KeyFilter {
    /// Whether a key is meant.
    pub fn matches(&self, key: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.suffix.as_deref().is_none_or(|suffix| key.ends_with(suffix))
    }

    /// Whether some key is meant by both.
    fn overlaps(&self, other: &Self) -> bool {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (prefix, other_prefix) = (text(&self.prefix), text(&other.prefix));
        let (suffix, other_suffix) = (text(&self.suffix), text(&other.suffix));
        (prefix.starts_with(&other_prefix) || other_prefix.starts_with(&prefix))
            && (suffix.ends_with(&other_suffix) || other_suffix.ends_with(&suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(id: &str, event: &str, prefix: &str, suffix: &str) -> NotificationRule {
        NotificationRule {
            id: id.to_owned(),
            kind: DestinationKind::Queue,
            arn: "arn:aws:sqs:::hooks".to_owned(),
            destination: DestinationName::parse("hooks").unwrap(),
            events: vec![EventPattern::parse(event).unwrap()],
            filter: KeyFilter { prefix: Some(prefix.to_owned()), suffix: Some(suffix.to_owned()) },
        }
    }

    #[test]
    fn rules_that_would_tell_one_change_twice_are_refused() {
        let all = "s3:ObjectCreated:*";
        let legal = [
            vec![rule("1", all, "images/", ".png"), rule("2", all, "images/", ".jpg")],
            vec![rule("1", all, "images/", ""), rule("2", all, "videos/", "")],
            vec![rule("1", all, "", ""), rule("2", "s3:ObjectRemoved:Delete", "", "")],
        ];
        for rules in legal {
            assert!(NotificationConfiguration::new(rules).is_ok());
        }
        let overlapping = [
            vec![rule("1", all, "", ""), rule("2", all, "", "")],
            vec![rule("1", all, "images", ""), rule("2", "s3:ObjectCreated:Put", "images/a", ".png")],
            vec![rule("1", all, "images/", ".png"), rule("2", all, "", "big.png")],
        ];
        for rules in overlapping {
            let refused = NotificationConfiguration::new(rules).unwrap_err();
            assert_eq!(refused, InvalidNotification::Overlap("1".into(), "2".into()));
        }
        let same = vec![rule("1", all, "a", ""), rule("1", all, "b", "")];
        assert_eq!(NotificationConfiguration::new(same), Err(InvalidNotification::SameId("1".into())));
        let long = vec![rule("1", all, &"a".repeat(1025), "")];
        assert_eq!(NotificationConfiguration::new(long), Err(InvalidNotification::Value));
    }

    proptest! {
        /// Whatever was accepted tells each change at most once.
        #[test]
        fn no_key_has_two_rules(filters in proptest::collection::vec(("[ab]{0,2}", "[ab]{0,2}"), 1..5), key in "[ab]{1,6}") {
            let rules = filters.iter().enumerate().map(|(number, (prefix, suffix))| {
                rule(&number.to_string(), "s3:ObjectCreated:*", prefix, suffix)
            });
            if let Ok(configuration) = NotificationConfiguration::new(rules.collect()) {
                prop_assert!(configuration.rules_for(EventKind::CreatedByPut, &key).count() <= 1);
            }
        }
    }
}
