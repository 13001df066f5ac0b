//! Reads a lifecycle configuration as S3's schema has it.

use crate::dates;
use crate::error::{Code, S3Error};
use crate::xml::{Element, malformed};
use sallyport_core::lifecycle::{
    Expiration, Filter, FilterForm, Lifecycle, NoncurrentExpiration, NoncurrentTransition, Rule, Transition,
    TransitionTime,
};
use sallyport_core::names::VersionId;

const CONDITIONS: &[&str] = &["Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"];
/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// The document; what its values mean together is checked later.
pub(crate) fn lifecycle(document: &[u8]) -> Result<Lifecycle, S3Error> {
    let root = Element::parse(document, "LifecycleConfiguration")
        .or_else(|_| Element::parse(document, "BucketLifecycleConfiguration"))?;
    root.only(&["Rule"])?;
    let rules = root.all("Rule").map(rule).collect::<Result<Vec<_>, S3Error>>()?;
    Ok(Lifecycle { rules, small_to_archives: false })
}

fn rule(element: &Element) -> Result<Rule, S3Error> {
    element.only(&[
        "ID",
        "Prefix",
        "Filter",
        "Status",
        "Transition",
        "Expiration",
        "NoncurrentVersionTransition",
        "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload",
    ])?;
    let enabled = match element.required_text("Status")? {
        "Enabled" => true,
        "Disabled" => false,
        _ => return Err(malformed()),
    };
    let id = element.optional_text("ID")?.filter(|id| !id.is_empty()).map(str::to_owned);
    Ok(Rule {
        // S3 names rules that have no name.
        id: id.unwrap_or_else(|| VersionId::random().to_string()),
        enabled,
        filter: filter(element)?,
        expiration: element.optional("Expiration")?.map(expiration).transpose()?,
        transitions: element.all("Transition").map(transition).collect::<Result<_, _>>()?,
        noncurrent_expiration: element
            .optional("NoncurrentVersionExpiration")?
            .map(noncurrent_expiration)
            .transpose()?,
        noncurrent_transitions: element
            .all("NoncurrentVersionTransition")
            .map(noncurrent_transition)
            .collect::<Result<_, _>>()?,
        abort_uploads: element.optional("AbortIncompleteMultipartUpload")?.map(abort).transpose()?,
    })
}

fn filter(rule: &Element) -> Result<Filter, S3Error> {
    match (rule.optional_text("Prefix")?, rule.optional("Filter")?) {
        (Some(prefix), None) => {
            Ok(Filter { form: FilterForm::RulePrefix, prefix: Some(prefix.to_owned()), ..Filter::default() })
        }
        (None, Some(filter)) => match filter.optional("And")? {
            Some(and) => {
                filter.only(&["And"])?;
                and.only(CONDITIONS)?;
                // One condition alone needs no And, and S3 takes none.
                if and.children.len() < 2 {
                    return Err(malformed());
                }
                conditions(and, FilterForm::And)
            }
            None => {
                filter.only(CONDITIONS)?;
                if filter.children.len() > 1 {
                    return Err(malformed());
                }
                conditions(filter, FilterForm::Filter)
            }
        },
        _ => Err(malformed()),
    }
}

fn conditions(element: &Element, form: FilterForm) -> Result<Filter, S3Error> {
    let tags = element.all("Tag").map(|tag| {
        tag.only(&["Key", "Value"])?;
        Ok((tag.required_text("Key")?.to_owned(), tag.required_text("Value")?.to_owned()))
    });
    let size = |name: &str| element.optional_text(name)?.map(number::<u64>).transpose();
    Ok(Filter {
        form,
        prefix: element.optional_text("Prefix")?.map(str::to_owned),
        tags: tags.collect::<Result<_, S3Error>>()?,
        larger_than: size("ObjectSizeGreaterThan")?,
        smaller_than: size("ObjectSizeLessThan")?,
    })
}

fn expiration(element: &Element) -> Result<Expiration, S3Error> {
    element.only(&["Days", "Date", "ExpiredObjectDeleteMarker"])?;
    if element.children.len() != 1 {
        return Err(malformed());
    }
    if let Some(text) = element.optional_text("Days")? {
        return Ok(Expiration::Days(positive(text, "'Days' for Expiration action must be a positive integer")?));
    }
    if let Some(text) = element.optional_text("Date")? {
        return Ok(Expiration::Date(date(text)?));
    }
    match element.required_text("ExpiredObjectDeleteMarker")?.trim() {
        "true" => Ok(Expiration::ExpiredMarker(true)),
        "false" => Ok(Expiration::ExpiredMarker(false)),
        _ => Err(malformed()),
    }
}

fn transition(element: &Element) -> Result<Transition, S3Error> {
    element.only(&["Days", "Date", "StorageClass"])?;
    let when = match (element.optional_text("Days")?, element.optional_text("Date")?) {
        (Some(days), None) => {
            let days: i64 = number(days)?;
            let days = u32::try_from(days).map_err(|_| argument("'Days' in Transition action must be nonnegative"))?;
            TransitionTime::Days(days)
        }
        (None, Some(text)) => TransitionTime::Date(date(text)?),
        _ => return Err(malformed()),
    };
    Ok(Transition { when, storage_class: element.required_text("StorageClass")?.to_owned() })
}

