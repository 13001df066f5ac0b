//! What a policy is asked, and the condition keys that it may look at.

use super::steps::Steps;
use crate::access::{Action, Caller};
use crate::metadata::Bucket;
use crate::names::ObjectKey;
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
    /// In place of the query's, when a listing is only implied.
    pub(crate) prefix: Option<&'a str>,
    /// What the decision may still cost.
    pub(crate) steps: Steps,
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
        match name {
            "prefix" if self.prefix.is_some() => self.prefix.map(str::to_owned),
            "prefix" | "delimiter" | "max-keys" => context.query(name),
            "versionid" => context.query("versionId"),
            "if-match" | "if-none-match" => context.header(name),
            "locationconstraint" => Some(self.bucket.location.to_string()),
            "authtype" => self.auth_type().map(str::to_owned),
            "signatureversion" => {
                let old = context.header("authorization").is_some_and(|header| header.starts_with("AWS "))
                    || context.query("AWSAccessKeyId").is_some();
                self.auth_type().map(|_| if old { "AWS" } else { "AWS4-HMAC-SHA256" }.to_owned())
            }
            "signatureage" => self.signature_age(),
            "object-lock-remaining-retention-days" => {
                let until = context.header("x-amz-object-lock-retain-until-date")?;
                let until = OffsetDateTime::parse(&until, &Rfc3339).ok()?;
                Some((until - OffsetDateTime::now_utc()).whole_days().to_string())
            }
            header if header.starts_with("x-amz-") => context.header(header),
            lock if lock.starts_with("object-lock-") => context.header(&format!("x-amz-{lock}")),
            _ => None,
        }
    }

    /// Since the request was signed, in milliseconds.
    fn signature_age(&self) -> Option<String> {
        let context = self.caller.context.as_ref().filter(|_| !self.caller.is_anonymous())?;
        let text = context.query("X-Amz-Date").or_else(|| context.header("x-amz-date"))?;
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let signed = time::PrimitiveDateTime::parse(&text, format).ok()?.assume_utc();
        Some((OffsetDateTime::now_utc() - signed).whole_milliseconds().to_string())
    }

    fn auth_type(&self) -> Option<&'static str> {
        let context = self.caller.context.as_ref()?;
        if self.caller.is_anonymous() {
            None
        } else if context.header("authorization").is_some() {
            Some("REST-HEADER")
        } else if ["X-Amz-Signature", "Signature"].iter().any(|name| context.query(name).is_some()) {
            Some("REST-QUERY-STRING")
        } else {
            Some("POST")
        }
    }
}

fn tagged(tags: &[(String, String)], name: &str) -> Vec<String> {
    tags.iter().filter(|(tag, _)| tag == name).map(|(_, value)| value.clone()).collect()
}
