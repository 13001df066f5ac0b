//! What the rules say of one version at one time: pure.

use super::{Clock, Expiration, Lifecycle, Rule, SMALLEST_TRANSITION, TransitionTime};

/// Classes that take objects of every size when the bucket says so.
const ARCHIVES: &[&str] = &["GLACIER", "DEEP_ARCHIVE"];

/// A version as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its tags.
    pub tags: &'a [(String, String)],
    /// In bytes.
    pub size: u64,
    /// It is a delete marker.
    pub is_marker: bool,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Where it stands among its key's versions.
    pub standing: Standing,
}

/// Where a version stands among its key's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The newest.
    Current {
        /// And there is no other.
        is_only: bool,
    },
    /// There are newer ones.
    Noncurrent {
        /// When the next newer one was made, milliseconds since 1970.
        since: i64,
        /// Noncurrent versions that are newer.
        newer: u32,
    },
}

/// What is to be done with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing.
    Keep,
    /// A current object expires: removed, or hidden behind a delete marker.
    Expire,
    /// A delete marker that hides nothing goes.
    RemoveMarker,
    /// A noncurrent version goes for good, if still so many noncurrent ones are newer.
    RemoveNoncurrent {
        /// As many.
        newer: u32,
    },
    /// It belongs in a storage class, where it may be already.
    Move {
        /// That one.
        storage_class: String,
    },
}

/// When something ends, by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The rule's id.
    pub rule: String,
}

impl Lifecycle {
    /// What is to be done now. What goes does not move before.
    pub fn judge(&self, candidate: &Candidate<'_>, clock: Clock, now: i64) -> Judgement {
        let rules: Vec<&Rule> = self.enabled().filter(|rule| rule.filter.fits(candidate)).collect();
        let gone = rules.iter().find_map(|rule| rule.removal(candidate, clock, now));
        if let Some(judgement) = gone {
            return judgement;
        }
        let moves = rules.iter().flat_map(|rule| rule.moves(candidate, clock));
        // The latest that is due has the last word, whatever order the rules come in.
        let due = moves.filter(|(at, class)| *at <= now && self.takes(candidate, rules.as_slice(), class));
        match due.max_by_key(|(at, _)| *at) {
            Some((_, class)) => Judgement::Move { storage_class: class.to_owned() },
            None => Judgement::Keep,
        }
    }

    /// When a current object expires, for the header that says so: always by real days.
    pub fn expiry(&self, candidate: &Candidate<'_>) -> Option<Expiry> {
        if candidate.is_marker || !matches!(candidate.standing, Standing::Current { .. }) {
            return None;
        }
        let due = self.enabled().filter(|rule| rule.filter.fits(candidate)).filter_map(|rule| {
            let at = rule.expires(candidate.created, Clock::default())?;
            Some(Expiry { at, rule: rule.id.clone() })
        });
        due.min_by_key(|expiry| expiry.at)
    }

    /// S3 leaves small objects where they are unless a rule names sizes.
    fn takes(&self, candidate: &Candidate<'_>, rules: &[&Rule], class: &str) -> bool {
        let small = candidate.size < SMALLEST_TRANSITION;
        let is_own = crate::storage_class::is_known(class);
        let anyway = (self.small_to_archives && ARCHIVES.contains(&class))
            || rules.iter().any(|rule| rule.filter.larger_than.is_some() || rule.filter.smaller_than.is_some());
        !small || !is_own || anyway
    }
}

impl Rule {
    fn expires(&self, created: i64, clock: Clock) -> Option<i64> {
        match self.expiration? {
            Expiration::Days(days) => Some(clock.after(created, days)),
            Expiration::Date(date) => Some(date),
            Expiration::ExpiredMarker(_) => None,
        }
    }

    fn removal(&self, candidate: &Candidate<'_>, clock: Clock, now: i64) -> Option<Judgement> {
        match candidate.standing {
            Standing::Current { is_only } if candidate.is_marker => {
                let asked = self.expiration == Some(Expiration::ExpiredMarker(true));
                let expired = self.expires(candidate.created, clock).is_some_and(|at| at <= now);
                (is_only && (asked || expired)).then_some(Judgement::RemoveMarker)
            }
            Standing::Current { .. } => {
                self.expires(candidate.created, clock).filter(|at| *at <= now).map(|_| Judgement::Expire)
            }
            Standing::Noncurrent { since, newer } => {
                let rule = self.noncurrent_expiration?;
                let kept = rule.newer_versions.unwrap_or(0);
                let due = clock.after(since, rule.days) <= now && newer >= kept;
                due.then_some(Judgement::RemoveNoncurrent { newer: kept })
            }
        }
    }

