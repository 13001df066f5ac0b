//! The composition root: the only file that names every part.

use crate::config::{Configuration, Environment, Problem, Secret};
use crate::locations::{LocationTable, Opener};
use anyhow::Context;
use sallyport_core::backend::Locations;
use sallyport_core::metadata::MetadataStore;
use sallyport_core::names::AccountId;
use sallyport_core::{Gateway, GatewayOptions};
use sallyport_metadata::{SqliteOptions, SqliteStore};
use sallyport_plugin::{HostOptions, Limits, PluginHost, ProxySettings};
use sallyport_s3::{Account, Credentials, S3Options, S3Service};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Milliseconds for which freed bytes are kept for readers that started before.
const DELETION_DELAY: &str = "SALLYPORT_DELETION_DELAY_MS";
/// Milliseconds between two rounds of the sweeper.
const SWEEP_INTERVAL: &str = "SALLYPORT_SWEEP_INTERVAL_MS";
/// Milliseconds after which the answer to a long completion or copy begins.
const PATIENCE: &str = "SALLYPORT_PATIENCE_MS";
/// Milliseconds after which a backend that says nothing is given up.
const BACKEND_TIMEOUT: &str = "SALLYPORT_BACKEND_TIMEOUT_MS";
/// Milliseconds between two looks at the locations that do not work.
const HEAL_INTERVAL: &str = "SALLYPORT_HEAL_INTERVAL_MS";
/// `name=address:port` pairs, comma separated, that are taken for a name's address.
const RESOLVE: &str = "SALLYPORT_RESOLVE";

/// A gateway with all that it needs, not yet listening.
pub struct App {
    /// The operations.
    pub gateway: Arc<Gateway>,
    /// The S3 front.
    pub service: S3Service,
    /// The locations.
    pub locations: Arc<LocationTable>,
    /// What is wrong with the locations; none of it stops the others.
    pub problems: Vec<Problem>,
    heal_interval: Option<Duration>,
}

/// What goes on beside requests; ends when it is dropped.
pub struct Background {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl App {
    /// Opens the database and every location.
    ///
    /// # Errors
    /// What leaves nothing to serve: the database, the plugin engine.
    pub async fn build(
        configuration: &Configuration,
        environment: Box<dyn Environment + Send + Sync>,
    ) -> anyhow::Result<Self> {
        let milliseconds = |name: &str| -> anyhow::Result<Option<Duration>> {
            let Some(text) = environment.variable(name) else { return Ok(None) };
            let value = text.parse().with_context(|| format!("{name} is {text:?}, not a number of milliseconds"))?;
            Ok(Some(Duration::from_millis(value)))
        };
        let mut sqlite = SqliteOptions::new(&configuration.metadata_dir);
        sqlite.deletion_delay = milliseconds(DELETION_DELAY)?.unwrap_or(sqlite.deletion_delay);
        let patience = milliseconds(PATIENCE)?;
        let heal_interval = milliseconds(HEAL_INTERVAL)?;
        let mut options = GatewayOptions::default();
        options.sweep_interval = milliseconds(SWEEP_INTERVAL)?.unwrap_or(options.sweep_interval);
        if configuration.mpu_testing {
            options.min_part = 0;
        }
        let metadata: Arc<dyn MetadataStore> = Arc::new(SqliteStore::open(sqlite).await?);
        let host = PluginHost::new(host_options(configuration, environment.as_ref())?)?;
        let opener = Opener::new(host, environment, configuration).await;
        let (locations, problems) = LocationTable::open(configuration, opener, Arc::clone(&metadata)).await;
        let ports: Arc<dyn Locations> = Arc::clone(&locations) as Arc<dyn Locations>;
        let gateway = Arc::new(Gateway::new(metadata, ports, options));
        let mut front = S3Options::new(Arc::new(Keys::new(configuration)));
        front.rest_endpoints = configuration.rest_endpoints.clone();
        front.presign_expiry = configuration.presign_expiry.unwrap_or(front.presign_expiry);
        front.idle_body_timeout = configuration.limits.idle_body;
        front.patience = patience.unwrap_or(front.patience);
        front.tls = configuration.tls.is_some();
        let service = S3Service::new(Arc::clone(&gateway), front);
        Ok(Self { gateway, service, locations, problems, heal_interval })
    }

