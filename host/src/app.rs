//! The composition root: the only file that names every part.

use crate::accounts::Accounts;
use crate::arguments::COMPILE_COMMAND;
use crate::config::{Configuration, Environment, Problem, Secret};
use crate::destinations::DestinationTable;
use crate::keys::{AwsKmsOptions, EmbeddedKeys, ExternalKeys, KeyStore, MasterSource};
use crate::locations::{BREAKER_CALLS, LocationTable, Opener};
use anyhow::Context;
use sallyport_core::backend::Locations;
use sallyport_core::encryption::KeyService;
use sallyport_core::lifecycle::Clock;
use sallyport_core::metadata::MetadataStore;
use sallyport_core::names::{BucketName, LocationName};
use sallyport_core::{Gateway, GatewayOptions, Vanished, Watch};
use sallyport_metadata::{SqliteOptions, SqliteStore};
use sallyport_plugin::{Compiler, HostOptions, Limits, PluginHost, ProxySettings};
use sallyport_s3::{Credentials, S3Options, S3Service};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Milliseconds for which freed bytes are kept for readers that started before.
const DELETION_DELAY: &str = "SALLYPORT_DELETION_DELAY_MS";
/// Milliseconds between two deliveries of access logs.
const LOG_INTERVAL: &str = "SALLYPORT_LOG_INTERVAL_MS";
/// How many events may wait for a destination of notifications.
const MOST_EVENTS: &str = "SALLYPORT_NOTIFICATIONS_MAX_PENDING";
/// Milliseconds between two rounds of the sweeper.
const RECHECK_AFTER: &str = "SALLYPORT_RECHECK_AFTER_MS";
const SWEEP_INTERVAL: &str = "SALLYPORT_SWEEP_INTERVAL_MS";
/// Seconds that a lifecycle's day has: for tests, which cannot wait for real ones.
const LIFECYCLE_DAY: &str = "SALLYPORT_LIFECYCLE_DAY_SECONDS";
/// Seconds that an inventory's day has: for tests, too.
const INVENTORY_DAY: &str = "SALLYPORT_INVENTORY_DAY_SECONDS";
/// Compressed bytes after which a data file of an inventory ends.
const INVENTORY_FILE: &str = "SALLYPORT_INVENTORY_FILE_BYTES";
/// Milliseconds after which the answer to a long completion or copy begins.
const PATIENCE: &str = "SALLYPORT_PATIENCE_MS";
/// Milliseconds after which a backend that says nothing is given up.
const BACKEND_TIMEOUT: &str = "SALLYPORT_BACKEND_TIMEOUT_MS";
/// Milliseconds between two looks at the locations that do not work.
const HEAL_INTERVAL: &str = "SALLYPORT_HEAL_INTERVAL_MS";
/// Milliseconds between two looks at the files of configuration and plugins; 0 for none.
const WATCH_INTERVAL: &str = "SALLYPORT_WATCH_INTERVAL_MS";
/// Seconds of processor time that compiling one plugin may take.
const COMPILE_SECONDS: &str = "SALLYPORT_COMPILE_SECONDS";
/// MiB of memory that compiling one plugin may take.
const COMPILE_MEMORY: &str = "SALLYPORT_COMPILE_MEMORY_MIB";
/// `name=address:port` pairs, comma separated, that are taken for a name's address.
const RESOLVE: &str = "SALLYPORT_RESOLVE";

/// The master key in base64; several, separated by commas, while it is being replaced.
const MASTER_KEY: &str = "SALLYPORT_MASTER_KEY";
/// The file that the master key is in.
const MASTER_KEY_FILE: &str = "SALLYPORT_MASTER_KEY_FILE";
/// `true`: keys that clients name for SSE-KMS come to be with their first use.
const CREATE_KEYS: &str = "SALLYPORT_KMS_CREATE_KEYS";
/// Where an external KMS is that speaks AWS's protocol; absent: keys are embedded.
const KMS_ENDPOINT: &str = "SALLYPORT_KMS_ENDPOINT";
/// The region that its signatures name.
const KMS_REGION: &str = "SALLYPORT_KMS_REGION";
/// Who asks it.
const KMS_ACCESS_KEY: &str = "SALLYPORT_KMS_ACCESS_KEY_ID";
/// The secret of that.
const KMS_SECRET_KEY: &str = "SALLYPORT_KMS_SECRET_ACCESS_KEY";
/// Of temporary credentials.
const KMS_SESSION_TOKEN: &str = "SALLYPORT_KMS_SESSION_TOKEN";
/// The id, ARN or alias of the key for SSE-S3, and for SSE-KMS where nobody names one.
const KMS_DEFAULT_KEY: &str = "SALLYPORT_KMS_KEY";
/// `false`: clients may not send their own keys (SSE-C) without TLS.
const CUSTOMER_KEYS_WITHOUT_TLS: &str = "SALLYPORT_SSE_C_OVER_HTTP";

