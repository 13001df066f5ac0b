//! What the environment decides of the parts, with every mistake in it.

use super::{compiler, key_service, key_store};
use crate::config::{Configuration, Environment, Problem, Secret};
use crate::keys::EmbeddedKeys;
use crate::locations::BREAKER_CALLS;
use sallyport_core::GatewayOptions;
use sallyport_core::encryption::KeyService;
use sallyport_core::lifecycle::Clock;
use sallyport_metadata::SqliteOptions;
use sallyport_plugin::{HostOptions, Limits, ProxySettings};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Named in reports.
const ENVIRONMENT: &str = "environment";

/// Milliseconds for which freed bytes are kept for readers that started before.
const DELETION_DELAY: &str = "SALLYPORT_DELETION_DELAY_MS";
/// Milliseconds between two deliveries of access logs.
const LOG_INTERVAL: &str = "SALLYPORT_LOG_INTERVAL_MS";
/// How many events may wait for a destination of notifications.
const MOST_EVENTS: &str = "SALLYPORT_NOTIFICATIONS_MAX_PENDING";
/// Milliseconds after which a backend is asked again about a write that it did not answer.
const RECHECK_AFTER: &str = "SALLYPORT_RECHECK_AFTER_MS";
/// Milliseconds between two rounds of the sweeper.
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
/// `true`: keys that clients name for SSE-KMS come to be with their first use.
const CREATE_KEYS: &str = "SALLYPORT_KMS_CREATE_KEYS";
/// `false`: clients may not send their own keys (SSE-C) without TLS.
const CUSTOMER_KEYS_WITHOUT_TLS: &str = "SALLYPORT_SSE_C_OVER_HTTP";

/// What the parts are made with.
pub(super) struct Options {
    pub(super) sqlite: SqliteOptions,
    pub(super) gateway: GatewayOptions,
    pub(super) host: HostOptions,
    /// Absent when something is wrong with where they are.
    pub(super) keys: Option<Arc<dyn KeyService>>,
    pub(super) customer_keys_without_tls: Option<bool>,
    pub(super) patience: Option<Duration>,
    pub(super) heal_interval: Option<Duration>,
    pub(super) watch_interval: Option<Duration>,
    /// The variables that make days short, with the seconds that one has.
    pub(super) test_clocks: Vec<(&'static str, u32)>,
}

impl Options {
    /// Reads all variables: what is wrong with one does not hide another.
    pub(super) fn read(configuration: &Configuration, environment: &dyn Environment) -> (Self, Vec<Problem>) {
        let mut variables = Variables { environment, problems: Vec::new() };
        let mut sqlite = SqliteOptions::new(&configuration.metadata_dir);
        sqlite.deletion_delay = variables.milliseconds(DELETION_DELAY).unwrap_or(sqlite.deletion_delay);
        sqlite.most_events = variables.count(MOST_EVENTS, "events").unwrap_or(sqlite.most_events);
        // The locations read it wherever they are opened.
        let _ = variables.parsed(BREAKER_CALLS, "a number of calls", |text| text.parse::<u32>().ok());
        let mut gateway = GatewayOptions::default();
        gateway.log_interval = variables.milliseconds(LOG_INTERVAL).unwrap_or(gateway.log_interval);
        gateway.sweep_interval = variables.milliseconds(SWEEP_INTERVAL).unwrap_or(gateway.sweep_interval);
        gateway.recheck_after = variables.milliseconds(RECHECK_AFTER).unwrap_or(gateway.recheck_after);
        let mut test_clocks = Vec::new();
        if let Some(seconds) = variables.count(LIFECYCLE_DAY, "seconds") {
            (gateway.lifecycle_clock, gateway.lifecycle_interval) = test_clock(seconds);
            test_clocks.push((LIFECYCLE_DAY, seconds));
        }
        if let Some(seconds) = variables.count(INVENTORY_DAY, "seconds") {
            (gateway.inventory_clock, gateway.inventory_interval) = test_clock(seconds);
            test_clocks.push((INVENTORY_DAY, seconds));
        }
        if let Some(bytes) = variables.count(INVENTORY_FILE, "bytes") {
            gateway.inventory_file = bytes.into();
        }
        let keys = keys(configuration, &mut variables);
        let options = Self {
            sqlite,
            gateway,
            host: host_options(configuration, &mut variables),
            keys,
            customer_keys_without_tls: variables.switch(CUSTOMER_KEYS_WITHOUT_TLS),
            patience: variables.milliseconds(PATIENCE),
            heal_interval: variables.milliseconds(HEAL_INTERVAL),
            watch_interval: variables.milliseconds(WATCH_INTERVAL),
            test_clocks,
        };
        (options, variables.problems)
    }
}

/// The environment, and what is wrong with what was read of it.
struct Variables<'a> {
    environment: &'a dyn Environment,
    problems: Vec<Problem>,
}

