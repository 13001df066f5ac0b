//! Whether a policy makes a bucket
//! [public](https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status).

use super::condition::{Condition, network};
use super::{Policy, Statement};

/// Keys that tie a statement to somebody known, when their value is fixed.
const FIXING: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

impl Policy {
    /// Whether it allows something to somebody of whom nothing is known.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(Statement::is_public)
    }
}

impl Statement {
    fn is_public(&self) -> bool {
        self.allows && self.principals.are_open() && !self.conditions.iter().any(fixes)
    }
}

fn fixes(condition: &Condition) -> bool {
    let key = condition.key().to_ascii_lowercase();
    if !condition.is_fixed() {
        return false;
    }
    if key == "aws:sourceip" {
        // A network that nearly everybody is in says nothing.
        return condition
            .texts()
            .all(|text| network(&text).is_some_and(|(address, bits)| bits >= if address.is_ipv4() { 8 } else { 32 }));
    }
    FIXING.contains(&key.as_str())
}