/// A gateway with all that it needs, not yet listening.
pub struct App {
    /// The operations.
    pub gateway: Arc<Gateway>,
    /// The S3 front.
    pub service: S3Service,
    /// The locations.
    pub locations: Arc<LocationTable>,
    /// Who may sign.
    pub accounts: Arc<Accounts>,
    /// What is wrong with the locations; none of it stops the others.
    pub problems: Vec<Problem>,
    /// How often the files are looked at; absent for the default.
    pub watch_interval: Option<Duration>,
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
        if let Some(text) = environment.variable(MOST_EVENTS) {
            let most = text.parse().ok().filter(|most| *most > 0);
            sqlite.most_events = most.with_context(|| format!("{MOST_EVENTS} is {text:?}, not a number of events"))?;
        }
        if let Some(text) = environment.variable(BREAKER_CALLS) {
            text.parse::<u32>().with_context(|| format!("{BREAKER_CALLS} is {text:?}, not a number of calls"))?;
        }
        let patience = milliseconds(PATIENCE)?;
        let heal_interval = milliseconds(HEAL_INTERVAL)?;
        let watch_interval = milliseconds(WATCH_INTERVAL)?;
        let mut options = GatewayOptions::default();
        options.log_interval = milliseconds(LOG_INTERVAL)?.unwrap_or(options.log_interval);
        options.sweep_interval = milliseconds(SWEEP_INTERVAL)?.unwrap_or(options.sweep_interval);
        options.recheck_after = milliseconds(RECHECK_AFTER)?.unwrap_or(options.recheck_after);
        if let Some((clock, interval)) = test_clock(environment.as_ref(), LIFECYCLE_DAY)? {
            (options.lifecycle_clock, options.lifecycle_interval) = (clock, interval);
        }
        if let Some((clock, interval)) = test_clock(environment.as_ref(), INVENTORY_DAY)? {
            (options.inventory_clock, options.inventory_interval) = (clock, interval);
        }
        if let Some(bytes) = count(environment.as_ref(), INVENTORY_FILE, "bytes")? {
            options.inventory_file = bytes.into();
        }
        options.watches = watches(configuration);
        if configuration.mpu_testing {
            options.min_part = 0;
        }
        let keys = key_store(configuration, environment.as_ref())?;
        let keys = EmbeddedKeys::new(keys, switch(environment.as_ref(), CREATE_KEYS)?.unwrap_or(false));
        let keys = key_service(environment.as_ref(), keys)?;
        let customer_keys_without_tls = switch(environment.as_ref(), CUSTOMER_KEYS_WITHOUT_TLS)?;
        let metadata: Arc<dyn MetadataStore> = Arc::new(SqliteStore::open(sqlite).await?);
        let host = PluginHost::new(host_options(configuration, environment.as_ref())?)?;
        let opener = Opener::new(host, environment, configuration).await;
        let (locations, problems) = LocationTable::open(configuration, opener, Arc::clone(&metadata)).await;
        let ports: Arc<dyn Locations> = Arc::clone(&locations) as Arc<dyn Locations>;
        metadata.allow_locations(size_limits(configuration)).await?;
        let destinations = DestinationTable::open(&configuration.destinations).await?;
        let gateway = Gateway::new(metadata, ports, options).with_keys(keys);
        let gateway = Arc::new(gateway.with_destinations(Arc::new(destinations)));
        let accounts = Arc::new(Accounts::new(configuration));
        let mut front = S3Options::new(Arc::clone(&accounts) as Arc<dyn Credentials>);
        front.rest_endpoints = configuration.rest_endpoints.clone();
        front.website_endpoints.clone_from(&configuration.website_endpoints);
        front.presign_expiry = configuration.presign_expiry.unwrap_or(front.presign_expiry);
        front.idle_body_timeout = configuration.limits.idle_body;
        front.patience = patience.unwrap_or(front.patience);
        front.spool_folder.clone_from(&configuration.metadata_dir);
        front.tls = configuration.tls.is_some();
        front.customer_keys_without_tls = customer_keys_without_tls.unwrap_or(front.customer_keys_without_tls);
        let service = S3Service::new(Arc::clone(&gateway), front);
        Ok(Self { gateway, service, locations, accounts, problems, watch_interval, heal_interval })
    }

    /// Starts the sweeper and the watch over the locations.
    pub fn start_background(&self) -> Background {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self.gateway).sweep(stop.clone().cancelled_owned()));
        tasks.spawn(Arc::clone(&self.gateway).carry_out_lifecycles(stop.clone().cancelled_owned()));
        tasks.spawn(Arc::clone(&self.gateway).make_inventories(stop.clone().cancelled_owned()));
        tasks.spawn(Arc::clone(&self.gateway).watch_locations(stop.clone().cancelled_owned()));
        tasks.spawn(Arc::clone(&self.gateway).deliver_logs(stop.clone().cancelled_owned()));
        tasks.spawn(Arc::clone(&self.gateway).deliver_notifications(stop.clone().cancelled_owned()));
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
        let found = opener.inspect(location).await;
        // What is wrong with an entry was said when its file was read.
        problems.extend(found.into_iter().skip(usize::from(location.fault.is_some())));
    }
    Ok(problems)
}

