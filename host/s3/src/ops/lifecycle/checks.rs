//! What S3 refuses of a lifecycle configuration that fits the schema.

use crate::error::{Code, S3Error};
use crate::xml::malformed;
use sallyport_core::lifecycle::{Expiration, Lifecycle, Rule, TransitionTime};
use sallyport_core::storage_class;
use std::collections::HashSet;

const MOST_RULES: usize = 1000;
const LONGEST_ID: usize = 255;
/// Days for which S3 leaves an object where it is before the classes for seldom access.
const DAYS_BEFORE_SELDOM: u32 = 30;

/// Checks a configuration; `is_class` knows the storage classes.
pub(crate) fn check(lifecycle: &Lifecycle, is_class: impl Fn(&str) -> bool) -> Result<(), S3Error> {
    if lifecycle.rules.is_empty() || lifecycle.rules.len() > MOST_RULES {
        return Err(malformed());
    }
    let mut ids = HashSet::new();
    for rule in &lifecycle.rules {
        if rule.id.chars().count() > LONGEST_ID {
            return Err(argument("ID length should not exceed allowed limit of 255"));
        }
        if !ids.insert(rule.id.as_str()) {
            return Err(argument("Rule ID must be unique. Found same ID for more than one rule"));
        }
        check_rule(rule)?;
        check_classes(rule, &is_class)?;
    }
    Ok(())
}

