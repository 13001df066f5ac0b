//! Object lock: the configuration of buckets, retention and legal hold of versions, and the
//! headers that say the same.

use crate::auth::Head;
use crate::dates;
use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::payload::Payload;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::LockTarget;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::names::VersionId;
use sallyport_core::object_lock::{
    DefaultRetention, ObjectLock, ObjectLockConfiguration, Retention, RetentionMode, RetentionPeriod,
};

/// Each of the documents is small.
const MAX_DOCUMENT: u64 = 64 << 10;
/// Longest default retention.
const MOST_DAYS: i64 = 36_500;
/// Longest default retention.
const MOST_YEARS: i64 = 100;

/// GetObjectLockConfiguration.
pub(crate) async fn configuration(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketObjectLockConfiguration).await?;
    let configuration = bucket.settings.object_lock.as_ref();
    let configuration = configuration.ok_or(Code::ObjectLockConfigurationNotFoundError)?;
    Ok(answer::xml(Document::s3("ObjectLockConfiguration", |root| {
        root.text("ObjectLockEnabled", "Enabled");
        let Some(default) = configuration.default else { return };
        root.nest("Rule", |rule| {
            rule.nest("DefaultRetention", |retention| {
                retention.text("Mode", mode_name(default.mode));
                match default.period {
                    RetentionPeriod::Days(days) => retention.number("Days", days),
                    RetentionPeriod::Years(years) => retention.number("Years", years),
                }
            });
        });
    })))
}

/// PutObjectLockConfiguration.
pub(crate) async fn configure(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let configuration = parse_configuration(&call.document(body, MAX_DOCUMENT).await?)?;
    call.gateway.configure_object_lock(&call.caller(), &call.bucket()?, configuration).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetObjectRetention.
pub(crate) async fn retention(call: &Call) -> Result<Answer, S3Error> {
    let lock = read(call, Action::GetObjectRetention).await?;
    let retention = lock.retention.ok_or(Code::NoSuchObjectLockConfiguration)?;
    Ok(answer::xml(Document::s3("Retention", |root| {
        root.text("Mode", mode_name(retention.mode));
        root.text("RetainUntilDate", dates::document(retention.until));
    })))
}

/// GetObjectLegalHold.
pub(crate) async fn legal_hold(call: &Call) -> Result<Answer, S3Error> {
    let lock = read(call, Action::GetObjectLegalHold).await?;
    let on = lock.legal_hold.ok_or(Code::NoSuchObjectLockConfiguration)?;
    Ok(answer::xml(Document::s3("LegalHold", |root| root.text("Status", status_name(on)))))
}

async fn read(call: &Call, action: Action) -> Result<ObjectLock, S3Error> {
    Ok(call.gateway.object_lock(&call.caller(), action, &call.bucket()?, &call.key()?, call.version()?).await?)
}

/// PutObjectRetention.
pub(crate) async fn retain(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let retention = parse_retention(&call.document(body, MAX_DOCUMENT).await?)?;
    Ok(changed(call.gateway.set_retention(target(call)?, retention).await?))
}

/// PutObjectLegalHold.
pub(crate) async fn hold(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let on = parse_legal_hold(&call.document(body, MAX_DOCUMENT).await?)?;
    Ok(changed(call.gateway.set_legal_hold(target(call)?, on).await?))
}

fn target(call: &Call) -> Result<LockTarget, S3Error> {
    Ok(LockTarget {
        caller: call.caller(),
        bucket: call.bucket()?,
        key: call.key()?,
        version: call.version()?,
        bypass_governance: bypass(&call.head),
    })
}

fn changed(version: Option<VersionId>) -> Answer {
    let mut answer = answer::empty(StatusCode::OK);
    answer::set_version(&mut answer, version.as_ref());
    answer
}

/// `x-amz-bypass-governance-retention`.
pub(crate) fn bypass(head: &Head) -> bool {
    head.header("x-amz-bypass-governance-retention").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// What `x-amz-bucket-object-lock-enabled` configures of a new bucket.
pub(crate) fn of_new_bucket(head: &Head) -> Option<ObjectLockConfiguration> {
    let enabled = head.header("x-amz-bucket-object-lock-enabled");
    enabled.filter(|value| value.eq_ignore_ascii_case("true")).map(|_| ObjectLockConfiguration::default())
}

/// What a write's headers put on its version.
pub(crate) fn header(head: &Head) -> Result<ObjectLock, S3Error> {
    const MODE: &str = "x-amz-object-lock-mode";
    const UNTIL: &str = "x-amz-object-lock-retain-until-date";
    const HOLD: &str = "x-amz-object-lock-legal-hold";
    let retention = match (head.header(MODE), head.header(UNTIL)) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(Retention {
            mode: parse_mode(mode).ok_or_else(|| S3Error::argument(MODE, mode, "Unknown wormMode directive."))?,
            until: dates::parse_document(until).ok_or_else(|| {
                S3Error::argument(UNTIL, until, "The retain until date must be provided in ISO 8601 format")
            })?,
        }),
        (mode, _) => {
            let name = if mode.is_some() { UNTIL } else { MODE };
            let message = format!("{UNTIL} and {MODE} must both be supplied");
            return Err(S3Error::argument(name, "", message));
        }
    };
    let legal_hold = head.header(HOLD).map(|status| {
        let message = "Legal Hold must be either of 'ON' or 'OFF'";
        parse_status(status).ok_or_else(|| S3Error::argument(HOLD, status, message))
    });
    Ok(ObjectLock { retention, legal_hold: legal_hold.transpose()? })
}

/// What is to be kept has to arrive as it was sent.
pub(crate) fn require_digest(lock: &ObjectLock, payload: &Payload) -> Result<(), S3Error> {
    if lock.is_empty() || payload.has_digest() {
        return Ok(());
    }
    let message =
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
    Err(S3Error::because(Code::InvalidRequest, message))
}

/// The headers of an answer.
pub(crate) fn show(answer: &mut Answer, lock: &ObjectLock) {
    if let Some(retention) = lock.retention {
        answer::set(answer, "x-amz-object-lock-mode", mode_name(retention.mode));
        answer::set(answer, "x-amz-object-lock-retain-until-date", dates::document(retention.until));
    }
    if let Some(on) = lock.legal_hold {
        answer::set(answer, "x-amz-object-lock-legal-hold", status_name(on));
    }
}

pub(crate) fn parse_configuration(document: &[u8]) -> Result<ObjectLockConfiguration, S3Error> {
    let root = Element::parse(document, "ObjectLockConfiguration")?;
    root.only(&["ObjectLockEnabled", "Rule"])?;
    if root.optional_text("ObjectLockEnabled")?.is_some_and(|enabled| enabled != "Enabled") {
        return Err(malformed());
    }
    let Some(rule) = root.optional("Rule")? else {
        return Ok(ObjectLockConfiguration::default());
    };
    rule.only(&["DefaultRetention"])?;
    let default = rule.optional("DefaultRetention")?.ok_or_else(malformed)?;
    default.only(&["Mode", "Days", "Years"])?;
    let mode = parse_mode(default.required_text("Mode")?).ok_or_else(malformed)?;
    let period = match (default.optional_text("Days")?, default.optional_text("Years")?) {
        (Some(days), None) => RetentionPeriod::Days(parse_period(days, MOST_DAYS)?),
        (None, Some(years)) => RetentionPeriod::Years(parse_period(years, MOST_YEARS)?),
        _ => return Err(malformed()),
    };
    Ok(ObjectLockConfiguration { default: Some(DefaultRetention { mode, period }) })
}

fn parse_period(text: &str, most: i64) -> Result<u32, S3Error> {
    let number: i64 = text.trim().parse().map_err(|_| malformed())?;
    if number > most {
        return Err(S3Error::because(Code::InvalidRetentionPeriod, "Default retention period too large"));
    }
    u32::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| Code::InvalidRetentionPeriod.into())
}

