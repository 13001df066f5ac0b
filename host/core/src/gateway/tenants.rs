//! Whose a location is: an account's buckets use its own and those of all, and know of no other.

use super::Gateway;
use crate::backend::{Backend, Location};
use crate::error::{Error, Result};
use crate::names::{AccountId, BucketName, LocationName};
use std::sync::Arc;

impl Gateway {
    /// Whether an account may know of a location: it is its own, or that of all.
    pub fn belongs_to(&self, location: &LocationName, account: &AccountId) -> bool {
        self.locations.accounts(location).is_none_or(|accounts| accounts.contains(account))
    }

    /// Whether a bucket may hold objects in a location of that name: there is one, and it is
    /// that of the bucket's owner.
    ///
    /// # Errors
    /// `NoSuchBucket`; the database's.
    pub async fn has_location(&self, bucket: &BucketName, location: &str) -> Result<bool> {
        let Ok(name) = LocationName::parse(location) else { return Ok(false) };
        Ok(self.location_for(&self.bucket(bucket).await?.owner, &name).is_some())
    }

    /// The location, for buckets of this account. One of others is not there, as an unknown
    /// one is not.
    pub(super) fn location_for(&self, owner: &AccountId, name: &LocationName) -> Option<Location> {
        self.locations.location(name).filter(|_| self.belongs_to(name, owner))
    }

    /// A location's storage, for buckets of this account.
    pub(super) fn backend_for(&self, owner: &AccountId, location: &LocationName) -> Result<Arc<dyn Backend>> {
        if !self.belongs_to(location, owner) {
            return Err(gone(location));
        }
        self.backend(location)
    }

    /// A location's storage for what a bucket has there. It works for the bucket's owner, whoever
    /// asks: somebody of another account, nobody in particular, or the gateway itself.
    ///
    /// # Errors
    /// `LocationUnavailable`, also when the location was given to others since.
    pub(super) async fn backend_of(&self, bucket: &BucketName, location: &LocationName) -> Result<Arc<dyn Backend>> {
        // The owner is looked up only where it matters: a read costs no question more.
        if self.locations.accounts(location).is_none() {
            return self.backend(location);
        }
        self.backend_for(&self.bucket(bucket).await?.owner, location)
    }

    /// Whether a location may still be told of a bucket and its keys.
    pub(super) async fn may_show(&self, bucket: &BucketName, location: &LocationName) -> Result<bool> {
        let Some(accounts) = self.locations.accounts(location) else { return Ok(true) };
        let bucket = self.metadata.bucket(bucket).await?;
        Ok(bucket.is_some_and(|bucket| accounts.contains(&bucket.owner)))
    }

    /// Says to who created a bucket with whose names its own would collide, as far as that is
    /// for it to know.
    pub(super) async fn visible_neighbours(
        &self,
        account: &AccountId,
        others: &[(BucketName, LocationName)],
    ) -> Result<Vec<String>> {
        let mut visible = Vec::new();
        for (name, location) in others {
            let owner = self.metadata.bucket(name).await?.map(|bucket| bucket.owner);
            if owner.as_ref() == Some(account) && self.belongs_to(location, account) {
                visible.push(format!("{name} in {location}"));
            } else if !visible.iter().any(|known| known == NEIGHBOUR) {
                visible.push(NEIGHBOUR.to_owned());
            }
        }
        Ok(visible)
    }
}

/// A bucket that somebody is not told of.
const NEIGHBOUR: &str = "a bucket of somebody else";

/// The answer for a location that is not there, or not there for who asks.
pub(super) fn gone(location: &LocationName) -> Error {
    Error::LocationUnavailable {
        location: location.clone(),
        cause: "it is not in locationConfig.json any more".to_owned(),
        retry_after: None,
    }
}