/// The keys of the metadata folder, with the master key from where the environment says.
///
/// # Errors
/// A master key in the environment that is none, or two places for it.
pub fn key_store(configuration: &Configuration, environment: &dyn Environment) -> anyhow::Result<KeyStore> {
    let given = environment.variable(MASTER_KEY).map(zeroize::Zeroizing::new);
    let master = match (given, environment.variable(MASTER_KEY_FILE)) {
        (Some(_), Some(_)) => anyhow::bail!("{MASTER_KEY} and {MASTER_KEY_FILE} are both set: which one holds?"),
        (Some(text), None) => Some(MasterSource::parse(&text).context(MASTER_KEY)?),
        (None, Some(path)) => Some(MasterSource::File(configuration.root.join(path))),
        (None, None) => None,
    };
    Ok(KeyStore::new(&configuration.metadata_dir, master))
}

/// What is wrong with where the master key is, and which keys it does not open. Blocks for a
/// moment.
///
/// # Errors
/// As [`key_store`].
pub fn key_problems(configuration: &Configuration, environment: &dyn Environment) -> anyhow::Result<Vec<Problem>> {
    let store = key_store(configuration, environment)?;
    let exposed = store.exposed_master().map(|(path, mode)| {
        let what = format!("others than the server's user can read or change the master key: its mode is {mode:o}");
        let fix =
            format!("chmod 600 {0}, and `sallyport key reseal --new` when somebody may have read it", path.display());
        Problem::warning(path.display(), what, fix)
    });
    if environment.variable(KMS_ENDPOINT).is_some() {
        return Ok(exposed.into_iter().collect());
    }
    let closed = store.unreadable().unwrap_or_else(|error| vec![error]).into_iter().map(|error| {
        let fix =
            "give the master key that sealed it beside the one that is there: what it wrapped cannot be read before";
        Problem::warning(configuration.metadata_dir.join("keys.json").display(), error.to_string(), fix)
    });
    Ok(exposed.into_iter().chain(closed).collect())
}

/// The operator's own key service when one is named, else the embedded keys.
fn key_service(environment: &dyn Environment, embedded: EmbeddedKeys) -> anyhow::Result<Arc<dyn KeyService>> {
    let Some(endpoint) = environment.variable(KMS_ENDPOINT) else { return Ok(Arc::new(embedded)) };
    let endpoint: http::Uri = endpoint.parse().with_context(|| format!("{KMS_ENDPOINT} is no URL"))?;
    if endpoint.scheme().is_none() || endpoint.host().is_none() {
        anyhow::bail!("{KMS_ENDPOINT} is no URL: write https://kms.<region>.amazonaws.com, or where your KMS listens");
    }
    let needed = |name: &str| {
        environment.variable(name).with_context(|| format!("{KMS_ENDPOINT} is set, so {name} has to be set, too"))
    };
    let options = AwsKmsOptions {
        endpoint,
        region: needed(KMS_REGION)?,
        access_key: needed(KMS_ACCESS_KEY)?,
        secret_key: needed(KMS_SECRET_KEY)?.into(),
        session_token: environment.variable(KMS_SESSION_TOKEN).map(Into::into),
    };
    Ok(Arc::new(ExternalKeys::new(options, needed(KMS_DEFAULT_KEY)?, embedded)?))
}