/// An empty document takes the retention off.
pub(crate) fn parse_retention(document: &[u8]) -> Result<Option<Retention>, S3Error> {
    let root = Element::parse(document, "Retention")?;
    root.only(&["Mode", "RetainUntilDate"])?;
    match (root.optional_text("Mode")?, root.optional_text("RetainUntilDate")?) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => Ok(Some(Retention {
            mode: parse_mode(mode).ok_or_else(malformed)?,
            until: dates::parse_document(until).ok_or_else(malformed)?,
        })),
        _ => Err(malformed()),
    }
}

pub(crate) fn parse_legal_hold(document: &[u8]) -> Result<bool, S3Error> {
    let root = Element::parse(document, "LegalHold")?;
    root.only(&["Status"])?;
    parse_status(root.required_text("Status")?).ok_or_else(malformed)
}

fn parse_mode(text: &str) -> Option<RetentionMode> {
    match text {
        "GOVERNANCE" => Some(RetentionMode::Governance),
        "COMPLIANCE" => Some(RetentionMode::Compliance),
        _ => None,
    }
}

fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}

fn parse_status(text: &str) -> Option<bool> {
    match text {
        "ON" => Some(true),
        "OFF" => Some(false),
        _ => None,
    }
}

fn status_name(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(rule: &str) -> Result<ObjectLockConfiguration, Code> {
        let document = format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
        );
        parse_configuration(document.as_bytes()).map_err(|error| error.code)
    }

    fn default(inner: &str) -> Result<ObjectLockConfiguration, Code> {
        configuration(&format!("<Rule><DefaultRetention>{inner}</DefaultRetention></Rule>"))
    }

    #[test]
    fn a_configuration_has_one_period_and_a_known_mode() {
        assert_eq!(configuration(""), Ok(ObjectLockConfiguration::default()));
        let expected = DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(1) };
        let days = default("<Mode>GOVERNANCE</Mode><Days>1</Days>");
        assert_eq!(days, Ok(ObjectLockConfiguration { default: Some(expected) }));
        for wrong in [
            "<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>",
            "<Mode>GOVERNANCE</Mode>",
            "<Mode>governance</Mode><Days>1</Days>",
            "<Mode>GOVERNANCE</Mode><Days>x</Days>",
            "<Days>1</Days>",
        ] {
            assert_eq!(default(wrong), Err(Code::MalformedXML), "{wrong}");
        }
        for wrong in ["<Days>0</Days>", "<Years>-1</Years>", "<Years>101</Years>", "<Days>36501</Days>"] {
            let wrong = format!("<Mode>COMPLIANCE</Mode>{wrong}");
            assert_eq!(default(&wrong), Err(Code::InvalidRetentionPeriod), "{wrong}");
        }
    }

    #[test]
    fn a_retention_is_whole_or_absent() {
        let read = |inner: &str| parse_retention(format!("<Retention>{inner}</Retention>").as_bytes());
        assert_eq!(read(""), Ok(None));
        let until = "<RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>";
        let expected = Retention { mode: RetentionMode::Compliance, until: 1_893_456_000_000 };
        assert_eq!(read(&format!("<Mode>COMPLIANCE</Mode>{until}")), Ok(Some(expected)));
        for wrong in ["<Mode>COMPLIANCE</Mode>", until, "<Mode>abc</Mode>"] {
            assert_eq!(read(wrong).expect_err(wrong).code, Code::MalformedXML);
        }
    }
}
