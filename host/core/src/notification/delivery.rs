//! The port to what events are delivered to.

use super::arn::DestinationName;
use async_trait::async_trait;
use bytes::Bytes;

/// What a destination gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same each time the message is sent, and no other's: who gets it twice can tell.
    pub id: String,
    /// JSON.
    pub body: Bytes,
}

/// Why a message was not delivered. The text is for the operator and for who configures a
/// bucket: it names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFailure {
    /// No destination of that name is configured.
    #[error("no destination {0} is configured")]
    Unknown(DestinationName),
    /// It cannot be reached or does not want anything now: try again later.
    #[error("{0}")]
    Unavailable(String),
    /// It does not want this message, and will hardly change its mind.
    #[error("{0}")]
    Refused(String),
}

/// Where events can go: webhooks, queues.
#[async_trait]
pub trait Destinations: Send + Sync {
    /// All of them.
    fn names(&self) -> Vec<DestinationName>;
    /// Hands a message over. It is the destination's once this returns; after an error it may
    /// be all the same. Comes to an end within seconds. Safe to repeat and to drop.
    async fn deliver(&self, to: &DestinationName, message: &Message) -> Result<(), DeliveryFailure>;
}

/// No destinations at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDestinations;

#[async_trait]
impl Destinations for NoDestinations {
    fn names(&self) -> Vec<DestinationName> {
        Vec::new()
    }

    async fn deliver(&self, to: &DestinationName, _message: &Message) -> Result<(), DeliveryFailure> {
        Err(DeliveryFailure::Unknown(to.clone()))
    }
}
