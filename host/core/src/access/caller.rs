//! Who asks, with what a policy's conditions may look at.

use crate::names::AccountId;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use time::OffsetDateTime;

/// Who asks; cheap to clone.
#[derive(Clone)]
pub struct Caller {
    /// The account, or the anonymous one.
    pub account: AccountId,
    /// The twelve digits of its ARN; empty for the anonymous one.
    pub short_id: Arc<str>,
    /// The request, when there is one.
    pub context: Option<Arc<dyn RequestContext>>,
}

/// A request as conditions of policies see it.
pub trait RequestContext: Send + Sync {
    /// Where it came from.
    fn source(&self) -> Option<IpAddr>;
    /// Whether it came over TLS.
    fn is_secure(&self) -> bool;
    /// A header by its name in lower case.
    fn header(&self, name: &str) -> Option<String>;
    /// A query parameter, decoded.
    fn query(&self, name: &str) -> Option<String>;
    /// How it was signed; `None` when it was not.
    fn signature(&self) -> Option<Signature> {
        None
    }
    /// The service that acts here, when it is no client.
    fn service(&self) -> Option<&ServiceCall> {
        None
    }
    /// What the answer calls the request, and the server: `x-amz-request-id`, `x-amz-id-2`.
    fn ids(&self) -> (&str, &str) {
        ("", "")
    }
    /// Whether a browser's form is what was sent.
    fn is_form(&self) -> bool {
        false
    }
}

/// A verified signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// What conditions call the scheme: `AWS4-HMAC-SHA256`, or `AWS` for the one before.
    pub version: &'static str,
    /// Where in the request it was.
    pub place: SignaturePlace,
    /// When it was made, as the signer says; `None` for a scheme or a request that does not say.
    pub made: Option<OffsetDateTime>,
}

/// Where a request has its signature, as `s3:authType` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignaturePlace {
    /// In the header `Authorization`.
    Header,
    /// In the URL.
    Query,
    /// In the fields of a form.
    Form,
}

impl SignaturePlace {
    /// Its name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "REST-HEADER",
            Self::Query => "REST-QUERY-STRING",
            Self::Form => "POST",
        }
    }
}

/// What a service of the server's own does in the name of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// As policies name it as a principal: `s3.amazonaws.com`.
    pub name: &'static str,
    /// `aws:SourceArn`: the bucket's.
    pub source_arn: String,
    /// `aws:SourceAccount`: the twelve digits of the bucket's owner.
    pub source_account: String,
}

impl Caller {
    /// An account that asks for itself, without a request that conditions could look at.
    pub fn of_account(account: AccountId) -> Self {
        Self { account, short_id: Arc::from(""), context: None }
    }

    /// A service, which owns nothing and may do what a policy or a list lets it.
    pub fn of_service(call: ServiceCall) -> Self {
        let account = AccountId::new(call.name);
        Self { context: Some(Arc::new(Inside(call))), ..Self::of_account(account) }
    }

    /// Somebody who did not sign.
    pub fn anonymous(context: Arc<dyn RequestContext>) -> Self {
        Self { account: AccountId::anonymous(), short_id: Arc::from(""), context: Some(context) }
    }

    /// The service that asks, when it is no client.
    pub fn service(&self) -> Option<&ServiceCall> {
        self.context.as_ref()?.service()
    }

    /// Whether this service asks.
    pub fn is_service(&self, name: &str) -> bool {
        self.service().is_some_and(|service| service.name == name)
    }

    /// Whether an account asks, not a service or somebody unknown.
    pub fn is_account(&self) -> bool {
        self.service().is_none() && !self.is_anonymous()
    }

    /// Whether nobody signed.
    pub fn is_anonymous(&self) -> bool {
        self.account.is_anonymous()
    }
}

/// A call that never leaves the process, with nothing but its service.
struct Inside(ServiceCall);

impl RequestContext for Inside {
    fn source(&self) -> Option<IpAddr> {
        None
    }

    fn is_secure(&self) -> bool {
        true
    }

    fn header(&self, _name: &str) -> Option<String> {
        None
    }

    fn query(&self, _name: &str) -> Option<String> {
        None
    }

    fn service(&self) -> Option<&ServiceCall> {
        Some(&self.0)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Caller").field(&self.account).finish()
    }
}
