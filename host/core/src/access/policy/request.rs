//! What a policy is asked, and the condition keys that it may look at.

use super::steps::Steps;
use crate::access::{Action, Caller};
use crate::metadata::Bucket;
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::object_lock::ObjectLock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One question: may the caller do this?
pub(crate) struct Request<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) action: Action,
    pub(crate) bucket: &'a Bucket,
    /// `None` for the bucket itself.
    pub(crate) key: Option<&'a ObjectKey>,
    /// Of the object as it is.
    pub(crate) existing_tags: &'a [(String, String)],
    /// What the request would make them.
    pub(crate) request_tags: &'a [(String, String)],
    /// What is about to be done, as far as it is not in what came before.
    pub(crate) facts: Facts<'a>,
    /// In place of the query's, when a listing is only implied.
    pub(crate) prefix: Option<&'a str>,
    /// What the decision may still cost.
    pub(crate) steps: Steps,
}

/// What an operation is about to do. Conditions look at this, and not at the request's text,
/// which may say something else: in a header that the operation does not read, for a version
/// that the body names, in another spelling.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts<'a> {
    /// The version that is read, changed or deleted for good.
    pub(crate) version: Option<&'a VersionId>,
    /// What the request puts on a version.
    pub(crate) lock: ObjectLock,
    /// What is copied: bucket and key.
    pub(crate) copy_source: Option<(&'a BucketName, &'a ObjectKey)>,
    /// Whether an object comes into being now; `None` when nothing is written.
    pub(crate) creates: Option<bool>,
}

impl Request<'_> {
    /// The ARN of what it is done to.
    pub(super) fn resource(&self) -> String {
        match self.key {
            Some(key) => format!("arn:aws:s3:::{}/{key}", self.bucket.name),
            None => format!("arn:aws:s3:::{}", self.bucket.name),
        }
    }

    /// The ARN of who asks: each access key is its account's root.
    pub(super) fn principal_arn(&self) -> Option<String> {
        self.caller.is_account().then(|| format!("arn:aws:iam::{}:root", self.caller.short_id))
    }

    /// The values of a
    /// [condition key](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys);
    /// none when the request has none.
    pub(super) fn values(&self, key: &str) -> Vec<String> {
        let (name, tag) = match key.split_once('/') {
            Some((name, tag)) => (name.to_ascii_lowercase(), Some(tag)),
            None => (key.to_ascii_lowercase(), None),
        };
        match (name.split_once(':'), tag) {
            (Some(("s3", "existingobjecttag")), Some(tag)) => tagged(self.existing_tags, tag),
            (Some(("s3", "requestobjecttag")), Some(tag)) => tagged(self.request_tags, tag),
            (Some(("s3", "requestobjecttagkeys")), None) => {
                self.request_tags.iter().map(|(tag, _)| tag.clone()).collect()
            }
            (Some(("aws", name)), None) => self.global(name).into_iter().collect(),
            (Some(("s3", name)), None) => self.of_s3(name).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn global(&self, name: &str) -> Option<String> {
        let context = self.caller.context.as_ref();
        let now = OffsetDateTime::now_utc();
        let signed = |text: String| self.caller.is_account().then_some(text);
        let service = self.caller.service();
        match name {
            "sourcearn" => service.map(|service| service.source_arn.clone()),
            "sourceaccount" => service.map(|service| service.source_account.clone()),
            "principalservicename" => service.map(|service| service.name.to_owned()),
            "principalisawsservice" => Some(service.is_some().to_string()),
            "sourceip" => context?.source().map(|address| address.to_canonical().to_string()),
            "securetransport" => Some(context?.is_secure().to_string()),
            "referer" => context?.header("referer"),
            "useragent" => context?.header("user-agent"),
            "currenttime" => now.format(&Rfc3339).ok(),
            "epochtime" => Some(now.unix_timestamp().to_string()),
            "principalaccount" | "userid" => signed(self.caller.short_id.to_string()),
            "principalarn" => self.principal_arn(),
            "principaltype" if service.is_some() => None,
            "principaltype" => Some(if self.caller.is_anonymous() { "Anonymous" } else { "Account" }.to_owned()),
            "requestedregion" => Some(self.bucket.location.to_string()),
            _ => None,
        }
    }

    fn of_s3(&self, name: &str) -> Option<String> {
        let context = self.caller.context.as_ref()?;
        let signature = || context.signature().filter(|_| !self.caller.is_anonymous());
        let retention = self.facts.lock.retention;
        let until = || OffsetDateTime::from_unix_timestamp_nanos(i128::from(retention?.until) * 1_000_000).ok();
        match name {
            "prefix" if self.prefix.is_some() => self.prefix.map(str::to_owned),
            "prefix" | "delimiter" | "max-keys" => context.query(name),
            "versionid" => self.facts.version.map(ToString::to_string),
            "if-match" | "if-none-match" => context.header(name),
            "objectcreationoperation" => self.facts.creates.map(|creates| creates.to_string()),
            "locationconstraint" => Some(self.bucket.location.to_string()),
            "authtype" => signature().map(|signature| signature.place.name().to_owned()),
            "signatureversion" => signature().map(|signature| signature.version.to_owned()),
            // In milliseconds.
            "signatureage" => {
                signature()?.made.map(|made| (OffsetDateTime::now_utc() - made).whole_milliseconds().to_string())
            }
            "object-lock-mode" => retention.map(|retention| retention.mode.name().to_owned()),
            "object-lock-retain-until-date" => until()?.format(&Rfc3339).ok(),
            "object-lock-remaining-retention-days" => {
                Some((until()? - OffsetDateTime::now_utc()).whole_days().to_string())
            }
            "object-lock-legal-hold" => self.facts.lock.legal_hold.map(|on| if on { "ON" } else { "OFF" }.to_owned()),
            "x-amz-copy-source" => self.facts.copy_source.map(|(bucket, key)| format!("{bucket}/{key}")),
            header if header.starts_with("x-amz-") => context.header(header),
            _ => None,
        }
    }
}

fn tagged(tags: &[(String, String)], name: &str) -> Vec<String> {
    tags.iter().filter(|(tag, _)| tag == name).map(|(_, value)| value.clone()).collect()
}
