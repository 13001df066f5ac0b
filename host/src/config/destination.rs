//! Where notifications can go, as `bucketNotificationDestinations` of config.json says.

use std::path::PathBuf;

use sallyport_core::notification::DestinationName;

use super::secret::Secret;

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationConfiguration {
    /// `resource`: the last part of its ARNs.
    pub name: DestinationName,
    /// What it is, and how it is reached.
    pub target: DestinationTarget,
    /// Whom its certificate has to be from, in place of the system's authorities: a PEM file.
    pub authority: Option<PathBuf>,
}

/// What takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationTarget {
    /// A URL that each message is posted to.
    Webhook(WebhookTarget),
    /// A subject of NATS that a stream of JetStream keeps.
    Nats(NatsTarget),
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTarget {
    /// `http` or `https`, with a host. Often a secret by itself.
    pub url: Secret,
    /// A header that each request gets: its name in lower case, and its value.
    pub header: Option<(String, Secret)>,
}

/// NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsTarget {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What messages are published on.
    pub subject: String,
    /// How we log in.
    pub login: NatsLogin,
    /// Not without TLS.
    pub requires_tls: bool,
}

/// How a client of NATS says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// It does not.
    Nobody,
    /// By a token.
    Token(Secret),
    /// By a name.
    User {
        /// The name.
        name: String,
        /// Its password.
        password: Secret,
    },
    /// By a file of credentials.
    Credentials(PathBuf),
}
