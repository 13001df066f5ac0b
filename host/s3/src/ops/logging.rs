//! Whether a bucket's accesses are logged, and where to.

use crate::error::S3Error;
use crate::ops::acl;
use crate::ops::answer::{self, Answer};
use crate::ops::call::{Call, bucket_name};
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::access::{Action, Grant, MAX_GRANTS, Permission};
use sallyport_core::body::Body;
use sallyport_core::logging::{BucketLogging, LogKeyFormat};
use sallyport_core::names::AccountId;

/// A configuration, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;

/// PutBucketLogging.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let name = call.bucket()?;
    let document = call.document(body, MAX_DOCUMENT).await?;
    let owner = call.credentials.account(&call.gateway.bucket(&name).await?.owner);
    let account = owner.map(|person| person.short_id).unwrap_or_default();
    let logging = parse(&document, account, &|grant| acl::read_grant(call.credentials.as_ref(), grant))?;
    call.gateway.set_logging(&call.caller, &name, logging).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketLogging.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketLogging).await?;
    Ok(answer::xml(Document::s3("BucketLoggingStatus", |root| {
        if let Some(logging) = &bucket.settings.logging {
            root.nest("LoggingEnabled", |element| describe(element, logging, &|account| call.display_name(account)));
        }
    })))
}

fn describe(element: &mut Document, logging: &BucketLogging, name: &dyn Fn(&AccountId) -> String) {
    element.text("TargetBucket", logging.target.as_str());
    if !logging.grants.is_empty() {
        element.nest("TargetGrants", |element| {
            logging.grants.iter().for_each(|grant| acl::describe_grant(element, grant, name));
        });
    }
    element.text("TargetPrefix", &logging.prefix);
    let partitioned = |element: &mut Document, source: &str| {
        element.nest("TargetObjectKeyFormat", |element| {
            element.nest("PartitionedPrefix", |element| element.text("PartitionDateSource", source));
        });
    };
    match logging.format {
        LogKeyFormat::Simple => {
            element.nest("TargetObjectKeyFormat", |element| element.nest("SimplePrefix", |_| {}));
        }
        LogKeyFormat::EventTime => partitioned(element, "EventTime"),
        LogKeyFormat::DeliveryTime => partitioned(element, "DeliveryTime"),
    }
}

pub(crate) fn parse(
    document: &[u8],
    account: String,
    read_grant: &dyn Fn(&Element) -> Result<Grant, S3Error>,
) -> Result<Option<BucketLogging>, S3Error> {
    let root = Element::parse(document, "BucketLoggingStatus")?;
    root.only(&["LoggingEnabled"])?;
    let Some(enabled) = root.optional("LoggingEnabled")? else { return Ok(None) };
    enabled.only(&["TargetBucket", "TargetPrefix", "TargetGrants", "TargetObjectKeyFormat"])?;
    let grants = match enabled.optional("TargetGrants")? {
        None => Vec::new(),
        Some(grants) => {
            grants.only(&["Grant"])?;
            grants.all("Grant").map(read_grant).collect::<Result<_, _>>()?
        }
    };
    // What a list of an object cannot mean here, S3 does not take here.
    let is_legal = |grant: &Grant| !matches!(grant.permission, Permission::ReadAcp | Permission::WriteAcp);
    if grants.len() > MAX_GRANTS || !grants.iter().all(is_legal) {
        return Err(malformed());
    }
    Ok(Some(BucketLogging {
        target: bucket_name(enabled.required_text("TargetBucket")?)?,
        prefix: enabled.required_text("TargetPrefix")?.to_owned(),
        format: enabled.optional("TargetObjectKeyFormat")?.map_or_else(|| Ok(LogKeyFormat::default()), parse_format)?,
        grants,
        account,
    }))
}

fn parse_format(element: &Element) -> Result<LogKeyFormat, S3Error> {
    element.only(&["SimplePrefix", "PartitionedPrefix"])?;
    match (element.optional("SimplePrefix")?, element.optional("PartitionedPrefix")?) {
        (Some(_), None) => Ok(LogKeyFormat::Simple),
        (None, Some(partitioned)) => match partitioned.optional_text("PartitionDateSource")?.map(str::trim) {
            Some("EventTime") => Ok(LogKeyFormat::EventTime),
            None | Some("DeliveryTime") => Ok(LogKeyFormat::DeliveryTime),
            Some(_) => Err(malformed()),
        },
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_core::access::Grantee;

    fn parse(document: &[u8]) -> Result<Option<BucketLogging>, S3Error> {
        let grant = Grant { grantee: Grantee::AllUsers, permission: Permission::Read };
        super::parse(document, "123456789012".to_owned(), &|_| Ok(grant.clone()))
    }

    #[test]
    fn a_configuration_is_written_as_it_was_read() {
        let target = "<TargetBucket>target</TargetBucket><TargetGrants><Grant><Grantee \
                      xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">\
                      <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission>\
                      </Grant></TargetGrants><TargetPrefix>a/</TargetPrefix>";
        let partitioned = |source: &str| {
            format!(
                "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>{source}</PartitionDateSource>\
                 </PartitionedPrefix></TargetObjectKeyFormat>"
            )
        };
        let simple = "<TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat>".to_owned();
        for format in [simple, partitioned("EventTime"), partitioned("DeliveryTime")] {
            let content = format!("{target}{format}");
            let status =
                format!("<BucketLoggingStatus><LoggingEnabled>{content}</LoggingEnabled></BucketLoggingStatus>");
            let logging = parse(status.as_bytes()).expect("legal").expect("enabled");
            let written = Document::bare("L", |root| describe(root, &logging, &|account| account.as_str().to_owned()));
            assert!(written.ends_with(&format!("<L>{content}</L>")), "{written}");
        }
        let unsaid = format!("<BucketLoggingStatus><LoggingEnabled>{target}</LoggingEnabled></BucketLoggingStatus>");
        assert_eq!(
            parse(unsaid.as_bytes()).map(|logging| logging.map(|one| one.format)),
            Ok(Some(LogKeyFormat::Simple))
        );
        assert_eq!(parse(b"<BucketLoggingStatus/>"), Ok(None));
        let wrong = format!(
            "<BucketLoggingStatus><LoggingEnabled>{target}{}</LoggingEnabled></BucketLoggingStatus>",
            partitioned("Sometime")
        );
        assert!(parse(wrong.as_bytes()).is_err());
    }
}
