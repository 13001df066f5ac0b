//! Configurations of buckets: read, replaced, taken away.

use super::Gateway;
use crate::access::{Action, Caller};
use crate::error::Result;
use crate::metadata::BucketSettings;
use crate::names::BucketName;

impl Gateway {
    /// Changes what is configured of a bucket, when the caller may. Atomic and durable.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn configure(
        &self,
        caller: &Caller,
        action: Action,
        name: &BucketName,
        change: impl FnOnce(&mut BucketSettings) + Send + 'static,
    ) -> Result<()> {
        self.bucket_for(caller, action, name).await?;
        self.change_settings(name, change).await
    }
}
