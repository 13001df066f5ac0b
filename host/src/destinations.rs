//! The destinations of notifications that config.json names.

mod authorities;
mod nats;
mod webhook;

use crate::config::{DestinationConfiguration, DestinationTarget};
use anyhow::Context;
use async_trait::async_trait;
use nats::Nats;
use sallyport_core::notification::{DeliveryFailure, DestinationName, Destinations, Message};
use std::collections::BTreeMap;
use std::time::Duration;
use webhook::Webhook;

/// How long one delivery may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// All destinations, by name.
pub struct DestinationTable(BTreeMap<DestinationName, Destination>);

enum Destination {
    Webhook(Box<Webhook>),
    Nats(Box<Nats>),
}

impl DestinationTable {
    /// Prepares clients; nothing is connected before there is something to deliver.
    ///
    /// # Errors
    /// A file of certificates or credentials that cannot be read.
    pub async fn open(configurations: &[DestinationConfiguration]) -> anyhow::Result<Self> {
        let mut table = BTreeMap::new();
        for configuration in configurations {
            let destination = Destination::new(configuration).await;
            let destination = destination.with_context(|| format!("the destination {}", configuration.name))?;
            table.insert(configuration.name.clone(), destination);
        }
        Ok(Self(table))
    }

    /// Each destination whose files cannot be used, with the reason.
    pub async fn faults(configurations: &[DestinationConfiguration]) -> Vec<(&DestinationName, String)> {
        let mut faults = Vec::new();
        for configuration in configurations {
            if let Err(error) = Destination::new(configuration).await {
                faults.push((&configuration.name, format!("{error:#}")));
            }
        }
        faults
    }
}

impl Destination {
    async fn new(configuration: &DestinationConfiguration) -> anyhow::Result<Self> {
        let tls = authorities::client(configuration.authority.as_deref()).await?;
        Ok(match &configuration.target {
            DestinationTarget::Webhook(target) => Self::Webhook(Box::new(Webhook::new(target, tls)?)),
            DestinationTarget::Nats(target) => Self::Nats(Box::new(Nats::new(target, tls).await?)),
        })
    }
}

#[async_trait]
impl Destinations for DestinationTable {
    fn names(&self) -> Vec<DestinationName> {
        self.0.keys().cloned().collect()
    }

    async fn deliver(&self, to: &DestinationName, message: &Message) -> Result<(), DeliveryFailure> {
        let destination = self.0.get(to).ok_or_else(|| DeliveryFailure::Unknown(to.clone()))?;
        let delivery = async {
            match destination {
                Destination::Webhook(webhook) => webhook.post(message).await,
                Destination::Nats(nats) => nats.publish(message).await,
            }
        };
        tokio::time::timeout(DEADLINE, delivery)
            .await
            .unwrap_or_else(|_| Err(DeliveryFailure::Unavailable(format!("no answer within {DEADLINE:?}"))))
    }
}

/// An error with all that caused it: libraries keep the reason in the last one.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
