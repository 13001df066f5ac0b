//! CloudServer's environment variables, parsed once.

use std::net::IpAddr;
use std::time::Duration;

use sallyport_plugin::ProxySettings;

use crate::config::configuration::{LogLevel, Proxies};
use crate::config::environment::Environment;
use crate::config::network::Network;
use crate::config::problem::{Problem, Problems};
use crate::config::secret::Secret;

/// Named in reports.
pub(super) const ENVIRONMENT: &str = "environment";

/// Accepted without effect; those that end in `_` stand for all that begin so.
const WITHOUT_EFFECT: &[&str] = &[
    "ALLOW_PUBLIC_READ_BUCKETS",
    "AWS_S3_HTTPAGENT_",
    "CI_CEPH",
    "CRR_METRICS_",
    "DATA_HOST",
    "ENABLE_LOCAL_CACHE",
    "GCP_HTTPAGENT_",
    "HTTPS_PROXY_CERTIFICATE",
    "METADATA_HOST",
    "MONGODB_",
    "PFSD_",
    "QUOTA_",
    "RECORDLOG_ENABLED",
    "REDIS_",
    "REMOTE_MANAGEMENT_DISABLE",
    "REPLICATION_GROUP_ID",
    "REPORT_TOKEN",
    "S3DATA_NOCACHE",
    "S3DATA_NOSYNC",
    "S3KMS",
    "S3METADATA",
    "S3QUOTA",
    "S3VAULT",
    "S3_REPLICATION_FILE",
    "SCUBA_",
    "STORAGE_LIMIT_ENABLED",
    "TIME_PROGRESSION_FACTOR",
    "VAULTD_HOST",
];

/// What a variable of a `pfs` location ends with, behind the location's name.
const OF_PFS: &str = "_PFSD_ENDPOINT";

/// The variables that have an effect.
#[derive(Debug)]
pub(super) struct Variables {
    pub(super) config_file: Option<String>,
    pub(super) location_file: Option<String>,
    pub(super) auth_file: Option<String>,
    /// Every location is a folder of this machine, whatever its type.
    pub(super) all_local: bool,
    pub(super) keys: Option<(String, Secret)>,
    pub(super) data_path: Option<String>,
    pub(super) metadata_path: Option<String>,
    /// Hosts without scheme and port.
    pub(super) endpoints: Vec<String>,
    pub(super) log_level: Option<LogLevel>,
    pub(super) listen_addr: Option<String>,
    pub(super) ssl: bool,
    pub(super) proxies: Proxies,
    pub(super) presign_expiry: Option<Duration>,
    pub(super) mpu_testing: bool,
    pub(super) health_allow: Vec<Network>,
}

impl Variables {
    pub(super) fn read(environment: &dyn Environment, problems: &mut Problems) -> Self {
        let variable = |name: &str| environment.variable(name);
        report_without_effect(environment, problems);
        Self {
            config_file: variable("S3_CONFIG_FILE"),
            location_file: variable("S3_LOCATION_FILE"),
            auth_file: variable("S3AUTH_CONFIG"),
            all_local: all_local(environment, problems),
            keys: keys(environment, problems),
            data_path: variable("S3DATAPATH"),
            metadata_path: variable("S3METADATAPATH"),
            endpoints: list(variable("ENDPOINT")).iter().map(|it| host_of(it)).collect(),
            log_level: log_level(environment, problems),
            listen_addr: variable("LISTEN_ADDR"),
            ssl: variable("SSL").is_some(),
            proxies: Proxies {
                http: proxy(environment, "HTTP_PROXY", problems),
                https: proxy(environment, "HTTPS_PROXY", problems),
                no_proxy: list(either(environment, "NO_PROXY")),
            },
            presign_expiry: presign_expiry(environment, problems),
            mpu_testing: variable("MPU_TESTING").is_some_and(|value| value == "yes"),
            health_allow: networks(
                &list(variable("HEALTHCHECKS_ALLOWFROM")),
                (ENVIRONMENT, "HEALTHCHECKS_ALLOWFROM"),
                problems,
            ),
        }
    }
}

/// The host of `http://host:port/path`, `host:port` or `host`, in lower case and without the
/// root's dot; an address in its one short form, without brackets.
pub(super) fn host_of(text: &str) -> String {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or(bracketed),
        // More than one colon: an IPv6 address without brackets.
        None if authority.matches(':').count() == 1 => authority.split(':').next().unwrap_or(authority),
        None => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let address = host.parse::<IpAddr>();
    address.map_or_else(|_| host.to_ascii_lowercase(), |address| address.to_string())
}

