//! Events [as S3 writes them](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).

use super::announcement::Event;
use super::delivery::Message;
use super::event::EventKind;
use crate::names::{BucketName, WriteId};
use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Records<'a> {
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'a str,
    event_time: String,
    event_name: &'static str,
    user_identity: Identity<'a>,
    request_parameters: Parameters<'a>,
    response_elements: Elements<'a>,
    s3: S3<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifecycle_event_data: Option<Lifecycle<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    principal_id: &'a str,
}

#[derive(Serialize)]
struct Parameters<'a> {
    #[serde(rename = "sourceIPAddress")]
    source: &'a str,
}

#[derive(Serialize)]
struct Elements<'a> {
    #[serde(rename = "x-amz-request-id")]
    request_id: &'a str,
    #[serde(rename = "x-amz-id-2")]
    host_id: &'a str,
}

#[derive(Serialize)]
struct S3<'a> {
    #[serde(rename = "s3SchemaVersion")]
    schema: &'static str,
    #[serde(rename = "configurationId")]
    configuration: &'a str,
    bucket: Bucket<'a>,
    object: Object<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket<'a> {
    name: &'a str,
    owner_identity: Identity<'a>,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(rename = "eTag", skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    sequencer: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lifecycle<'a> {
    transition_event_data: Transition<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Transition<'a> {
    destination_storage_class: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TestEvent<'a> {
    service: &'static str,
    event: &'static str,
    time: String,
    bucket: &'a str,
    request_id: &'a str,
    host_id: &'a str,
}

impl Event {
    /// The message of this event alone.
    pub fn message(&self) -> Message {
        let transition = |class| Lifecycle { transition_event_data: Transition { destination_storage_class: class } };
        let record = Record {
            event_version: version(self.kind),
            event_source: "aws:s3",
            aws_region: &self.cause.region,
            event_time: timestamp(self.time),
            event_name: self.kind.name(),
            user_identity: Identity { principal_id: &self.cause.principal },
            request_parameters: Parameters { source: &self.cause.source },
            response_elements: Elements { request_id: &self.cause.request_id, host_id: &self.cause.host_id },
            s3: S3 {
                schema: "1.0",
                configuration: &self.configuration,
                bucket: Bucket {
                    name: self.bucket.as_str(),
                    owner_identity: Identity { principal_id: &self.cause.owner },
                    arn: format!("arn:aws:s3:::{}", self.bucket),
                },
                object: Object {
                    key: encode_key(self.key.as_str()),
                    size: self.object.size,
                    etag: self.object.etag.as_deref(),
                    version_id: self.object.version.as_ref().map(|version| version.as_str()),
                    sequencer: format!("{:016X}", self.sequencer),
                },
            },
            lifecycle_event_data: self.object.storage_class.as_deref().map(transition),
        };
        Message { id: format!("{:016x}", self.id), body: json(&Records { records: [record] }) }
    }
}

/// What a destination gets when a bucket is configured to tell it of events.
pub fn test_message(bucket: &BucketName, now: i64, (request_id, host_id): (&str, &str)) -> Message {
    let event = TestEvent {
        service: "Amazon S3",
        event: "s3:TestEvent",
        time: timestamp(now),
        bucket: bucket.as_str(),
        request_id,
        host_id,
    };
    Message { id: WriteId::random().to_string(), body: json(&event) }
}

/// Texts and numbers always have JSON.
fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Which version of the structure first had events of this kind.
fn version(kind: EventKind) -> &'static str {
    match kind {
        EventKind::CreatedByPut
        | EventKind::CreatedByPost
        | EventKind::CreatedByCopy
        | EventKind::CreatedByCompletion
        | EventKind::Removed
        | EventKind::MarkerCreated => "2.1",
        EventKind::Tagged
        | EventKind::Untagged
        | EventKind::ListReplaced
        | EventKind::Expired
        | EventKind::MarkerByExpiration
        | EventKind::Moved => "2.3",
    }
}

fn timestamp(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    time.ok().and_then(|time| time.format(format).ok()).unwrap_or_default()
}

/// As forms encode it, with slashes left as they are.
fn encode_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'*' | b'/' => {
                encoded.push(char::from(byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, EventObject};
    use super::*;
    use crate::names::{ObjectKey, VersionId};

    fn event(kind: EventKind, object: EventObject) -> Event {
        Event {
            id: 31,
            kind,
            time: 1_764_097_200_123,
            cause: Cause {
                principal: "me".into(),
                source: "127.0.0.1".into(),
                request_id: "REQUEST".into(),
                host_id: "host".into(),
                region: "us-east-1".into(),
                owner: "owner".into(),
            },
            configuration: "rule".into(),
            bucket: BucketName::parse("bucket").unwrap(),
            key: ObjectKey::parse("red flower/ä+b.jpg").unwrap(),
            object,
            sequencer: 0x0100_0000_0002,
        }
    }

    fn text(message: &Message) -> &str {
        std::str::from_utf8(&message.body).unwrap()
    }

    #[test]
    fn a_message_has_the_structure_that_s3_documents() {
        let object = EventObject {
            size: Some(1024),
            etag: Some("d41d8cd98f00b204e9800998ecf8427e".into()),
            version: Some(VersionId::from_client("v1")),
            storage_class: None,
        };
        let message = event(EventKind::CreatedByPut, object).message();
        assert_eq!(message.id, "000000000000001f");
        let expected = concat!(
            r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","#,
            r#""eventTime":"2025-11-25T19:00:00.123Z","eventName":"ObjectCreated:Put","#,
            r#""userIdentity":{"principalId":"me"},"requestParameters":{"sourceIPAddress":"127.0.0.1"},"#,
            r#""responseElements":{"x-amz-request-id":"REQUEST","x-amz-id-2":"host"},"#,
            r#""s3":{"s3SchemaVersion":"1.0","configurationId":"rule","#,
            r#""bucket":{"name":"bucket","ownerIdentity":{"principalId":"owner"},"arn":"arn:aws:s3:::bucket"},"#,
            r#""object":{"key":"red+flower/%C3%A4%2Bb.jpg","size":1024,"#,
            r#""eTag":"d41d8cd98f00b204e9800998ecf8427e","versionId":"v1","sequencer":"0000010000000002"}}}]}"#
        );
        assert_eq!(text(&message), expected);
    }

    #[test]
    fn a_transition_says_where_to_and_a_removal_no_size() {
        let moved = EventObject { storage_class: Some("cold".into()), ..EventObject::default() };
        let moved = event(EventKind::Moved, moved).message();
        let expected = r#""lifecycleEventData":{"transitionEventData":{"destinationStorageClass":"cold"}}}]}"#;
        assert!(text(&moved).ends_with(expected), "{}", text(&moved));
        let removed = event(EventKind::Removed, EventObject::default()).message();
        let expected = r#""object":{"key":"red+flower/%C3%A4%2Bb.jpg","sequencer":"0000010000000002"}}}]}"#;
        assert!(text(&removed).ends_with(expected), "{}", text(&removed));
    }

    #[test]
    fn a_test_event_is_worded_as_s3_words_it() {
        let bucket = BucketName::parse("bucket").unwrap();
        let message = test_message(&bucket, 0, ("REQUEST", "host"));
        let expected = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"1970-01-01T00:00:00.000Z","Bucket":"bucket","RequestId":"REQUEST","HostId":"host"}"#;
        assert_eq!(text(&message), expected);
    }
}