fn check_rule(rule: &Rule) -> Result<(), S3Error> {
    let acts = rule.expiration.is_some()
        || !rule.transitions.is_empty()
        || rule.noncurrent_expiration.is_some()
        || !rule.noncurrent_transitions.is_empty()
        || rule.abort_uploads.is_some();
    if !acts {
        return Err(request("At least one action needs to be specified in a rule"));
    }
    let has_tags = !rule.filter.tags.is_empty();
    let has_sizes = rule.filter.larger_than.is_some() || rule.filter.smaller_than.is_some();
    let of_markers = matches!(rule.expiration, Some(Expiration::ExpiredMarker(_)));
    for (is_there, name) in
        [(rule.abort_uploads.is_some(), "AbortIncompleteMultipartUpload"), (of_markers, "ExpiredObjectDeleteMarker")]
    {
        if is_there && has_tags {
            return Err(request(&format!("{name} cannot be specified with Tags.")));
        }
        if is_there && has_sizes {
            return Err(request(&format!("{name} cannot be specified with Object Size.")));
        }
    }
    let tags: HashSet<&str> = rule.filter.tags.iter().map(|(key, _)| key.as_str()).collect();
    if tags.len() != rule.filter.tags.len() {
        return Err(request("Duplicate Tag Keys are not allowed."));
    }
    if let (Some(larger), Some(smaller)) = (rule.filter.larger_than, rule.filter.smaller_than)
        && larger.saturating_add(1) >= smaller
    {
        return Err(request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'"));
    }
    check_order(rule)
}

/// What expires has to have been moved before.
fn check_order(rule: &Rule) -> Result<(), S3Error> {
    let prefix = rule.filter.prefix.as_deref().unwrap_or_default();
    for transition in &rule.transitions {
        let is_early = match (transition.when, rule.expiration) {
            (TransitionTime::Days(days), Some(Expiration::Days(end))) => end <= days,
            (TransitionTime::Date(date), Some(Expiration::Date(end))) => end <= date,
            (TransitionTime::Days(_), Some(Expiration::Date(_)))
            | (TransitionTime::Date(_), Some(Expiration::Days(_))) => {
                return Err(request(&format!(
                    "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for \
                     filter '(prefix={prefix})'"
                )));
            }
            (_, None | Some(Expiration::ExpiredMarker(_))) => false,
        };
        if is_early {
            return Err(argument(&format!(
                "'Days' in the Expiration action for filter '(prefix={prefix})' must be greater than 'Days' in the \
                 Transition action"
            )));
        }
    }
    let expires = rule.noncurrent_expiration.map(|expiration| expiration.days);
    if rule.noncurrent_transitions.iter().any(|transition| expires.is_some_and(|days| days <= transition.days)) {
        return Err(argument(&format!(
            "'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '(prefix={prefix})' must be greater \
             than 'NoncurrentDays' in the NoncurrentVersionTransition action"
        )));
    }
    Ok(())
}

fn check_classes(rule: &Rule, is_class: &impl Fn(&str) -> bool) -> Result<(), S3Error> {
    let current = rule.transitions.iter().map(|transition| transition.storage_class.as_str());
    let noncurrent = rule.noncurrent_transitions.iter().map(|transition| transition.storage_class.as_str());
    for classes in [current.collect::<Vec<_>>(), noncurrent.collect()] {
        let distinct: HashSet<&str> = classes.iter().copied().collect();
        if distinct.len() != classes.len() {
            return Err(request("'StorageClass' must be different for 'Transition' actions in same 'Rule'"));
        }
        let is_target = |class: &&str| {
            if storage_class::is_known(class) { storage_class::is_target(class) } else { is_class(class) }
        };
        if !classes.iter().all(is_target) {
            return Err(malformed());
        }
    }
    for transition in &rule.transitions {
        if let (TransitionTime::Days(days), class @ ("STANDARD_IA" | "ONEZONE_IA")) =
            (transition.when, transition.storage_class.as_str())
            && days < DAYS_BEFORE_SELDOM
        {
            return Err(argument(&format!(
                "'Days' in Transition action must be greater than or equal to {DAYS_BEFORE_SELDOM} for storageClass \
                 '{class}'"
            )));
        }
    }
    Ok(())
}

fn argument(message: &str) -> S3Error {
    S3Error::because(Code::InvalidArgument, message)
}

fn request(message: &str) -> S3Error {
    S3Error::because(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn of(rules: &str) -> Result<(), Code> {
        let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        let lifecycle = parse::lifecycle(document.as_bytes()).expect("fits the schema");
        check(&lifecycle, |class| class == "elsewhere").map_err(|error| error.code)
    }

    fn rule(filter: &str, actions: &str) -> String {
        format!("<Rule><Status>Enabled</Status><Filter>{filter}</Filter>{actions}</Rule>")
    }

    fn moves(days: u32, class: &str) -> String {
        format!("<Transition><Days>{days}</Days><StorageClass>{class}</StorageClass></Transition>")
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let days = |days: u32| format!("<Expiration><Days>{days}</Days></Expiration>");
        let marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
        let tag = "<Tag><Key>a</Key><Value>b</Value></Tag>";
        let size = "<ObjectSizeLessThan>9</ObjectSizeLessThan>";
        assert_eq!(of(&rule("", &days(1))), Ok(()));
        assert_eq!(of(&rule("", &(moves(1, "elsewhere") + &days(2)))), Ok(()));
        assert_eq!(of(&rule("", &moves(30, "STANDARD_IA"))), Ok(()));
        for (rules, code) in [
            (rule("", ""), Code::InvalidRequest),
            (rule(tag, marker), Code::InvalidRequest),
            (rule(size, marker), Code::InvalidRequest),
            (rule("", &(moves(2, "elsewhere") + &days(2))), Code::InvalidArgument),
            (rule("", &(moves(1, "GLACIER") + &moves(2, "GLACIER"))), Code::InvalidRequest),
            (rule("", &moves(29, "STANDARD_IA")), Code::InvalidArgument),
            (rule("", &moves(1, "STANDARD")), Code::MalformedXML),
            (rule("", &moves(1, "nowhere")), Code::MalformedXML),
            (rule(&format!("<And>{tag}{tag}</And>"), &days(1)), Code::InvalidRequest),
            (rule("", "<Expiration><Date>2030-01-01</Date></Expiration>"), Code::InvalidRequest),
            (String::new(), Code::MalformedXML),
            (rule("", &days(1)).repeat(1001), Code::MalformedXML),
        ] {
            let rules = if rules.contains("<Date>") {
                rules.replace("</Rule>", &(moves(1, "GLACIER") + "</Rule>"))
            } else {
                rules
            };
            assert_eq!(of(&rules), Err(code), "{rules:.200}");
        }
    }

    #[test]
    fn rules_are_told_apart_by_their_names() {
        let named = |id: &str| {
            rule("", "<Expiration><Days>1</Days></Expiration>").replace("<Rule>", &format!("<Rule><ID>{id}</ID>"))
        };
        assert_eq!(of(&(named("a") + &named("b"))), Ok(()));
        assert_eq!(of(&(named("a") + &named("a"))), Err(Code::InvalidArgument));
        assert_eq!(of(&named(&"a".repeat(256))), Err(Code::InvalidArgument));
    }
}
