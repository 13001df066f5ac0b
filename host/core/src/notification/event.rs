//! Which changes there are, and which of them a rule asks for.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($name:ident $text:literal;)*) => {
        /// A change that is told of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $(#[doc = concat!("`s3:", $text, "`")] $name,)*
        }

        impl EventKind {
            /// Its name in a message, which has no `s3:` in front.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether a delete marker is what comes of it.
            pub fn leaves_marker(self) -> bool {
                matches!(self, Self::MarkerCreated | Self::MarkerByExpiration)
            }
        }
    };
}

kinds! {
    CreatedByPut "ObjectCreated:Put";
    CreatedByPost "ObjectCreated:Post";
    CreatedByCopy "ObjectCreated:Copy";
    CreatedByCompletion "ObjectCreated:CompleteMultipartUpload";
    Removed "ObjectRemoved:Delete";
    MarkerCreated "ObjectRemoved:DeleteMarkerCreated";
    Tagged "ObjectTagging:Put";
    Untagged "ObjectTagging:Delete";
    ListReplaced "ObjectAcl:Put";
    Expired "LifecycleExpiration:Delete";
    MarkerByExpiration "LifecycleExpiration:DeleteMarkerCreated";
    Moved "LifecycleTransition";
}

/// What S3 lets a rule ask for. Some of it never happens here: what a rule of it asks for is
/// kept, and nothing comes of it.
const KNOWN: &[&str] = &[
    "IntelligentTiering",
    "LifecycleExpiration:*",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "LifecycleTransition",
    "ObjectAcl:Put",
    "ObjectCreated:*",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectCreated:Copy",
    "ObjectCreated:Post",
    "ObjectCreated:Put",
    "ObjectRemoved:*",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectRestore:*",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "ObjectRestore:Post",
    "ObjectTagging:*",
    "ObjectTagging:Delete",
    "ObjectTagging:Put",
    "ReducedRedundancyLostObject",
    "Replication:*",
    "Replication:OperationFailedReplication",
    "Replication:OperationMissedThreshold",
    "Replication:OperationNotTracked",
    "Replication:OperationReplicatedAfterThreshold",
];

/// A name of an event, or of several of a kind: `s3:ObjectCreated:*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventPattern(String);

impl EventPattern {
    /// Takes a name that S3 knows, with its `s3:`.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix("s3:")?;
        KNOWN.contains(&name).then(|| Self(text.to_owned()))
    }

    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a change is meant.
    pub fn matches(&self, kind: EventKind) -> bool {
        self.covers(kind.name())
    }

    /// Whether some event is meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other.name()) || other.covers(self.name())
    }

    fn name(&self) -> &str {
        self.0.strip_prefix("s3:").unwrap_or(&self.0)
    }

    fn covers(&self, name: &str) -> bool {
        match self.name().strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => self.name() == name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> EventPattern {
        EventPattern::parse(text).unwrap()
    }

    #[test]
    fn a_wildcard_means_all_of_its_kind_and_no_other() {
        let created = pattern("s3:ObjectCreated:*");
        assert!(created.matches(EventKind::CreatedByCopy) && created.matches(EventKind::CreatedByPost));
        assert!(!created.matches(EventKind::Removed) && !created.matches(EventKind::Tagged));
        assert!(!pattern("s3:ObjectRemoved:*").matches(EventKind::Expired));
        assert!(pattern("s3:LifecycleTransition").matches(EventKind::Moved));
        assert!(
            created.overlaps(&pattern("s3:ObjectCreated:Put")) && pattern("s3:ObjectCreated:Put").overlaps(&created)
        );
        assert!(!pattern("s3:ObjectCreated:Put").overlaps(&pattern("s3:ObjectCreated:Post")));
    }

    #[test]
    fn what_s3_does_not_know_is_no_event() {
        for text in ["ObjectCreated:Put", "s3:ObjectCreated", "s3:ObjectCreated:put", "s3:TestEvent", "s3:*", ""] {
            assert_eq!(EventPattern::parse(text), None, "{text}");
        }
        let kinds = [EventKind::CreatedByCompletion, EventKind::MarkerByExpiration, EventKind::ListReplaced];
        assert!(kinds.iter().all(|kind| KNOWN.contains(&kind.name())));
    }
}