    /// Starts the sweeper and the watch over the locations.
    pub fn start_background(&self) -> Background {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self.gateway).sweep(stop.clone().cancelled_owned()));
        let locations = Arc::clone(&self.locations);
        let (stopped, interval) = (stop.clone(), self.heal_interval);
        tasks.spawn(async move {
            tokio::select! {
                () = locations.watch(interval) => {}
                () = stopped.cancelled() => {}
            }
        });
        Background { stop, tasks }
    }
}

impl Background {
    /// Lets what is under way come to its end.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What the plugins find wrong with the locations' details, without asking a backend.
///
/// # Errors
/// The plugin engine's.
pub async fn inspect(
    configuration: &Configuration,
    environment: Box<dyn Environment + Send + Sync>,
) -> anyhow::Result<Vec<Problem>> {
    let host = PluginHost::new(host_options(configuration, environment.as_ref())?)?;
    let opener = Opener::new(host, environment, configuration).await;
    let mut problems = Vec::new();
    for location in &configuration.locations {
        let found = opener.open(location, None).await.map_or_else(|found| found, |(_, warnings)| warnings);
        // What is wrong with an entry was said when its file was read.
        problems.extend(found.into_iter().skip(usize::from(location.fault.is_some())));
    }
    Ok(problems)
}

fn host_options(configuration: &Configuration, environment: &dyn Environment) -> anyhow::Result<HostOptions> {
    let proxies = &configuration.proxies;
    let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
    Ok(HostOptions {
        plugin_folders: configuration.plugin_dirs.clone(),
        cache_folder: configuration.cache_dir.clone(),
        data_folder: configuration.data_dir.clone(),
        limits: limits(environment)?,
        resolver_overrides: resolver_overrides(environment)?,
        proxies: ProxySettings {
            http: reveal(&proxies.http),
            https: reveal(&proxies.https),
            except: (!proxies.no_proxy.is_empty()).then(|| proxies.no_proxy.join(",")),
        },
    })
}

fn limits(environment: &dyn Environment) -> anyhow::Result<Limits> {
    let limits = Limits::default();
    let Some(text) = environment.variable(BACKEND_TIMEOUT) else { return Ok(limits) };
    let milliseconds = text.parse().with_context(|| format!("{BACKEND_TIMEOUT} is {text:?}, not milliseconds"))?;
    let silence = Duration::from_millis(milliseconds);
    // A call may ask several times before it gives up.
    Ok(Limits { connect: silence, first_byte: silence, idle: silence, wall: silence.saturating_mul(4), ..limits })
}

fn resolver_overrides(environment: &dyn Environment) -> anyhow::Result<HashMap<String, SocketAddr>> {
    let text = environment.variable(RESOLVE).unwrap_or_default();
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, address) = pair.split_once('=').with_context(|| format!("{RESOLVE}: {pair:?} has no ="))?;
            let address = address.parse().with_context(|| format!("{RESOLVE}: {address:?} is no address:port"))?;
            Ok((name.to_owned(), address))
        })
        .collect()
}

/// The accounts' keys, as the front asks for them.
struct Keys(HashMap<String, Account>);

impl Keys {
    fn new(configuration: &Configuration) -> Self {
        let keys = configuration.accounts.iter().flat_map(|account| {
            account.keys.iter().map(|key| {
                let known = Account {
                    id: AccountId::new(account.canonical_id.clone()),
                    short_id: account.short_id.clone(),
                    display_name: account.name.clone(),
                    secret: sallyport_s3::Secret::new(key.secret.reveal()),
                };
                (key.access.clone(), known)
            })
        });
        Self(keys.collect())
    }
}

impl Credentials for Keys {
    fn lookup(&self, access_key: &str) -> Option<Account> {
        self.0.get(access_key).cloned()
    }
}
