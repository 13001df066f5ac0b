//! Subresources that are never configured here: they read as those of a new bucket.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::router::Operation;
use crate::xml::Document;
use http::StatusCode;
use sallyport_core::access::Action;

/// Answers for what is not configured; `None` when the operation is no such probe.
pub(crate) async fn answer(call: &Call, operation: Operation) -> Result<Option<Answer>, S3Error> {
    let Some(reading) = reading(operation) else { return Ok(None) };
    call.bucket_for(action(operation)).await?;
    Ok(Some(match reading {
        Reading::Absent(code) => return Err(code.into()),
        Reading::EmptyList(root) => answer::xml(Document::s3(root, |element| element.text("IsTruncated", "false"))),
        Reading::NothingToDelete => answer::empty(StatusCode::NO_CONTENT),
    }))
}

#[derive(Clone, Copy)]
enum Reading {
    Absent(Code),
    EmptyList(&'static str),
    /// Deleting what is not there succeeds.
    NothingToDelete,
}

fn reading(operation: Operation) -> Option<Reading> {
    Some(match operation {
        Operation::GetBucketReplication => Reading::Absent(Code::ReplicationConfigurationNotFoundError),
        Operation::GetBucketAnalyticsConfiguration
        | Operation::GetBucketIntelligentTieringConfiguration
        | Operation::GetBucketMetricsConfiguration => Reading::Absent(Code::NoSuchConfiguration),
        Operation::ListBucketAnalyticsConfigurations => Reading::EmptyList("ListBucketAnalyticsConfigurationResult"),
        Operation::ListBucketIntelligentTieringConfigurations => {
            Reading::EmptyList("ListBucketIntelligentTieringConfigurationsOutput")
        }
        Operation::ListBucketMetricsConfigurations => Reading::EmptyList("ListMetricsConfigurationsResult"),
        Operation::DeleteBucketReplication => Reading::NothingToDelete,
        _ => return None,
    })
}

/// What reading a configuration takes.
fn action(operation: Operation) -> Action {
    match operation {
        Operation::GetBucketReplication => Action::GetReplicationConfiguration,
        Operation::DeleteBucketReplication => Action::PutReplicationConfiguration,
        Operation::GetBucketAnalyticsConfiguration | Operation::ListBucketAnalyticsConfigurations => {
            Action::GetAnalyticsConfiguration
        }
        Operation::GetBucketMetricsConfiguration | Operation::ListBucketMetricsConfigurations => {
            Action::GetMetricsConfiguration
        }
        Operation::GetBucketIntelligentTieringConfiguration | Operation::ListBucketIntelligentTieringConfigurations => {
            Action::GetIntelligentTieringConfiguration
        }
        _ => Action::GetInventoryConfiguration,
    }
}
