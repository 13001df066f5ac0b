//! From files, variables and the command line to one typed configuration.

mod cloudserver;
mod configuration;
mod environment;
mod json;
mod network;
mod problem;
mod secret;

pub use cloudserver::{Overrides, load};
pub use configuration::{
    AccessKey, Account, Configuration, ConnectionLimits, LocationConfiguration, LogFormat,
    LogLevel, LogSettings, Proxies, TlsSource,
};
pub use environment::{Environment, ProcessEnvironment};
pub use network::{InvalidNetwork, Network};
pub use problem::{Problem, Problems, Severity};
pub use secret::Secret;
