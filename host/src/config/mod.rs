//! From files, variables and the command line to one typed configuration.

mod cloudserver;
mod configuration;
mod destination;
mod details;
mod environment;
mod json;
mod network;
mod problem;
mod profiles;
mod secret;

pub(crate) use cloudserver::read_location;
pub use cloudserver::{Overrides, draft, load};
pub use configuration::{
    AccessKey, Account, Configuration, ConnectionLimits, LocationConfiguration, LogFormat, LogLevel, LogSettings,
    Proxies, TlsSource,
};
pub use destination::{DestinationConfiguration, DestinationTarget, NatsLogin, NatsTarget, WebhookTarget};
pub use details::{Details, FieldSpec, ProfileSpec, ResolvedDetails, Unresolved, VariableOwners, resolve};
pub use environment::{Environment, ProcessEnvironment};
pub use network::{InvalidNetwork, Network};
pub use problem::{Problem, Problems, Severity};
pub use profiles::ProfileFile;
pub use secret::Secret;
