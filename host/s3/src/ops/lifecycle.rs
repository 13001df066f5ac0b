//! Lifecycle configurations: their document, and the headers that say what they will do.

pub(crate) mod checks;
pub(crate) mod parse;

use crate::dates;
use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::uri;
use crate::xml::Document;
use http::StatusCode;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::lifecycle::{Expiration, Expiry, Filter, FilterForm, Rule, TransitionTime};
use sallyport_core::metadata::Upload;

/// A thousand rules fit, in bytes.
const MAX_DOCUMENT: u64 = 2 << 20;
/// Says which objects are too small to move.
const MINIMUM_SIZE: &str = "x-amz-transition-default-minimum-object-size";

/// GetBucketLifecycleConfiguration.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetLifecycleConfiguration).await?;
    let lifecycle = bucket.settings.lifecycle.as_ref().ok_or(Code::NoSuchLifecycleConfiguration)?;
    let document = Document::s3("LifecycleConfiguration", |root| {
        for rule in &lifecycle.rules {
            root.nest("Rule", |element| write_rule(element, rule));
        }
    });
    let mut answer = answer::xml(document);
    answer::set(&mut answer, MINIMUM_SIZE, minimum_size(lifecycle.small_to_archives));
    Ok(answer)
}

/// PutBucketLifecycleConfiguration.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let document = call.document(body, MAX_DOCUMENT).await?;
    let mut lifecycle = parse::lifecycle(&document)?;
    lifecycle.small_to_archives = match call.head.header(MINIMUM_SIZE) {
        None | Some("all_storage_classes_128K") => false,
        Some("varies_by_storage_class") => true,
        Some(other) => return Err(S3Error::argument(MINIMUM_SIZE, other, "Unknown minimum object size.")),
    };
    // Whose locations are meant is known once the caller may ask: not before is one named.
    let bucket = call.bucket_for(Action::PutLifecycleConfiguration).await?;
    checks::check(&lifecycle, |class| call.gateway.is_storage_class(&bucket.owner, class))?;
    let small_to_archives = lifecycle.small_to_archives;
    call.gateway.set_lifecycle(&call.caller(), &call.bucket()?, Some(lifecycle)).await?;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set(&mut answer, MINIMUM_SIZE, minimum_size(small_to_archives));
    Ok(answer)
}

/// DeleteBucketLifecycle.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.set_lifecycle(&call.caller(), &call.bucket()?, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `x-amz-expiration`.
pub(crate) fn show(answer: &mut Answer, expiry: Option<&Expiry>) {
    let Some(expiry) = expiry else { return };
    let (date, rule) = (dates::header(expiry.at), uri::encode(expiry.rule.as_bytes()));
    answer::set(answer, "x-amz-expiration", format!("expiry-date=\"{date}\", rule-id=\"{rule}\""));
}

/// `x-amz-abort-date` and the rule that says so.
pub(crate) async fn show_abort(call: &Call, answer: &mut Answer, upload: &Upload) -> Result<(), S3Error> {
    let expiry = call.gateway.upload_expiry(&upload.bucket, &upload.key, upload.initiated).await?;
    if let Some(expiry) = expiry {
        answer::set(answer, "x-amz-abort-date", dates::header(expiry.at));
        answer::set(answer, "x-amz-abort-rule-id", uri::encode(expiry.rule.as_bytes()));
    }
    Ok(())
}

fn minimum_size(small_to_archives: bool) -> &'static str {
    if small_to_archives { "varies_by_storage_class" } else { "all_storage_classes_128K" }
}

pub(crate) fn write_rule(element: &mut Document, rule: &Rule) {
    element.text("ID", &rule.id);
    match rule.filter.form {
        FilterForm::RulePrefix => element.text("Prefix", rule.filter.prefix.as_deref().unwrap_or_default()),
        FilterForm::Filter => element.nest("Filter", |filter| write_filter(filter, &rule.filter)),
        FilterForm::And => {
            element.nest("Filter", |filter| filter.nest("And", |and| write_filter(and, &rule.filter)));
        }
    }
    element.text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    for transition in &rule.transitions {
        element.nest("Transition", |element| {
            match transition.when {
                TransitionTime::Days(days) => element.number("Days", days),
                TransitionTime::Date(date) => element.text("Date", dates::document(date)),
            }
            element.text("StorageClass", &transition.storage_class);
        });
    }
    if let Some(expiration) = rule.expiration {
        element.nest("Expiration", |element| match expiration {
            Expiration::Days(days) => element.number("Days", days),
            Expiration::Date(date) => element.text("Date", dates::document(date)),
            Expiration::ExpiredMarker(is_set) => element.text("ExpiredObjectDeleteMarker", is_set.to_string()),
        });
    }
    write_noncurrent(element, rule);
    if let Some(days) = rule.abort_uploads {
        element.nest("AbortIncompleteMultipartUpload", |element| element.number("DaysAfterInitiation", days));
    }
}

