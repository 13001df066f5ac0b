//! Publishes messages on a subject of NATS, until a stream of JetStream has them.

use super::chain;
use crate::config::{NatsLogin, NatsTarget};
use anyhow::Context as _;
use async_nats::ConnectOptions;
use async_nats::connection::State;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context};
use rustls::ClientConfig;
use sallyport_core::notification::{DeliveryFailure, Message};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a connection, and the acknowledgement of a message, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A subject, with the connection once there is one.
pub(super) struct Nats {
    address: String,
    subject: String,
    options: ConnectOptions,
    connected: Mutex<Option<Context>>,
}

impl Nats {
    /// Connects with the first message.
    pub(super) async fn new(target: &NatsTarget, tls: ClientConfig) -> anyhow::Result<Self> {
        let options = ConnectOptions::new()
            .name("Sallyport")
            .connection_timeout(PATIENCE)
            .require_tls(target.requires_tls)
            .tls_client_config(tls);
        let options = match &target.login {
            NatsLogin::Nobody => options,
            NatsLogin::Token(token) => options.token(token.reveal().to_owned()),
            NatsLogin::User { name, password } => options.user_and_password(name.clone(), password.reveal().to_owned()),
            NatsLogin::Credentials(file) => {
                let text = tokio::fs::read_to_string(file).await;
                let text = text.with_context(|| format!("auth.credentials: {}", file.display()))?;
                // What it says of a bad file could repeat a part of it.
                options.credentials(&text).map_err(|_| anyhow::anyhow!("auth.credentials: not a file of NATS"))?
            }
        };
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        Ok(Self {
            address: format!("nats://{host}:{}", target.port),
            subject: target.subject.clone(),
            options,
            connected: Mutex::new(None),
        })
    }

    /// Publishes a message and waits until the stream has stored it. One that is sent again
    /// soon is recognised by its id, and stored once.
    pub(super) async fn publish(&self, message: &Message) -> Result<(), DeliveryFailure> {
        let unavailable = |error: &(dyn std::error::Error + 'static)| DeliveryFailure::Unavailable(chain(error));
        let context = self.connection().await?;
        let publish = PublishMessage::build().payload(message.body.clone()).message_id(&message.id);
        let sent = context.send_publish(self.subject.clone(), publish).await;
        let acknowledgement = match sent {
            Ok(acknowledgement) => acknowledgement,
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                return Err(DeliveryFailure::Refused(chain(&error)));
            }
            Err(error) => return Err(unavailable(&error)),
        };
        match acknowledgement.await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                Err(DeliveryFailure::Unavailable(format!("no stream of JetStream keeps the subject {}", self.subject)))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// The connection that there is, else a new one. What is published on a broken one would
    /// wait in the client, so nothing is.
    async fn connection(&self) -> Result<Context, DeliveryFailure> {
        let mut connected = self.connected.lock().await;
        let live = connected.take().filter(|context| context.client().connection_state() == State::Connected);
        if let Some(context) = live {
            return Ok(connected.insert(context).clone());
        }
        let client = self.options.clone().connect(&self.address).await;
        let client = client.map_err(|error| DeliveryFailure::Unavailable(chain(&error)))?;
        let mut context = jetstream::new(client);
        context.set_timeout(PATIENCE);
        Ok(connected.insert(context).clone())
    }
}
