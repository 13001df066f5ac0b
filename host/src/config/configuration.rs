//! The typed configuration that the rest of the server works with.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use sallyport_plugin::{LocationGrants, Trust};

use super::destination::DestinationConfiguration;
use super::network::Network;
use super::secret::Secret;

/// Everything that an operator decides, checked.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The folder that relative paths count from.
    pub root: PathBuf,
    /// Where S3 is served; never empty. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Where `/live`, `/ready` and the metrics are served; empty when they are not.
    pub metrics_listen: Vec<SocketAddr>,
    /// Absent: plain HTTP.
    pub tls: Option<TlsSource>,
    /// Location of a bucket created without naming one, by the host that it was asked of.
    /// The hosts are in lower case, without port; addresses are in their one short form.
    pub rest_endpoints: BTreeMap<String, String>,
    /// Hosts below which buckets are websites; in lower case, without port.
    pub website_endpoints: Vec<String>,
    /// Where buckets may have notifications sent.
    pub destinations: Vec<DestinationConfiguration>,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Who may sign requests.
    pub accounts: Vec<Account>,
    /// The server's own file, as reports name it.
    pub config_file: String,
    /// Every location of the file, those with a mistake included.
    pub locations: Vec<LocationConfiguration>,
    /// Their file, as reports name it.
    pub locations_file: String,
    /// The folder of tenants' own files, `<account>.json` each.
    pub tenant_locations: Option<PathBuf>,
    /// The files that all this was read from.
    pub files: Vec<PathBuf>,
    /// Below it lie the folders of locations that keep bytes on this machine.
    pub data_dir: PathBuf,
    /// The database and what else the server itself remembers.
    pub metadata_dir: PathBuf,
    /// Holds what plugins were compiled to; servers may share it.
    pub cache_dir: PathBuf,
    /// Where `<type>.wasm` is looked for, in this order.
    pub plugin_dirs: Vec<PathBuf>,
    /// How backends are reached.
    pub proxies: Proxies,
    /// How far in the future a SigV2 URL may expire; absent for the default.
    pub presign_expiry: Option<Duration>,
    /// Parts of an upload may be smaller than 5 MiB.
    pub mpu_testing: bool,
    /// Who may ask the admin port.
    pub health_allow: Vec<Network>,
    /// Bounds on connections.
    pub limits: ConnectionLimits,
}

impl Configuration {
    /// The location of that name.
    pub fn location(&self, name: &str) -> Option<&LocationConfiguration> {
        self.locations.iter().find(|location| location.name == name)
    }
}

/// One location, as `locationConfig.json` gives it.
#[derive(Clone, PartialEq)]
pub struct LocationConfiguration {
    /// Its name, which is also the region that clients name.
    pub name: String,
    /// Its type: the plugin's name. Empty when the file gives none.
    pub kind: String,
    /// A stable identity that outlives renaming.
    pub object_id: Option<String>,
    /// The two old habits of us-east-1: re-creating an own bucket is fine, aborting an
    /// unknown upload is not.
    pub legacy_aws_behavior: bool,
    /// What the plugin is configured with; holds secrets.
    pub details: Map<String, Value>,
    /// Objects only pass through.
    pub is_transient: bool,
    /// No bucket is created here.
    pub is_cold: bool,
    /// Most that may be stored.
    pub size_limit_gb: Option<f64>,
    /// Objects that are on the backend already belong to the location: a write of the same
    /// name replaces them, also where that loses them.
    pub adopt_existing: bool,
    /// What its plugin may reach beyond its details, and how far its requests may go.
    pub grants: LocationGrants,
    /// Buckets that show what others store in it.
    pub watch: Vec<WatchConfiguration>,
    /// What its plugin may use up, where that differs from what all may.
    pub limits: BTreeMap<String, u64>,
    /// Canonical ids of the accounts that it belongs to; absent when it belongs to all. To
    /// others it is as if it was not there.
    pub accounts: Option<Vec<String>>,
    /// It stands in a tenant's own file: what it says of this machine, of the network around it
    /// or of the operator's credentials counts for nothing.
    pub is_tenants: bool,
    /// The file that it stands in, as reports name it.
    pub file: String,
    /// What it asks of the plugin that serves it.
    pub trust: Trust,
    /// Why the location cannot be used, when its entry has a mistake.
    pub fault: Option<String>,
}

