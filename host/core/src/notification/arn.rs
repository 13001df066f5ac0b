//! Names of destinations, and the ARNs that configurations call them by.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name, in bytes: as long as a queue's may be on AWS.
const LONGEST: usize = 80;

/// A destination's name: `resource` in `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DestinationName(String);

/// Which element of a configuration names the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DestinationKind {
    /// `TopicConfiguration`.
    Topic,
    /// `QueueConfiguration`.
    Queue,
    /// `CloudFunctionConfiguration`.
    Function,
}

/// Why a text names no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The ARN is not well formed")]
pub struct InvalidArn;

impl DestinationName {
    /// Takes 1 to 80 letters, digits, dots, hyphens and underscores.
    pub fn parse(name: &str) -> Option<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_legal = (1..=LONGEST).contains(&name.len()) && name.bytes().all(legal);
        is_legal.then(|| Self(name.to_owned()))
    }

    /// The destination that an ARN of this kind means: its last part, whichever region and
    /// account it tells. `arn:scality:bucketnotif:::NAME`, as CloudServer has it, goes
    /// everywhere, and so does MinIO's `arn:minio:sqs:REGION:NAME:TYPE`.
    ///
    /// # Errors
    /// When it is no such ARN.
    pub fn of_arn(arn: &str, kind: DestinationKind) -> Result<Self, InvalidArn> {
        let parts: Vec<&str> = arn.split(':').collect();
        let name = match (parts.as_slice(), kind) {
            (["arn", "scality", "bucketnotif", _, _, name], _) | (["arn", "minio", "sqs", _, name, _], _) => name,
            (["arn", partition, "sqs", _, _, name], DestinationKind::Queue)
            | (["arn", partition, "sns", _, _, name], DestinationKind::Topic)
            | (["arn", partition, "lambda", _, _, "function", name], DestinationKind::Function)
                if partition.starts_with("aws") =>
            {
                name
            }
            _ => return Err(InvalidArn),
        };
        Self::parse(name).ok_or(InvalidArn)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_means_a_destination_of_its_kind() {
        let name = |arn, kind| DestinationName::of_arn(arn, kind).ok().map(|name| name.to_string());
        let hooks = Some("hooks".to_owned());
        assert_eq!(name("arn:aws:sqs:us-east-1:123456789012:hooks", DestinationKind::Queue), hooks);
        assert_eq!(name("arn:aws-cn:sns:::hooks", DestinationKind::Topic), hooks);
        assert_eq!(name("arn:aws:lambda:eu:1:function:hooks", DestinationKind::Function), hooks);
        for kind in [DestinationKind::Topic, DestinationKind::Queue, DestinationKind::Function] {
            assert_eq!(name("arn:scality:bucketnotif:::hooks", kind), hooks);
            assert_eq!(name("arn:minio:sqs::hooks:webhook", kind), hooks);
        }
        for arn in ["", "hooks", "arn:aws:sns:::hooks", "arn:aws:sqs:::", "arn:aws:sqs:::a:b", "arn:aws:sqs:::a b"] {
            assert_eq!(name(arn, DestinationKind::Queue), None, "{arn}");
        }
    }
}
