//! Whom a bucket tells of changes.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::names::VersionId;
use sallyport_core::notification::{
    DestinationKind, DestinationName, EventPattern, KeyFilter, NotificationConfiguration, NotificationRule,
};

/// A configuration, in bytes: a hundred rules with the longest filters fit.
const MAX_DOCUMENT: u64 = 512 << 10;
/// Each kind of rule, and the element in it that names the destination.
const KINDS: [(DestinationKind, &str, &str); 3] = [
    (DestinationKind::Topic, "TopicConfiguration", "Topic"),
    (DestinationKind::Queue, "QueueConfiguration", "Queue"),
    (DestinationKind::Function, "CloudFunctionConfiguration", "CloudFunction"),
];

/// PutBucketNotificationConfiguration.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let configuration = parse(&call.document(body, MAX_DOCUMENT).await?)?;
    let skips = call.head.header("x-amz-skip-destination-validation");
    let tests_destinations = !skips.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    call.gateway.set_notifications(&call.caller, &call.bucket()?, configuration, tests_destinations).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketNotificationConfiguration.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketNotification).await?;
    Ok(answer::xml(Document::s3("NotificationConfiguration", |root| {
        let rules = bucket.settings.notifications.iter().flat_map(NotificationConfiguration::rules);
        rules.for_each(|rule| describe(root, rule));
    })))
}

fn describe(root: &mut Document, rule: &NotificationRule) {
    let kind = KINDS.iter().find(|(kind, _, _)| *kind == rule.kind);
    let Some((_, element, destination)) = kind else { return };
    root.nest(element, |element| {
        element.text("Id", &rule.id);
        element.text(destination, &rule.arn);
        for event in &rule.events {
            element.text("Event", event.as_str());
        }
        let values = [("prefix", &rule.filter.prefix), ("suffix", &rule.filter.suffix)];
        if values.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        element.nest("Filter", |filter| {
            filter.nest("S3Key", |key| {
                for (name, value) in values {
                    let Some(value) = value else { continue };
                    key.nest("FilterRule", |rule| {
                        rule.text("Name", name);
                        rule.text("Value", value);
                    });
                }
            });
        });
    });
}

fn parse(document: &[u8]) -> Result<NotificationConfiguration, S3Error> {
    let root = Element::parse(document, "NotificationConfiguration")?;
    let mut rules = Vec::new();
    for element in &root.children {
        if element.name == "EventBridgeConfiguration" {
            return Err(S3Error::not_implemented("EventBridgeConfiguration in NotificationConfiguration"));
        }
        let kind = KINDS.iter().find(|(_, name, _)| element.name == *name);
        let Some((kind, _, destination)) = kind else {
            return Err(malformed());
        };
        rules.push(rule(element, *kind, destination)?);
    }
    NotificationConfiguration::new(rules)
        .map_err(|invalid| S3Error::because(Code::InvalidArgument, invalid.to_string()))
}

fn rule(element: &Element, kind: DestinationKind, destination: &str) -> Result<NotificationRule, S3Error> {
    element.only(&["Id", "Event", "Filter", destination])?;
    let arn = element.required_text(destination)?.trim();
    let name = DestinationName::of_arn(arn, kind)
        .map_err(|invalid| S3Error::argument(destination, arn, invalid.to_string()))?;
    let events = element.all("Event").map(|event| pattern(event.text.trim()));
    let events = events.collect::<Result<Vec<_>, S3Error>>()?;
    if events.is_empty() {
        return Err(malformed());
    }
    let id = element.optional_text("Id")?.filter(|id| !id.is_empty()).map(str::to_owned);
    Ok(NotificationRule {
        // S3 names rules that have no name.
        id: id.unwrap_or_else(|| VersionId::random().to_string()),
        kind,
        arn: arn.to_owned(),
        destination: name,
        events,
        filter: element.optional("Filter")?.map(filter).transpose()?.unwrap_or_default(),
    })
}

fn pattern(event: &str) -> Result<EventPattern, S3Error> {
    let message = || format!("The event '{event}' is not supported for notifications");
    EventPattern::parse(event).ok_or_else(|| S3Error::argument("Event", event, message()))
}