/// A bucket that shows what others store in its location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchConfiguration {
    /// Its name.
    pub bucket: String,
    /// How often the location is looked at.
    pub every: Duration,
    /// Whether objects go whose bytes are gone.
    pub forgets_vanished: bool,
}

impl LocationConfiguration {
    /// The same with what its backend told, where the operator's details say nothing.
    pub fn with_learned(&self, learned: &[(String, String)]) -> Self {
        let mut configuration = self.clone();
        for (path, value) in learned {
            let written = configuration.details.get(path);
            if written.is_none_or(|written| written.is_null() || written.as_str() == Some("")) {
                configuration.details.insert(path.clone(), Value::String(value.clone()));
            }
        }
        configuration
    }
}

impl fmt::Debug for LocationConfiguration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which fields are secret only the plugin knows: none is shown.
        let fields: Vec<&String> = self.details.keys().collect();
        out.debug_struct("LocationConfiguration")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("object_id", &self.object_id)
            .field("legacy_aws_behavior", &self.legacy_aws_behavior)
            .field("details", &fields)
            .field("is_transient", &self.is_transient)
            .field("is_cold", &self.is_cold)
            .field("size_limit_gb", &self.size_limit_gb)
            .field("adopt_existing", &self.adopt_existing)
            .field("grants", &self.grants)
            .field("watch", &self.watch)
            .field("limits", &self.limits)
            .field("accounts", &self.accounts)
            .field("is_tenants", &self.is_tenants)
            .field("file", &self.file)
            .field("trust", &self.trust)
            .field("fault", &self.fault)
            .finish()
    }
}

/// Somebody who owns buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its address.
    pub email: String,
    /// `arn:aws:iam::<short id>:root`.
    pub arn: String,
    /// What owners are shown as.
    pub canonical_id: String,
    /// Twelve digits.
    pub short_id: String,
    /// Its key pairs.
    pub keys: Vec<AccessKey>,
}

/// A key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub access: String,
    /// The secret half.
    pub secret: Secret,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSource {
    /// The files that `certFilePaths` names, in PEM.
    Files {
        /// The private key.
        key: PathBuf,
        /// The certificate, followed by its chain.
        certificate: PathBuf,
        /// Certificates to send after it.
        authority: Option<PathBuf>,
    },
    /// Made at the first start and kept (`SSL`).
    Generated {
        /// Names and addresses that it is made out to.
        hosts: Vec<String>,
        /// Where it is kept, with `ca.crt` for clients to trust.
        folder: PathBuf,
    },
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least grave that is still logged.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// CloudServer's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a mistake.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may become a failure.
    Warn,
    /// What somebody must act on; also `fatal`.
    Error,
}

impl LogLevel {
    /// Reads CloudServer's name of a level.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Some(Self::Trace),
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" | "fatal" => Some(Self::Error),
            _ => None,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, otherwise JSON.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// How backends are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` endpoints. May hold a password.
    pub http: Option<Secret>,
    /// For `https` endpoints. May hold a password.
    pub https: Option<Secret>,
    /// Hosts, or `host:port`, that are reached directly; `*` stands for any text.
    pub no_proxy: Vec<String>,
}

/// Bounds on what connections may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Most connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take over the head of a request.
    pub header: Duration,
    /// How long a body may stand still, in either direction.
    pub idle_body: Duration,
    /// How long requests may go on after the signal to stop.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header: Duration::from_secs(30),
            idle_body: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}
