//! Decides who is told of a change, and keeps what buckets say of it.

use super::{Gateway, now};
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::metadata::{Bucket, Versioning};
use crate::names::{BucketName, ObjectKey, WriteId};
use crate::notification::{
    Announcement, Cause, DeliveryFailure, EventKind, Listener, NotificationConfiguration, test_message,
};
use std::collections::BTreeMap;

/// What S3 calls itself where nobody else did something.
const ITSELF: &str = "s3.amazonaws.com";

impl Gateway {
    /// PutBucketNotificationConfiguration; no rules end it. Each destination gets a test event
    /// first, unless `tests_destinations` is false.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `InvalidDestination` for one that is not configured, or
    /// does not take its test event.
    pub async fn set_notifications(
        &self,
        caller: &Caller,
        name: &BucketName,
        configuration: NotificationConfiguration,
        tests_destinations: bool,
    ) -> Result<()> {
        self.bucket_for(caller, Action::PutBucketNotification, name).await?;
        let named: BTreeMap<_, _> =
            configuration.rules().iter().map(|rule| (&rule.destination, rule.arn.as_str())).collect();
        let known = self.destinations.names();
        for (destination, arn) in &named {
            if !known.contains(destination) {
                let why = format!("no destination {destination} is in bucketNotificationDestinations");
                return Err(Error::InvalidDestination { arn: (*arn).to_owned(), why });
            }
        }
        let ids = caller.context.as_ref().map_or(("", ""), |context| context.ids());
        let message = test_message(name, now(), ids);
        for (destination, arn) in named.into_iter().filter(|_| tests_destinations) {
            self.destinations.deliver(destination, &message).await.map_err(|failure: DeliveryFailure| {
                Error::InvalidDestination { arn: arn.to_owned(), why: failure.to_string() }
            })?;
        }
        let configuration = Some(configuration).filter(|configuration| !configuration.rules().is_empty());
        self.change_settings(name, move |settings| settings.notifications = configuration).await
    }
}

/// Whom a change of a key would be told to, whichever of these kinds it turns out to be.
/// Without a caller it is S3 itself who does it. `None`, at no cost, for nearly all buckets.
pub(super) fn announcement(
    bucket: &Bucket,
    key: &ObjectKey,
    caller: Option<&Caller>,
    kinds: &[EventKind],
) -> Option<Box<Announcement>> {
    let configuration = bucket.settings.notifications.as_ref()?;
    let listeners: Vec<Listener> = kinds
        .iter()
        .flat_map(|kind| configuration.rules_for(*kind, key.as_str()).map(move |rule| (*kind, rule)))
        .map(|(kind, rule)| Listener { kind, configuration: rule.id.clone(), destination: rule.destination.clone() })
        .collect();
    if listeners.is_empty() {
        return None;
    }
    let shows_versions = bucket.versioning != Versioning::Off;
    Some(Box::new(Announcement { cause: cause(bucket, caller), shows_versions, listeners }))
}

/// The kind of a PutObject's event.
pub(super) fn kind_of_put(caller: &Caller) -> EventKind {
    let is_form = caller.context.as_ref().is_some_and(|context| context.is_form());
    if is_form { EventKind::CreatedByPost } else { EventKind::CreatedByPut }
}

fn cause(bucket: &Bucket, caller: Option<&Caller>) -> Cause {
    let context = caller.and_then(|caller| caller.context.as_ref());
    let service = context.and_then(|context| context.service()).map(|service| service.name);
    let context = context.filter(|_| service.is_none());
    let source = context.and_then(|context| context.source());
    let (request_id, host_id) = match context {
        Some(context) => {
            let (request_id, host_id) = context.ids();
            (request_id.to_owned(), host_id.to_owned())
        }
        None => (WriteId::random().as_str().chars().take(16).collect::<String>().to_uppercase(), String::new()),
    };
    Cause {
        principal: match (service, caller) {
            (None, Some(caller)) => caller.account.to_string(),
            (service, _) => service.unwrap_or(ITSELF).to_owned(),
        },
        source: source.map_or_else(|| ITSELF.to_owned(), |address| address.to_canonical().to_string()),
        request_id,
        host_id,
        region: bucket.location.to_string(),
        owner: bucket.owner.to_string(),
    }
}