fn noncurrent_expiration(element: &Element) -> Result<NoncurrentExpiration, S3Error> {
    element.only(&["NoncurrentDays", "NewerNoncurrentVersions"])?;
    let message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer";
    let days = positive(element.required_text("NoncurrentDays")?, message)?;
    Ok(NoncurrentExpiration { days, newer_versions: newer_versions(element)? })
}

fn noncurrent_transition(element: &Element) -> Result<NoncurrentTransition, S3Error> {
    element.only(&["NoncurrentDays", "NewerNoncurrentVersions", "StorageClass"])?;
    let days: i64 = number(element.required_text("NoncurrentDays")?)?;
    let message = "'NoncurrentDays' in NoncurrentVersionTransition action must be nonnegative";
    Ok(NoncurrentTransition {
        days: u32::try_from(days).map_err(|_| argument(message))?,
        newer_versions: newer_versions(element)?,
        storage_class: element.required_text("StorageClass")?.to_owned(),
    })
}

fn newer_versions(element: &Element) -> Result<Option<u32>, S3Error> {
    let Some(text) = element.optional_text("NewerNoncurrentVersions")? else { return Ok(None) };
    let message = "'NewerNoncurrentVersions' must be a positive integer not greater than 100";
    positive(text, message)?;
    number::<u32>(text).ok().filter(|number| *number <= 100).map(Some).ok_or_else(|| argument(message))
}

fn abort(element: &Element) -> Result<u32, S3Error> {
    element.only(&["DaysAfterInitiation"])?;
    let message = "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer";
    positive(element.required_text("DaysAfterInitiation")?, message)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, S3Error> {
    text.trim().parse().map_err(|_| malformed())
}

fn positive(text: &str, message: &str) -> Result<u32, S3Error> {
    let value: i64 = number(text)?;
    u32::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| argument(message))
}

/// Rules know no time of the day.
fn date(text: &str) -> Result<i64, S3Error> {
    let time = dates::parse_document(text).ok_or_else(malformed)?;
    if time.rem_euclid(DAY) == 0 { Ok(time) } else { Err(argument("'Date' must be at midnight GMT")) }
}

fn argument(message: &str) -> S3Error {
    S3Error::because(Code::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: &str) -> Result<Lifecycle, Code> {
        let document = format!("<LifecycleConfiguration><Rule>{rule}</Rule></LifecycleConfiguration>");
        lifecycle(document.as_bytes()).map_err(|error| error.code)
    }

    fn with(action: &str) -> Result<Lifecycle, Code> {
        of(&format!("<Status>Enabled</Status><Prefix/>{action}"))
    }

    #[test]
    fn a_rule_names_what_it_is_about_once() {
        let and = "<And><Prefix>a</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></And>";
        for filter in
            ["<Prefix/>", "<Filter/>", "<Filter><Prefix>a</Prefix></Filter>", &format!("<Filter>{and}</Filter>")]
        {
            assert!(of(&format!("<Status>Enabled</Status>{filter}")).is_ok(), "{filter}");
        }
        let tag = "<Tag><Key>a</Key><Value/></Tag>";
        for filter in [
            "",
            "<Prefix/><Filter/>",
            &format!("<Filter><Prefix/>{tag}</Filter>"),
            &format!("<Filter>{tag}{and}</Filter>"),
            &format!("<Filter><And>{tag}</And></Filter>"),
            "<Filter><Size>1</Size></Filter>",
        ] {
            assert_eq!(of(&format!("<Status>Enabled</Status>{filter}")), Err(Code::MalformedXML), "{filter}");
        }
        assert_eq!(of("<Status>enabled</Status><Prefix/>"), Err(Code::MalformedXML));
    }

    #[test]
    fn times_are_whole_days() {
        assert!(with("<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>").is_ok());
        for (action, code) in [
            ("<Expiration><Date>2030-01-01T10:00:00Z</Date></Expiration>", Code::InvalidArgument),
            ("<Expiration><Date>20300101</Date></Expiration>", Code::MalformedXML),
            ("<Expiration><Days>0</Days></Expiration>", Code::InvalidArgument),
            ("<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>", Code::MalformedXML),
            ("<Expiration><Days>x</Days></Expiration>", Code::MalformedXML),
            ("<Transition><StorageClass>GLACIER</StorageClass></Transition>", Code::MalformedXML),
            ("<Transition><Days>-1</Days><StorageClass>A</StorageClass></Transition>", Code::InvalidArgument),
            ("<NoncurrentVersionExpiration/>", Code::MalformedXML),
            ("<Nonsense/>", Code::MalformedXML),
        ] {
            assert_eq!(with(action), Err(code), "{action}");
        }
        let newer = |number| {
            with(&format!(
                "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
                 <NewerNoncurrentVersions>{number}</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
            ))
        };
        assert!(newer(100).is_ok());
        assert_eq!(newer(101), Err(Code::InvalidArgument));
        assert_eq!(newer(0), Err(Code::InvalidArgument));
    }

    #[test]
    fn a_rule_without_a_name_gets_one() {
        assert!(with("").is_ok_and(|lifecycle| lifecycle.rules.iter().all(|rule| !rule.id.is_empty())));
    }
}
