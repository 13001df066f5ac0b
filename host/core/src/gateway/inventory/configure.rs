//! Configurations of inventories: read, replaced, taken away.

use super::work;
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::gateway::{Gateway, now};
use crate::inventory::{Inventory, InventoryAccounts, InventoryConfiguration, MOST_INVENTORIES};
use crate::metadata::{Bucket, BucketSettings, MetadataError};
use crate::names::BucketName;

impl Gateway {
    /// PutBucketInventoryConfiguration. Atomic; what was reported before stays known.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidDestinationBucket`, `TooManyConfigurations`.
    pub async fn set_inventory(
        &self,
        caller: &Caller,
        name: &BucketName,
        configuration: InventoryConfiguration,
        accounts: InventoryAccounts,
    ) -> Result<()> {
        self.bucket_for(caller, Action::PutInventoryConfiguration, name).await?;
        let destination = self.metadata.bucket(&configuration.destination.bucket).await?;
        let destination =
            destination.ok_or(Error::InvalidDestinationBucket("The destination bucket does not exist."))?;
        if accounts.destination.as_ref().is_some_and(|owner| *owner != destination.owner) {
            let why = "The destination bucket does not belong to the account that AccountId names.";
            return Err(Error::InvalidDestinationBucket(why));
        }
        let id = configuration.id.clone();
        let changed = self.change_inventories(name, move |settings| replace(settings, configuration, accounts)).await?;
        // Only a bucket that is full does not have it now.
        if changed.settings.inventories.iter().any(|one| one.configuration.id == id) {
            Ok(())
        } else {
            Err(Error::TooManyConfigurations(MOST_INVENTORIES))
        }
    }

    /// GetBucketInventoryConfiguration.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchConfiguration`.
    pub async fn inventory(&self, caller: &Caller, name: &BucketName, id: &str) -> Result<InventoryConfiguration> {
        let bucket = self.bucket_for(caller, Action::GetInventoryConfiguration, name).await?;
        let found = bucket.settings.inventories.iter().find(|one| one.configuration.id == id);
        found.map(|one| one.configuration.clone()).ok_or(Error::NoSuchConfiguration)
    }

    /// ListBucketInventoryConfigurations: at most `limit` whose ids are greater than `after`, by
    /// id, and whether more follow.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`.
    pub async fn inventories(
        &self,
        caller: &Caller,
        name: &BucketName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<InventoryConfiguration>, bool)> {
        let bucket = self.bucket_for(caller, Action::GetInventoryConfiguration, name).await?;
        let all = bucket.settings.inventories.iter().map(|one| &one.configuration);
        let mut rest = all.filter(|one| after.is_none_or(|after| one.id.as_str() > after));
        let page = rest.by_ref().take(limit).cloned().collect();
        Ok((page, rest.next().is_some()))
    }

    /// DeleteBucketInventoryConfiguration. Reports that were delivered stay.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchConfiguration`.
    pub async fn delete_inventory(&self, caller: &Caller, name: &BucketName, id: &str) -> Result<()> {
        let bucket = self.bucket_for(caller, Action::PutInventoryConfiguration, name).await?;
        if !bucket.settings.inventories.iter().any(|one| one.configuration.id == id) {
            return Err(Error::NoSuchConfiguration);
        }
        let gone = id.to_owned();
        let change = move |settings: &mut BucketSettings| {
            settings.inventories.retain(|one| one.configuration.id != gone);
        };
        self.change_inventories(name, change).await?;
        Ok(self.metadata.note_progress(&work(name, id), None).await?)
    }

    /// Remembers that a report was delivered.
    pub(super) async fn note_reported(&self, bucket: &Bucket, id: &str, started: i64) -> Result<()> {
        let id = id.to_owned();
        let change = move |settings: &mut BucketSettings| {
            let inventory = settings.inventories.iter_mut().find(|one| one.configuration.id == id);
            if let Some(inventory) = inventory {
                inventory.reported = Some(started);
            }
        };
        self.change_inventories(&bucket.name, change).await.map(drop)
    }

    async fn change_inventories(
        &self,
        name: &BucketName,
        change: impl FnOnce(&mut BucketSettings) + Send + 'static,
    ) -> Result<Bucket> {
        match self.metadata.change_settings(name, Box::new(change)).await {
            Err(MetadataError::Gone(_)) => Err(Error::NoSuchBucket(name.clone())),
            other => Ok(other?),
        }
    }
}

/// Puts a configuration in its place by id; a bucket that is full stays as it is.
fn replace(settings: &mut BucketSettings, configuration: InventoryConfiguration, accounts: InventoryAccounts) {
    let inventories = &mut settings.inventories;
    match inventories.binary_search_by(|one| one.configuration.id.cmp(&configuration.id)) {
        Ok(at) => {
            if let Some(inventory) = inventories.get_mut(at) {
                inventory.configuration = configuration;
                inventory.accounts = accounts;
            }
        }
        Err(_) if inventories.len() >= MOST_INVENTORIES => {}
        Err(at) => inventories.insert(at, Inventory { configuration, created: now(), accounts, reported: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Frequency, IncludedVersions, InventoryDestination};

    fn configuration(id: &str, frequency: Frequency) -> InventoryConfiguration {
        InventoryConfiguration {
            id: id.to_owned(),
            is_enabled: true,
            versions: IncludedVersions::All,
            frequency,
            prefix: None,
            fields: Vec::new(),
            destination: InventoryDestination {
                bucket: BucketName::parse("reports").unwrap(),
                account: None,
                prefix: None,
                encryption: None,
            },
        }
    }

    #[test]
    fn a_full_bucket_takes_changes_and_nothing_new() {
        let mut settings = BucketSettings::default();
        for number in (0..MOST_INVENTORIES).rev() {
            let daily = configuration(&format!("id-{number:04}"), Frequency::Daily);
            replace(&mut settings, daily, InventoryAccounts::default());
        }
        assert!(settings.inventories.is_sorted_by_key(|one| &one.configuration.id));
        if let Some(first) = settings.inventories.first_mut() {
            first.reported = Some(7);
        }
        replace(&mut settings, configuration("id-0000", Frequency::Weekly), InventoryAccounts::default());
        replace(&mut settings, configuration("one-more", Frequency::Weekly), InventoryAccounts::default());
        assert_eq!(settings.inventories.len(), MOST_INVENTORIES);
        let first = settings.inventories.first().unwrap();
        assert_eq!((first.configuration.frequency, first.reported), (Frequency::Weekly, Some(7)));
        assert!(settings.inventories.iter().all(|one| one.configuration.id != "one-more"));
    }
}
