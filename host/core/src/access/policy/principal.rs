//! Whom a statement is about.

use super::MalformedPolicy;
use super::request::Request;
use serde_json::Value;

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone)]
pub(super) struct Principals {
    pub(super) is_negated: bool,
    members: Vec<Principal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Principal {
    /// Everybody, also who did not sign.
    Everybody,
    /// The twelve digits of an account: everybody in it.
    Account(String),
    /// A user or role of an account, by ARN.
    Arn(String),
    /// An account by its canonical id.
    Canonical(String),
    /// A service: one of the server's own, or one of AWS's, which never calls here.
    Service(String),
    /// Who comes through an identity provider, which nobody does here.
    Federated,
}

impl Principals {
    pub(super) fn parse(value: &Value, is_negated: bool) -> Result<Self, MalformedPolicy> {
        let members = match value {
            Value::String(text) if text == "*" => vec![Principal::Everybody],
            Value::Object(kinds) if !kinds.is_empty() => {
                let mut members = Vec::new();
                for (kind, names) in kinds {
                    for name in super::parse::texts(names).ok_or_else(invalid)? {
                        members.push(principal(kind, name)?);
                    }
                }
                members
            }
            _ => return Err(invalid()),
        };
        Ok(Self { is_negated, members })
    }

    pub(super) fn contain(&self, request: &Request<'_>) -> bool {
        self.members.iter().any(|member| member.is(request)) != self.is_negated
    }

    /// Whether a service is among them.
    pub(super) fn have_service(&self, name: &str) -> bool {
        let is_it = |member: &Principal| matches!(member, Principal::Service(own) if own == name);
        !self.is_negated && self.members.iter().any(|member| *member == Principal::Everybody || is_it(member))
    }

    /// Whether somebody is among them of whom nothing is known.
    pub(super) fn are_open(&self) -> bool {
        self.is_negated || self.members.contains(&Principal::Everybody)
    }
}

impl Principal {
    fn is(&self, request: &Request<'_>) -> bool {
        let caller = request.caller;
        match self {
            Self::Everybody => true,
            Self::Account(short_id) => caller.is_account() && *caller.short_id == **short_id,
            Self::Arn(arn) => request.principal_arn().is_some_and(|own| own == *arn),
            Self::Canonical(id) => caller.is_account() && caller.account.as_str() == id,
            Self::Service(name) => caller.is_service(name),
            Self::Federated => false,
        }
    }
}

fn principal(kind: &str, name: &str) -> Result<Principal, MalformedPolicy> {
    match kind {
        "AWS" | "CanonicalUser" | "Federated" | "Service" if name.is_empty() => Err(invalid()),
        "AWS" if name == "*" => Ok(Principal::Everybody),
        "AWS" if name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Principal::Account(name.to_owned()))
        }
        "AWS" => arn(name),
        "CanonicalUser" => Ok(Principal::Canonical(name.to_owned())),
        "Service" => Ok(Principal::Service(name.to_owned())),
        "Federated" => Ok(Principal::Federated),
        _ => Err(invalid()),
    }
}

/// `arn:PARTITION:iam::ACCOUNT:root`, `user/...` and so on.
fn arn(name: &str) -> Result<Principal, MalformedPolicy> {
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam" | "sts", "", account, "root"] if !account.is_empty() => {
            Ok(Principal::Account((*account).to_owned()))
        }
        ["arn", _, "iam" | "sts", "", _, resource]
            if ["user/", "role/", "assumed-role/", "federated-user/", "group/"]
                .iter()
                .any(|kind| resource.starts_with(kind)) =>
        {
            Ok(Principal::Arn(name.to_owned()))
        }
        _ => Err(invalid()),
    }
}

fn invalid() -> MalformedPolicy {
    MalformedPolicy("Invalid principal in policy".to_owned())
}