fn write_noncurrent(element: &mut Document, rule: &Rule) {
    for transition in &rule.noncurrent_transitions {
        element.nest("NoncurrentVersionTransition", |element| {
            element.number("NoncurrentDays", transition.days);
            if let Some(newer) = transition.newer_versions {
                element.number("NewerNoncurrentVersions", newer);
            }
            element.text("StorageClass", &transition.storage_class);
        });
    }
    if let Some(expiration) = rule.noncurrent_expiration {
        element.nest("NoncurrentVersionExpiration", |element| {
            element.number("NoncurrentDays", expiration.days);
            if let Some(newer) = expiration.newer_versions {
                element.number("NewerNoncurrentVersions", newer);
            }
        });
    }
}

fn write_filter(element: &mut Document, filter: &Filter) {
    if let Some(prefix) = &filter.prefix {
        element.text("Prefix", prefix);
    }
    for (key, value) in &filter.tags {
        element.nest("Tag", |tag| {
            tag.text("Key", key);
            tag.text("Value", value);
        });
    }
    if let Some(size) = filter.larger_than {
        element.number("ObjectSizeGreaterThan", size);
    }
    if let Some(size) = filter.smaller_than {
        element.number("ObjectSizeLessThan", size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sallyport_core::lifecycle::{Lifecycle, NoncurrentExpiration, NoncurrentTransition, Transition};

    fn written(lifecycle: &Lifecycle) -> String {
        Document::s3("LifecycleConfiguration", |root| {
            for rule in &lifecycle.rules {
                root.nest("Rule", |element| write_rule(element, rule));
            }
        })
    }

    prop_compose! {
        fn filters()(form in 0..3, prefix in "[a-z/]{0,8}", tags in prop::collection::btree_map("[a-z]{1,4}", "[a-z]{0,4}", 1..4),
                sizes: (u32, u32)) -> Filter {
            match form {
                0 => Filter { form: FilterForm::RulePrefix, prefix: Some(prefix), ..Filter::default() },
                1 => Filter { larger_than: Some(sizes.0.into()), ..Filter::default() },
                _ => Filter {
                    form: FilterForm::And,
                    prefix: Some(prefix),
                    tags: tags.into_iter().collect(),
                    larger_than: None,
                    smaller_than: Some(sizes.1.into()),
                },
            }
        }
    }

    prop_compose! {
        fn rules()(id in "[a-z]{1,9}", enabled: bool, filter in filters(), days in 1_u32..1000, kind in 0..3,
                newer in prop::option::of(1_u32..100), noncurrent: bool, class in "[A-Z]{3,9}") -> Rule {
            Rule {
                id,
                enabled,
                filter,
                expiration: Some(match kind {
                    0 => Expiration::Days(days),
                    1 => Expiration::Date(i64::from(days) * 86_400_000),
                    _ => Expiration::ExpiredMarker(true),
                }),
                transitions: vec![Transition { when: TransitionTime::Days(days), storage_class: class.clone() }],
                noncurrent_expiration: noncurrent.then_some(NoncurrentExpiration { days, newer_versions: newer }),
                noncurrent_transitions: vec![
                    NoncurrentTransition { days, newer_versions: newer, storage_class: class },
                ],
                abort_uploads: noncurrent.then_some(days),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_it_was(rules in prop::collection::vec(rules(), 1..4)) {
            let lifecycle = Lifecycle { rules, small_to_archives: false };
            prop_assert_eq!(parse::lifecycle(written(&lifecycle).as_bytes()), Ok(lifecycle));
        }
    }
}