fn filter(element: &Element) -> Result<KeyFilter, S3Error> {
    element.only(&["S3Key"])?;
    let mut filter = KeyFilter::default();
    let Some(key) = element.optional("S3Key")? else { return Ok(filter) };
    key.only(&["FilterRule"])?;
    for rule in key.all("FilterRule") {
        rule.only(&["Name", "Value"])?;
        let (name, value) = (rule.required_text("Name")?.trim(), rule.optional_text("Value")?.unwrap_or_default());
        let lower = name.to_ascii_lowercase();
        let slot = match lower.as_str() {
            "prefix" => &mut filter.prefix,
            "suffix" => &mut filter.suffix,
            _ => {
                let message = "filter rule name must be either prefix or suffix";
                return Err(S3Error::argument("FilterRule.Name", name, message));
            }
        };
        if slot.replace(value.to_owned()).is_some() {
            let message = format!("Cannot specify more than one {lower} rule in a filter.");
            return Err(S3Error::argument("FilterRule.Name", name, message));
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUEUE: &str = "<Queue>arn:aws:sqs:us-east-1:123456789012:hooks</Queue>";

    fn configuration(content: &str) -> Result<NotificationConfiguration, S3Error> {
        parse(format!("<NotificationConfiguration>{content}</NotificationConfiguration>").as_bytes())
    }

    fn written(configuration: &NotificationConfiguration) -> String {
        Document::bare("C", |root| configuration.rules().iter().for_each(|rule| describe(root, rule)))
    }

    #[test]
    fn a_configuration_is_written_as_it_was_read() {
        let content = format!(
            "<QueueConfiguration><Id>one</Id>{QUEUE}<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectAcl:Put</Event>\
             <Filter><S3Key><FilterRule><Name>prefix</Name><Value>images/</Value></FilterRule>\
             <FilterRule><Name>suffix</Name><Value>.png</Value></FilterRule></S3Key></Filter></QueueConfiguration>\
             <TopicConfiguration><Id>two</Id><Topic>arn:aws:sns:::news</Topic><Event>s3:ObjectRemoved:Delete</Event>\
             </TopicConfiguration><CloudFunctionConfiguration><Id>three</Id>\
             <CloudFunction>arn:scality:bucketnotif:::run</CloudFunction><Event>s3:LifecycleTransition</Event>\
             </CloudFunctionConfiguration>"
        );
        let read = configuration(&content).expect("legal");
        assert!(written(&read).ends_with(&format!("<C>{content}</C>")), "{}", written(&read));
        assert_eq!(configuration("").map(|none| none.rules().len()), Ok(0));
        let unnamed = format!("<QueueConfiguration>{QUEUE}<Event>s3:ObjectAcl:Put</Event></QueueConfiguration>");
        assert_eq!(configuration(&unnamed).expect("legal").rules()[0].id.len(), 32);
    }

    #[test]
    fn what_is_wrong_is_named_as_s3_names_it() {
        let code = |content: &str| configuration(content).expect_err(content).code;
        let queue = |content: &str| format!("<QueueConfiguration>{content}</QueueConfiguration>");
        let event = "<Event>s3:ObjectCreated:*</Event>";
        let filter = |rules: &str| queue(&format!("{QUEUE}{event}<Filter><S3Key>{rules}</S3Key></Filter>"));
        let rule = |name: &str| format!("<FilterRule><Name>{name}</Name><Value>a</Value></FilterRule>");
        for wrong in [
            queue(&format!("{QUEUE}<Event>s3:ObjectCreated:Frob</Event>")),
            queue(&format!("<Queue>arn:aws:sns:::topic</Queue>{event}")),
            queue(&format!("<Queue>hooks</Queue>{event}")),
            filter(&rule("infix")),
            filter(&format!("{}{}", rule("prefix"), rule("Prefix"))),
            format!("{0}{0}", queue(&format!("{QUEUE}{event}"))),
        ] {
            assert_eq!(code(&wrong), Code::InvalidArgument, "{wrong}");
        }
        for wrong in [queue(QUEUE), queue(event), "<Frob/>".to_owned(), queue(&format!("{QUEUE}{event}<Frob/>"))] {
            assert_eq!(code(&wrong), Code::MalformedXML, "{wrong}");
        }
        assert_eq!(code("<EventBridgeConfiguration/>"), Code::NotImplemented);
    }

    proptest! {
        #[test]
        fn filters_survive_writing_and_reading(prefix in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{0,20}", suffix in "[a-z<>&]{1,5}") {
            let content = format!(
                "<QueueConfiguration><Id>i</Id>{QUEUE}<Event>s3:ObjectCreated:*</Event></QueueConfiguration>"
            );
            let mut rules = configuration(&content).expect("legal").rules().to_vec();
            rules[0].filter = KeyFilter { prefix: Some(prefix), suffix: Some(suffix) };
            let before = NotificationConfiguration::new(rules).expect("legal");
            let text = written(&before);
            let text = text.replace("<C>", "<NotificationConfiguration>").replace("</C>", "</NotificationConfiguration>");
            prop_assert_eq!(parse(text.as_bytes()).expect("legal"), before);
        }
    }
}