    fn moves(&self, candidate: &Candidate<'_>, clock: Clock) -> Vec<(i64, &str)> {
        match candidate.standing {
            _ if candidate.is_marker => Vec::new(),
            Standing::Current { .. } => {
                let moves = self.transitions.iter().map(|transition| {
                    let at = match transition.when {
                        TransitionTime::Days(days) => clock.after(candidate.created, days),
                        TransitionTime::Date(date) => date,
                    };
                    (at, transition.storage_class.as_str())
                });
                moves.collect()
            }
            Standing::Noncurrent { since, newer } => {
                let fits = self.noncurrent_transitions.iter().filter(|it| newer >= it.newer_versions.unwrap_or(0));
                fits.map(|it| (clock.after(since, it.days), it.storage_class.as_str())).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Filter, NoncurrentExpiration, NoncurrentTransition, Transition};
    use proptest::prelude::*;

    const CURRENT: Standing = Standing::Current { is_only: true };

    fn rule() -> Rule {
        Rule {
            id: "r".to_owned(),
            enabled: true,
            filter: Filter::default(),
            expiration: None,
            transitions: Vec::new(),
            noncurrent_expiration: None,
            noncurrent_transitions: Vec::new(),
            abort_uploads: None,
        }
    }

    fn candidate(standing: Standing) -> Candidate<'static> {
        Candidate { key: "a/b", tags: &[], size: 10, is_marker: false, created: 0, standing }
    }

    fn judge(rules: Vec<Rule>, candidate: Candidate<'_>, now: i64) -> Judgement {
        Lifecycle { rules, small_to_archives: false }.judge(&candidate, Clock::of_seconds(1), now)
    }

    #[test]
    fn every_condition_of_a_filter_counts() {
        let tags = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
        let candidate = Candidate { tags: &tags, ..candidate(CURRENT) };
        let expires = |filter: Filter| {
            let rule = Rule { filter, expiration: Some(Expiration::Days(1)), ..rule() };
            judge(vec![rule], candidate, 1_000) == Judgement::Expire
        };
        assert!(expires(Filter::default()));
        assert!(expires(Filter { prefix: Some("a/".into()), tags: tags.to_vec(), ..Filter::default() }));
        assert!(expires(Filter { larger_than: Some(9), smaller_than: Some(11), ..Filter::default() }));
        assert!(!expires(Filter { larger_than: Some(10), ..Filter::default() }));
        assert!(!expires(Filter { smaller_than: Some(10), ..Filter::default() }));
        assert!(!expires(Filter { prefix: Some("b".into()), ..Filter::default() }));
        assert!(!expires(Filter { tags: vec![("a".into(), "2".into())], ..Filter::default() }));
    }

    #[test]
    fn a_marker_goes_when_it_hides_nothing() {
        let marker = |is_only| Candidate { is_marker: true, ..candidate(Standing::Current { is_only }) };
        let asked = || vec![Rule { expiration: Some(Expiration::ExpiredMarker(true)), ..rule() }];
        let days = || vec![Rule { expiration: Some(Expiration::Days(5)), ..rule() }];
        assert_eq!(judge(asked(), marker(true), 0), Judgement::RemoveMarker);
        assert_eq!(judge(asked(), marker(false), 0), Judgement::Keep);
        assert_eq!(judge(days(), marker(true), 4_999), Judgement::Keep);
        assert_eq!(judge(days(), marker(true), 5_000), Judgement::RemoveMarker);
        let tagged = Filter { tags: vec![("a".into(), "1".into())], ..Filter::default() };
        let rule = Rule { filter: tagged, expiration: Some(Expiration::Days(1)), ..rule() };
        assert_eq!(judge(vec![rule], marker(true), 9_000), Judgement::Keep);
    }

    #[test]
    fn as_many_noncurrent_versions_stay_as_are_asked_for() {
        let rule = || Rule {
            noncurrent_expiration: Some(NoncurrentExpiration { days: 2, newer_versions: Some(3) }),
            ..rule()
        };
        let at = |newer, now| judge(vec![rule()], candidate(Standing::Noncurrent { since: 0, newer }), now);
        assert_eq!(at(2, 9_000), Judgement::Keep);
        assert_eq!(at(3, 1_999), Judgement::Keep);
        assert_eq!(at(3, 2_000), Judgement::RemoveNoncurrent { newer: 3 });
        assert_eq!(judge(vec![rule()], candidate(CURRENT), 9_000), Judgement::Keep);
    }

    #[test]
    fn the_latest_move_that_is_due_wins() {
        let to = |days, class: &str| Transition { when: TransitionTime::Days(days), storage_class: class.to_owned() };
        let rule = Rule { transitions: vec![to(7, "far"), to(1, "near")], ..rule() };
        let at = |now| judge(vec![rule.clone()], candidate(CURRENT), now);
        let moves = |class: &str| Judgement::Move { storage_class: class.to_owned() };
        assert_eq!(at(0), Judgement::Keep);
        assert_eq!(at(1_000), moves("near"));
        assert_eq!(at(6_999), moves("near"));
        assert_eq!(at(7_000), moves("far"));
    }

    #[test]
    fn small_objects_stay_out_of_s3s_own_classes() {
        let to = |class: &str| Transition { when: TransitionTime::Days(0), storage_class: class.to_owned() };
        let of = |size, small_to_archives, class: &str, filter: Filter| {
            let rule = Rule { transitions: vec![to(class)], filter, ..rule() };
            let candidate = Candidate { size, ..candidate(CURRENT) };
            let lifecycle = Lifecycle { rules: vec![rule], small_to_archives };
            lifecycle.judge(&candidate, Clock::default(), 0) != Judgement::Keep
        };
        let none = Filter::default;
        assert!(!of(1, false, "GLACIER", none()) && of(1, true, "GLACIER", none()));
        assert!(!of(1, true, "STANDARD_IA", none()) && of(SMALLEST_TRANSITION, false, "STANDARD_IA", none()));
        assert!(of(1, false, "elsewhere", none()));
        assert!(of(1, false, "GLACIER", Filter { larger_than: Some(0), ..Filter::default() }));
    }

    #[test]
    fn noncurrent_versions_move_by_their_own_rules() {
        let transition = NoncurrentTransition { days: 1, newer_versions: None, storage_class: "far".into() };
        let rule = Rule { noncurrent_transitions: vec![transition], ..rule() };
        let old = candidate(Standing::Noncurrent { since: 500, newer: 0 });
        assert_eq!(judge(vec![rule.clone()], old, 1_499), Judgement::Keep);
        assert_eq!(judge(vec![rule.clone()], old, 1_500), Judgement::Move { storage_class: "far".into() });
        assert_eq!(judge(vec![rule], candidate(CURRENT), 9_000), Judgement::Keep);
    }

    proptest! {
        /// Time alone never takes back that something is due.
        #[test]
        fn what_is_due_stays_due(days in 0_u32..5, created in 0_i64..5_000, now in 0_i64..20_000, later in 0_i64..9_000,
                noncurrent: bool, newer in 0_u32..4, kept in proptest::option::of(0_u32..4)) {
            let rule = Rule {
                expiration: Some(Expiration::Days(days)),
                noncurrent_expiration: Some(NoncurrentExpiration { days, newer_versions: kept }),
                ..rule()
            };
            let standing = if noncurrent { Standing::Noncurrent { since: created, newer } } else { CURRENT };
            let candidate = Candidate { created, ..candidate(standing) };
            let judgement = judge(vec![rule.clone()], candidate, now);
            if judgement != Judgement::Keep {
                prop_assert!(now >= created + i64::from(days) * 1_000);
                prop_assert_eq!(judge(vec![rule.clone()], candidate, now + later), judgement);
            }
            let disabled = Rule { enabled: false, ..rule };
            prop_assert_eq!(judge(vec![disabled], candidate, now + later), Judgement::Keep);
        }
    }
}
