//! [Lifecycle](https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html):
//! a bucket's rules, and what they say of a version.

mod clock;
mod judge;

pub use clock::Clock;
pub use judge::{Candidate, Expiry, Judgement, Standing};

use serde::{Deserialize, Serialize};

/// Objects below this size are not moved to a storage class of S3's, unless a rule names sizes.
pub const SMALLEST_TRANSITION: u64 = 128 << 10;

/// A bucket's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// In the order they were given.
    pub rules: Vec<Rule>,
    /// `varies_by_storage_class`: archives take objects of every size.
    #[serde(default)]
    pub small_to_archives: bool,
}

/// What happens to which objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The client's or ours; unique.
    pub id: String,
    /// A disabled rule is kept and does nothing.
    pub enabled: bool,
    /// Which objects.
    pub filter: Filter,
    /// Of current versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Expiration>,
    /// Of current versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// Of noncurrent versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noncurrent_expiration: Option<NoncurrentExpiration>,
    /// Of noncurrent versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
    /// Days after which an upload that was not completed is aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_uploads: Option<u32>,
}

/// Which objects a rule is about: those that all of this holds of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// How it was written, for showing it again.
    pub form: FilterForm,
    /// Keys start so; `None` when it was not given.
    pub prefix: Option<String>,
    /// The object has all of these.
    pub tags: Vec<(String, String)>,
    /// In bytes, exclusive.
    pub larger_than: Option<u64>,
    /// In bytes, exclusive.
    pub smaller_than: Option<u64>,
}

/// How a filter was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterForm {
    /// `Prefix` in the rule itself, as in the first version of the schema.
    RulePrefix,
    /// `Filter` with at most one condition.
    #[default]
    Filter,
    /// `Filter` with `And`.
    And,
}

/// When a current version expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiration {
    /// So many days after its creation.
    Days(u32),
    /// From this midnight on, milliseconds since 1970.
    Date(i64),
    /// Never, but a delete marker without versions behind it goes when this is set.
    ExpiredMarker(bool),
}

/// When and where to a current version moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub when: TransitionTime,
    /// A class of S3's, or a location.
    pub storage_class: String,
}

/// When a current version moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransitionTime {
    /// So many days after its creation.
    Days(u32),
    /// From this midnight on, milliseconds since 1970.
    Date(i64),
}

/// When a noncurrent version expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentExpiration {
    /// So many days after it stopped being current.
    pub days: u32,
    /// And only when so many newer noncurrent versions are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_versions: Option<u32>,
}

/// When and where to a noncurrent version moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentTransition {
    /// So many days after it stopped being current.
    pub days: u32,
    /// And only when so many newer noncurrent versions are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_versions: Option<u32>,
    /// A class of S3's, or a location.
    pub storage_class: String,
}

impl Lifecycle {
    /// The rules that do something.
    pub fn enabled(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.enabled)
    }

    /// What all keys that a rule is about start with.
    pub fn common_prefix(&self) -> &str {
        let mut prefixes = self.enabled().map(|rule| rule.filter.prefix.as_deref().unwrap_or_default());
        let Some(first) = prefixes.next() else { return "" };
        prefixes.fold(first, |common, prefix| {
            let same = common.char_indices().zip(prefix.chars()).take_while(|((_, one), other)| one == other);
            let length = same.last().map_or(0, |((at, last), _)| at + last.len_utf8());
            common.get(..length).unwrap_or_default()
        })
    }

    /// When an upload is aborted, and by which rule: the earliest that is about its key.
    pub fn abort(&self, key: &str, initiated: i64, clock: Clock) -> Option<Expiry> {
        let due = self.enabled().filter(|rule| rule.filter.has_prefix(key)).filter_map(|rule| {
            let at = clock.after(initiated, rule.abort_uploads?);
            Some(Expiry { at, rule: rule.id.clone() })
        });
        due.min_by_key(|expiry| expiry.at)
    }
}

impl Filter {
    fn has_prefix(&self, key: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
    }

    fn fits(&self, candidate: &Candidate<'_>) -> bool {
        // A delete marker has neither tags nor a size.
        let plain = self.tags.is_empty() && self.larger_than.is_none() && self.smaller_than.is_none();
        self.has_prefix(candidate.key)
            && (plain || !candidate.is_marker)
            && self.tags.iter().all(|tag| candidate.tags.contains(tag))
            && self.larger_than.is_none_or(|size| candidate.size > size)
            && self.smaller_than.is_none_or(|size| candidate.size < size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, enabled: bool) -> Rule {
        Rule {
            id: prefix.to_owned(),
            enabled,
            filter: Filter { prefix: Some(prefix.to_owned()), ..Filter::default() },
            expiration: None,
            transitions: Vec::new(),
            noncurrent_expiration: None,
            noncurrent_transitions: Vec::new(),
            abort_uploads: Some(1),
        }
    }

    #[test]
    fn only_what_enabled_rules_share_is_walked() {
        let of = |prefixes: &[(&str, bool)]| {
            let rules = prefixes.iter().map(|(prefix, enabled)| rule(prefix, *enabled)).collect();
            Lifecycle { rules, small_to_archives: false }.common_prefix().to_owned()
        };
        assert_eq!(of(&[("logs/a", true), ("logs/b", true), ("x", false)]), "logs/");
        assert_eq!(of(&[("ä", true), ("ö", true)]), "");
        assert_eq!(of(&[("äö", true), ("äöü", true)]), "äö");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn the_earliest_rule_of_a_key_aborts_its_uploads() {
        let mut late = rule("a", true);
        late.abort_uploads = Some(9);
        let lifecycle = Lifecycle { rules: vec![late, rule("a/", true), rule("b", true)], small_to_archives: false };
        let clock = Clock::of_seconds(10);
        assert_eq!(lifecycle.abort("a/k", 5, clock), Some(Expiry { at: 10_005, rule: "a/".into() }));
        assert_eq!(lifecycle.abort("c", 5, clock), None);
    }
}