impl Variables<'_> {
    fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        let number = self.parsed(name, "a number of milliseconds", |text| text.parse::<u64>().ok());
        number.map(Duration::from_millis)
    }

    /// A number greater than 0.
    fn count(&mut self, name: &str, unit: &str) -> Option<u32> {
        let meant = format!("a number of {unit}");
        self.parsed(name, &meant, |text| text.parse::<u32>().ok().filter(|number| *number > 0))
    }

    fn switch(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "true or false", |text| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    fn addresses(&mut self, name: &str) -> HashMap<String, SocketAddr> {
        let fix = "write name=address:port, with commas between several";
        let mut addresses = HashMap::new();
        let text = self.environment.variable(name).unwrap_or_default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((host, address)) = pair.split_once('=') else {
                self.wrong(name, format!("{pair:?} has no ="), fix);
                continue;
            };
            match address.parse::<SocketAddr>() {
                Ok(address) => {
                    addresses.insert(host.to_owned(), address);
                }
                Err(_) => self.wrong(name, format!("{address:?} is no address:port"), fix),
            }
        }
        addresses
    }

    fn parsed<T>(&mut self, name: &str, meant: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.environment.variable(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.wrong(name, format!("{text:?} is not {meant}"), &format!("write {meant}, or unset it"));
        }
        value
    }

    /// What several variables make together, if they do.
    fn noted<T>(&mut self, made: anyhow::Result<T>) -> Option<T> {
        match made {
            Ok(value) => Some(value),
            Err(error) => {
                let fix = "put it right, or unset it";
                self.problems.push(Problem::fatal(ENVIRONMENT, format!("{error:#}"), fix));
                None
            }
        }
    }

    fn wrong(&mut self, name: &str, what: String, fix: &str) {
        self.problems.push(Problem::fatal(ENVIRONMENT, what, fix).at(name));
    }
}

fn keys(configuration: &Configuration, variables: &mut Variables<'_>) -> Option<Arc<dyn KeyService>> {
    let creates = variables.switch(CREATE_KEYS).unwrap_or(false);
    let environment = variables.environment;
    let store = variables.noted(key_store(configuration, environment))?;
    variables.noted(key_service(environment, EmbeddedKeys::new(store, creates)))
}

/// A clock with short days, and how often what runs on it is looked at: as often as in real
/// days, yet not more than once a second.
fn test_clock(seconds: u32) -> (Clock, Duration) {
    (Clock::of_seconds(seconds), Duration::from_secs(u64::from(seconds / 24).max(1)))
}

fn host_options(configuration: &Configuration, variables: &mut Variables<'_>) -> HostOptions {
    let proxies = &configuration.proxies;
    let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
    HostOptions {
        own_listeners: configuration.listen.iter().chain(&configuration.metrics_listen).copied().collect(),
        plugin_folders: configuration.plugin_dirs.clone(),
        cache_folder: configuration.cache_dir.clone(),
        compiler: Some(compiler()),
        data_folder: configuration.data_dir.clone(),
        limits: limits(variables),
        resolver_overrides: variables.addresses(RESOLVE),
        proxies: ProxySettings {
            http: reveal(&proxies.http),
            https: reveal(&proxies.https),
            except: (!proxies.no_proxy.is_empty()).then(|| proxies.no_proxy.join(",")),
        },
        diversion: None,
        resolver: None,
    }
}

fn limits(variables: &mut Variables<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(seconds) = variables.count(COMPILE_SECONDS, "seconds") {
        limits.compile_cpu = Duration::from_secs(u64::from(seconds));
        limits.compile_wall = limits.compile_cpu.saturating_mul(5);
    }
    if let Some(mebibytes) = variables.count(COMPILE_MEMORY, "MiB") {
        limits.compile_memory = u64::from(mebibytes) << 20;
    }
    let Some(silence) = variables.milliseconds(BACKEND_TIMEOUT) else { return limits };
    // A call may ask several times before it gives up.
    Limits { connect: silence, first_byte: silence, idle: silence, wall: silence.saturating_mul(4), ..limits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn each_variable_that_makes_no_sense_is_named() {
        let mut wrong = [
            (BACKEND_TIMEOUT, "1s"),
            (BREAKER_CALLS, "many"),
            (COMPILE_MEMORY, "1 GiB"),
            (CREATE_KEYS, "maybe"),
            (DELETION_DELAY, "-1"),
            (INVENTORY_DAY, "0"),
            (MOST_EVENTS, "0"),
            (RESOLVE, "nonsense"),
            (SWEEP_INTERVAL, "soon"),
        ];
        wrong.sort_unstable();
        let environment: BTreeMap<String, String> =
            wrong.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (configuration, _) = load(root, &Overrides::default(), &BTreeMap::<String, String>::new());
        let (_, problems) = Options::read(&configuration.unwrap(), &environment);
        let mut named: Vec<_> = problems.iter().filter_map(|problem| problem.field.as_deref()).collect();
        named.sort_unstable();
        assert_eq!(named, wrong.map(|(name, _)| name), "{problems:?}");
    }
}
