//! The composition root: the only file that names every part.

mod options;

use crate::accounts::Accounts;
use crate::arguments::COMPILE_COMMAND;
use crate::config::{Configuration, Environment, Problem};
use crate::destinations::DestinationTable;
use crate::keys::{AwsKmsOptions, EmbeddedKeys, ExternalKeys, KeyStore, MasterSource};
use crate::locations::{LocationTable, Opener};
use anyhow::Context;
use options::Options;
use sallyport_core::backend::Locations;
use sallyport_core::encryption::KeyService;
use sallyport_core::metadata::MetadataStore;
use sallyport_core::names::{BucketName, LocationName};
use sallyport_core::{Gateway, Vanished, Watch};
use sallyport_metadata::SqliteStore;
use sallyport_plugin::{Compiler, PluginHost};
use sallyport_s3::{Credentials, S3Options, S3Service};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The master key in base64; several, separated by commas, while it is being replaced.
const MASTER_KEY: &str = "SALLYPORT_MASTER_KEY";
/// The file that the master key is in.
const MASTER_KEY_FILE: &str = "SALLYPORT_MASTER_KEY_FILE";
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
        let (options, mistakes) = Options::read(configuration, environment.as_ref());
        let Options { sqlite, mut gateway, host, keys, .. } = options;
        let told = || mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let keys = keys.filter(|_| mistakes.is_empty()).with_context(told)?;
        for (name, seconds) in &options.test_clocks {
            tracing::warn!("a test clock is on: a day has {seconds} seconds ({name})");
        }
        gateway.watches = watches(configuration);
        if configuration.mpu_testing {
            gateway.min_part = 0;
        }
        let metadata: Arc<dyn MetadataStore> = Arc::new(SqliteStore::open(sqlite).await?);
        let opener = Opener::new(PluginHost::new(host)?, environment, configuration).await;
        let (locations, problems) = LocationTable::open(configuration, opener, Arc::clone(&metadata)).await;
        let ports: Arc<dyn Locations> = Arc::clone(&locations) as Arc<dyn Locations>;
        metadata.allow_locations(size_limits(configuration)).await?;
        let destinations = DestinationTable::open(&configuration.destinations).await?;
        let gateway = Gateway::new(metadata, ports, gateway).with_keys(keys);
        let gateway = Arc::new(gateway.with_destinations(Arc::new(destinations)));
        let accounts = Arc::new(Accounts::new(configuration));
        let mut front = S3Options::new(Arc::clone(&accounts) as Arc<dyn Credentials>);
        front.rest_endpoints = configuration.rest_endpoints.clone();
        front.website_endpoints.clone_from(&configuration.website_endpoints);
        front.presign_expiry = configuration.presign_expiry.unwrap_or(front.presign_expiry);
        front.idle_body_timeout = configuration.limits.idle_body;
        front.patience = options.patience.unwrap_or(front.patience);
        front.spool_folder.clone_from(&configuration.metadata_dir);
        front.tls = configuration.tls.is_some();
        front.customer_keys_without_tls = options.customer_keys_without_tls.unwrap_or(front.customer_keys_without_tls);
        let service = S3Service::new(Arc::clone(&gateway), front);
        let (watch_interval, heal_interval) = (options.watch_interval, options.heal_interval);
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
    // What is wrong with the environment is told apart from it.
    let (options, _) = Options::read(configuration, environment.as_ref());
    let host = PluginHost::new(options.host)?;
    let opener = Opener::new(host, environment, configuration).await;
    let mut problems = Vec::new();
    for location in &configuration.locations {
        let found = opener.inspect(location).await;
        // What is wrong with an entry was said when its file was read.
        problems.extend(found.into_iter().skip(usize::from(location.fault.is_some())));
    }
    Ok(problems)
}

/// What is wrong with the variables, Sallyport's own ones, each of them.
pub fn environment_problems(configuration: &Configuration, environment: &dyn Environment) -> Vec<Problem> {
    let (_, problems) = Options::read(configuration, environment);
    problems
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