fn switch(environment: &dyn Environment, name: &str) -> anyhow::Result<Option<bool>> {
    let Some(text) = environment.variable(name) else { return Ok(None) };
    match text.as_str() {
        "true" | "1" => Ok(Some(true)),
        "false" | "0" => Ok(Some(false)),
        other => anyhow::bail!("{name} is {other:?}, neither true nor false"),
    }
}

fn host_options(configuration: &Configuration, environment: &dyn Environment) -> anyhow::Result<HostOptions> {
    let proxies = &configuration.proxies;
    let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
    Ok(HostOptions {
        own_listeners: configuration.listen.iter().chain(&configuration.metrics_listen).copied().collect(),
        plugin_folders: configuration.plugin_dirs.clone(),
        cache_folder: configuration.cache_dir.clone(),
        compiler: Some(compiler()),
        data_folder: configuration.data_dir.clone(),
        limits: limits(environment)?,
        resolver_overrides: resolver_overrides(environment)?,
        proxies: ProxySettings {
            http: reveal(&proxies.http),
            https: reveal(&proxies.https),
            except: (!proxies.no_proxy.is_empty()).then(|| proxies.no_proxy.join(",")),
        },
        diversion: None,
        resolver: None,
    })
}

/// This program once more, by the file that it was started from: also when another one is in
/// its place by now.
pub(crate) fn compiler() -> Compiler {
    Compiler { program: "/proc/self/exe".into(), arguments: vec![COMPILE_COMMAND.into()] }
}

/// `sizeLimitGB` of the locations that have one; 0 is none.
pub(crate) fn size_limits(configuration: &Configuration) -> Vec<(LocationName, u64)> {
    let limited = configuration.locations.iter().filter_map(|location| {
        let limit = location.size_limit_gb.filter(|limit| *limit > 0.0)?;
        // A float of bytes is exact enough for a limit in gigabytes, and saturates.
        Some((LocationName::parse(&location.name).ok()?, (limit * f64::from(1_u32 << 30)) as u64))
    });
    limited.collect()
}

/// Where others store objects that are to be seen.
fn watches(configuration: &Configuration) -> Vec<Watch> {
    let places = configuration.locations.iter().flat_map(|location| {
        location.watch.iter().filter_map(|watch| {
            Some(Watch {
                location: LocationName::parse(&location.name).ok()?,
                bucket: BucketName::parse(&watch.bucket).ok()?,
                interval: watch.every,
                vanished: if watch.forgets_vanished { Vanished::Forget } else { Vanished::Keep },
            })
        })
    });
    places.collect()
}

/// A clock with short days, and how often what runs on it is looked at: as often as in real
/// days, yet not more than once a second.
fn test_clock(environment: &dyn Environment, name: &str) -> anyhow::Result<Option<(Clock, Duration)>> {
    let Some(seconds) = count(environment, name, "seconds")? else { return Ok(None) };
    tracing::warn!("a test clock is on: a day has {seconds} seconds ({name})");
    let interval = Duration::from_secs(u64::from(seconds / 24).max(1));
    Ok(Some((Clock::of_seconds(seconds), interval)))
}

/// A variable that is a number greater than 0.
fn count(environment: &dyn Environment, name: &str, unit: &str) -> anyhow::Result<Option<u32>> {
    let Some(text) = environment.variable(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Some).with_context(|| format!("{name} is {text:?}, not a number of {unit}"))
}

fn limits(environment: &dyn Environment) -> anyhow::Result<Limits> {
    let number = |name: &str| -> anyhow::Result<Option<u32>> {
        let Some(text) = environment.variable(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(Some).with_context(|| format!("{name} is {text:?}, not a positive number"))
    };
    let mut limits = Limits::default();
    if let Some(seconds) = number(COMPILE_SECONDS)? {
        limits.compile_cpu = Duration::from_secs(u64::from(seconds));
        limits.compile_wall = limits.compile_cpu.saturating_mul(5);
    }
    if let Some(mebibytes) = number(COMPILE_MEMORY)? {
        limits.compile_memory = u64::from(mebibytes) << 20;
    }
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
