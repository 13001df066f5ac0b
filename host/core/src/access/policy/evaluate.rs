//! Decides requests: a deny beats every allow.

use super::request::Request;
use super::{MalformedPolicy, Policy, Statement, Steps};
use crate::names::BucketName;

/// What a policy says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A statement denies it.
    Denied,
    /// A statement allows it, and none denies it.
    Allowed,
    /// Nothing is said about it.
    Silent,
}

impl Policy {
    /// What the policy says to a request.
    pub(crate) fn decide(&self, request: &Request<'_>) -> Verdict {
        let verdict = self.judge(request);
        // What could not be compared might have been a deny.
        if request.steps.are_spent() { Verdict::Denied } else { verdict }
    }

    fn judge(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in self.statements.iter().filter(|statement| statement.applies(request)) {
            if !statement.allows {
                return Verdict::Denied;
            }
            verdict = Verdict::Allowed;
        }
        verdict
    }

    /// Whether a statement allows something to a service, whatever its conditions are.
    pub(crate) fn speaks_of_service(&self, name: &str) -> bool {
        self.statements.iter().any(|statement| statement.allows && statement.principals.have_service(name))
    }

    /// Whether a condition looks at the tags that an object has.
    pub(crate) fn looks_at_tags(&self) -> bool {
        let keys = self.statements.iter().flat_map(|statement| &statement.conditions);
        keys.into_iter().any(|condition| condition.key().to_ascii_lowercase().starts_with("s3:existingobjecttag/"))
    }

    /// Refuses a policy that speaks of other buckets than its own.
    ///
    /// # Errors
    /// [`MalformedPolicy`].
    pub fn check_resources(&self, bucket: &BucketName) -> Result<(), MalformedPolicy> {
        let own = format!("arn:aws:s3:::{bucket}");
        let (nothing, steps) = (|_: &str| Vec::new(), Steps::default());
        let reaches = |text: &str| {
            // Up to the first `/` is the bucket's name, perhaps with wildcards.
            let name = text.split('/').next().unwrap_or_default();
            text == "*" || super::Glob::parse(name).matches(&own, &steps)
        };
        let resources = self.statements.iter().flat_map(|statement| &statement.resources.members);
        let mut texts = resources.map(|resource| resource.text(usize::MAX, &nothing));
        if texts.all(|text| text.is_none_or(|text| reaches(&text))) {
            return Ok(());
        }
        Err(MalformedPolicy("Policy has invalid resource".to_owned()))
    }
}

impl Statement {
    fn applies(&self, request: &Request<'_>) -> bool {
        let value = |key: &str| request.values(key);
        let action = request.action.name().to_ascii_lowercase();
        let resource = request.resource();
        let is_resource = |template: &super::Template| {
            let glob = template.resolve(resource.len(), &value);
            glob.is_some_and(|glob| glob.matches(&resource, &request.steps))
        };
        // `NotResource` with a variable that has no value excepts nothing: that may deny, not allow.
        let excepts_nothing = || self.resources.members.iter().any(|one| one.lacks_a_value(&value));
        self.actions.contains(|glob| glob.matches(&action, &request.steps))
            && self.resources.contains(is_resource)
            && !(self.allows && self.resources.is_negated && excepts_nothing())
            && self.principals.contain(request)
            && self.conditions.iter().all(|condition| condition.holds(request))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