/// Reads blocks of addresses; what is none is reported and left out, which allows less.
pub(super) fn networks(texts: &[String], (file, field): (&str, &str), problems: &mut Problems) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(error) => {
                let problem = Problem::warning(file, error_text(&error), "write a block, 10.0.0.0/8");
                problems.push(problem.at(field));
            }
        }
    }
    networks
}

fn error_text(error: &dyn std::error::Error) -> String {
    error.to_string()
}

fn list(value: Option<String>) -> Vec<String> {
    let value = value.unwrap_or_default();
    let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// A variable in upper case, or else in lower case.
fn either(environment: &dyn Environment, name: &str) -> Option<String> {
    environment.variable(name).or_else(|| environment.variable(&name.to_ascii_lowercase()))
}

fn all_local(environment: &dyn Environment, problems: &mut Problems) -> bool {
    let known = [("S3BACKEND", ["mem", "file", "scality", "cdmi"]), ("S3DATA", ["mem", "file", "scality", "multiple"])];
    let mut all_local = false;
    for (name, values) in known {
        let Some(value) = environment.variable(name) else { continue };
        if !values.contains(&value.as_str()) {
            // Guessing here would put objects elsewhere than meant.
            let what = format!("{value:?} is not a data backend");
            let fix = format!("write one of {}, or leave it out", values.join(", "));
            problems.push(Problem::fatal(ENVIRONMENT, what, fix).at(name));
        }
        all_local = value == "mem" || value == "file";
        if value == "mem" {
            let what = "objects and metadata are kept on disk, not in memory";
            problems.push(Problem::warning(ENVIRONMENT, what, "write file").at(name));
        }
    }
    all_local
}

fn keys(environment: &dyn Environment, problems: &mut Problems) -> Option<(String, Secret)> {
    let names = ["SCALITY_ACCESS_KEY_ID", "SCALITY_SECRET_ACCESS_KEY"];
    match names.map(|name| environment.variable(name)) {
        [Some(access), Some(secret)] => Some((access, Secret::new(secret))),
        [None, None] => None,
        [access, _] => {
            let (set, missing) = if access.is_some() { (0, 1) } else { (1, 0) };
            let name = |index: usize| names.get(index).copied().unwrap_or_default();
            let what = format!("has no effect without {}", name(missing));
            let problem = Problem::warning(ENVIRONMENT, what, "set both or neither");
            problems.push(problem.at(name(set)));
            None
        }
    }
}

fn log_level(environment: &dyn Environment, problems: &mut Problems) -> Option<LogLevel> {
    let value = environment.variable("LOG_LEVEL")?;
    let level = LogLevel::parse(&value);
    if level.is_none() {
        let fix = "write trace, debug, info, warn or error";
        let what = format!("{value:?} is not a level");
        problems.push(Problem::warning(ENVIRONMENT, what, fix).at("LOG_LEVEL"));
    }
    level
}

fn proxy(environment: &dyn Environment, name: &str, problems: &mut Problems) -> Option<Secret> {
    let value = either(environment, name)?;
    if ProxySettings::is_proxy(&value) {
        return Some(Secret::new(value));
    }
    // Going past a proxy that was asked for may show traffic where it should not be.
    problems.push(Problem::fatal(ENVIRONMENT, "is not the URL of a proxy", PROXY_FIX).at(name));
    None
}

/// What to write for a proxy.
pub(super) const PROXY_FIX: &str =
    "write http://host:port, with user:password@ before the host if needed, and %2F for a / in a password";

/// CloudServer counts milliseconds.
fn presign_expiry(environment: &dyn Environment, problems: &mut Problems) -> Option<Duration> {
    let value = environment.variable("PRE_SIGN_URL_EXPIRY")?;
    let milliseconds = value.parse().ok();
    if milliseconds.is_none() {
        let problem = Problem::warning(ENVIRONMENT, "is not a number", "write milliseconds");
        problems.push(problem.at("PRE_SIGN_URL_EXPIRY"));
    }
    milliseconds.map(Duration::from_millis)
}

fn report_without_effect(environment: &dyn Environment, problems: &mut Problems) {
    let mut names: Vec<String> = environment.names();
    names.retain(|name| {
        name.ends_with(OF_PFS)
            || WITHOUT_EFFECT.iter().any(|known| name == known || (known.ends_with('_') && name.starts_with(known)))
    });
    names.sort();
    for name in names {
        let problem = Problem::warning(ENVIRONMENT, "has no effect in Sallyport", "unset it");
        problems.push(problem.at(name));
    }
}
