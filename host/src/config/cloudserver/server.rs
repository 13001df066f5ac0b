//! Reads `config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use sallyport_plugin::{ProxySettings, Trust};
use serde_json::{Map, Value};

use super::destinations;
use super::field::Fields;
use super::trust;
use super::variables::{PROXY_FIX, host_of, networks};
use crate::config::configuration::LogLevel;
use crate::config::destination::DestinationConfiguration;
use crate::config::network::Network;
use crate::config::problem::{Problem, Problems, Severity};
use crate::config::secret::Secret;

/// Accepted without effect.
const WITHOUT_EFFECT: &[&str] = &[
    "backbeat",
    "bucketd",
    "cdmi",
    "clusters",
    "dataClient",
    "dataDaemon",
    "defaultEncryptionKeyPerAccount",
    "externalBackends",
    "globalEncryptionEnabled",
    "kmip",
    "kms",
    "kmsAWS",
    "localCache",
    "maxScannedLifecycleListingEntries",
    "metadataClient",
    "metadataDaemon",
    "mongodb",
    "multiObjectDeleteConcurrency",
    "pfsClient",
    "pfsDaemon",
    "quota",
    "recordLog",
    "redis",
    "replicationEndpoints",
    "replicationGroupId",
    "reportToken",
    "requests",
    "scuba",
    "testingMode",
    "utapi",
    "vaultd",
    "workflowEngineOperator",
];
/// Each costs instances, connections and memory of its own.
const LOCATIONS_PER_TENANT: usize = 64;
/// Keys of old versions that decided where data goes.
const REMOVED: [&str; 3] = ["regions", "usEastBehavior", "sproxyd"];

/// What `config.json` says.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) port: Option<u16>,
    pub(super) listen_on: Vec<String>,
    pub(super) metrics_port: Option<u16>,
    pub(super) metrics_listen_on: Vec<String>,
    pub(super) rest_endpoints: BTreeMap<String, String>,
    pub(super) website_endpoints: Vec<String>,
    pub(super) log_level: Option<LogLevel>,
    pub(super) health_allow: Vec<Network>,
    pub(super) certificate: Option<CertificatePaths>,
    /// The folder of tenants' own locations.
    pub(super) tenant_locations: Option<String>,
    /// How many of them one account may have.
    pub(super) locations_per_tenant: usize,
    /// `outboundProxy.url`.
    pub(super) outbound_proxy: Option<Secret>,
    pub(super) destinations: Vec<DestinationConfiguration>,
    /// `plugins`: what every location asks of its plugin.
    pub(super) trust: Trust,
}

/// `certFilePaths`, as written.
#[derive(Debug)]
pub(super) struct CertificatePaths {
    pub(super) key: String,
    pub(super) certificate: String,
    pub(super) authority: Option<String>,
}

pub(super) fn read(file: &str, root: &Path, map: Map<String, Value>, problems: &mut Problems) -> Server {
    let mut fields = Fields::new(file, "", map);
    let server = Server {
        port: fields.port("port"),
        listen_on: fields.texts("listenOn").unwrap_or_default(),
        metrics_port: fields.port("metricsPort"),
        metrics_listen_on: fields.texts("metricsListenOn").unwrap_or_default(),
        rest_endpoints: rest_endpoints(file, &mut fields, problems),
        website_endpoints: website_endpoints(&mut fields),
        log_level: log_level(file, &mut fields, problems),
        health_allow: health_allow(file, &mut fields, problems),
        certificate: certificate(file, &mut fields, problems),
        tenant_locations: fields.text("tenantLocations"),
        locations_per_tenant: locations_per_tenant(&mut fields),
        outbound_proxy: outbound_proxy(file, &mut fields, problems),
        destinations: destinations::read(file, root, fields.take("bucketNotificationDestinations"), problems),
        trust: plugins(file, &mut fields, problems),
    };
    for key in REMOVED {
        if fields.take(key).is_some() {
            let fix = "name hosts in restEndpoints and locations in locationConfig.json";
            problems.push(Problem::fatal(file, "is no longer supported", fix).at(key));
        }
    }
    // A server that listens elsewhere than it was told is not the one that was asked for.
    problems.extend(fields.problems.iter().cloned().map(fatal));
    for key in fields.rest() {
        let (what, fix) = if WITHOUT_EFFECT.contains(&key.as_str()) {
            ("has no effect in Sallyport", "remove it, or leave it for CloudServer")
        } else {
            ("is not known", "correct its spelling, or remove it")
        };
        problems.push(Problem::warning(file, what, fix).at(key));
    }
    server
}

fn rest_endpoints(file: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let before = fields.problems.len();
    let entries = fields.object("restEndpoints");
    if entries.is_none() && fields.problems.len() == before {
        let fix = "write { \"localhost\": \"us-east-1\" } with every host that clients use";
        problems.push(Problem::fatal(file, "is missing", fix).at("restEndpoints"));
    }
    let mut endpoints = BTreeMap::new();
    for (written, location) in entries.unwrap_or_default() {
        let path = format!("restEndpoints.{written}");
        let Value::String(location) = location else {
            problems.push(Problem::fatal(file, "is not a text", "write a location's name").at(path));
            continue;
        };
        let host = host_of(&written);
        if host != written {
            let what = format!("is taken as the host {host}");
            let fix = "write the host alone, in lower case, without scheme and port";
            problems.push(Problem::warning(file, what, fix).at(&path));
        }
        let other = endpoints.insert(host, location.clone());
        if other.is_some_and(|other| other != location) {
            let what = "gives one host two locations";
            problems.push(Problem::fatal(file, what, "keep one of them").at(path));
        }
    }
    endpoints
}

fn website_endpoints(fields: &mut Fields<'_>) -> Vec<String> {
    fields.texts("websiteEndpoints").unwrap_or_default().iter().map(|host| host_of(host)).collect()
}

fn locations_per_tenant(fields: &mut Fields<'_>) -> usize {
    let Some(value) = fields.take("locationsPerTenant") else { return LOCATIONS_PER_TENANT };
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    if count.is_none() {
        fields.refuse("locationsPerTenant", "is no count", "a whole number, without quotes");
    }
    count.unwrap_or(LOCATIONS_PER_TENANT)
}

fn log_level(file: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<LogLevel> {
    let mut log = Fields::new(file, "log", fields.object("log")?);
    // What CloudServer dumps after an error is in each of our lines already.
    log.take("dumpLevel");
    let text = log.text("logLevel");
    problems.extend(log.problems.iter().cloned());
    let text = text?;
    let level = LogLevel::parse(&text);
    if level.is_none() {
        let fix = "write trace, debug, info, warn or error";
        problems.push(Problem::warning(file, "is not a level", fix).at("log.logLevel"));
    }
    level
}

fn health_allow(file: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Network> {
    let Some(map) = fields.object("healthChecks") else { return Vec::new() };
    let mut health = Fields::new(file, "healthChecks", map);
    let texts = health.texts("allowFrom").unwrap_or_default();
    problems.extend(health.problems.iter().cloned());
    networks(&texts, (file, "healthChecks.allowFrom"), problems)
}

fn certificate(file: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<CertificatePaths> {
    let map = fields.object("certFilePaths")?;
    // CloudServer's own test configuration has the key with nothing in it.
    if map.is_empty() {
        return None;
    }
    let mut paths = Fields::new(file, "certFilePaths", map);
    let (key, certificate) = (paths.text("key"), paths.text("cert"));
    let authority = paths.text("ca");
    problems.extend(paths.problems.iter().cloned().map(fatal));
    if let (Some(key), Some(certificate)) = (key, certificate) {
        return Some(CertificatePaths { key, certificate, authority });
    }
    // Plain HTTP instead of what was asked for would show everything to everybody.
    let fix = "write both \"key\" and \"cert\", or remove certFilePaths";
    problems.push(Problem::fatal(file, "lacks key or cert", fix).at("certFilePaths"));
    None
}

fn outbound_proxy(file: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Secret> {
    let mut proxy = Fields::new(file, "outboundProxy", fields.object("outboundProxy")?);
    let url = proxy.text("url").filter(|url| !url.is_empty());
    problems.extend(proxy.problems.iter().cloned().map(fatal));
    for key in proxy.rest() {
        let problem = Problem::warning(file, "has no effect in Sallyport", "proxies are reached without TLS");
        problems.push(problem.at(key));
    }
    let url = url?;
    if ProxySettings::is_proxy(&url) {
        return Some(Secret::new(url));
    }
    problems.push(Problem::fatal(file, "is not the URL of a proxy", PROXY_FIX).at("outboundProxy.url"));
    None
}

/// A mistake here is fatal: the plugins that it was to keep out would be let in.
fn plugins(file: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Trust {
    let Some(map) = fields.object("plugins") else { return Trust::default() };
    let mut plugins = Fields::new(file, "plugins", map);
    let mut trust = trust::read(&mut plugins);
    if trust.sha256.take().is_some() {
        let fix = "write it into the location's own \"plugin\": there is one plugin for each type";
        problems.push(Problem::fatal(file, "pins one plugin for all locations", fix).at("plugins.sha256"));
    }
    problems.extend(trust::problems(plugins).into_iter().map(fatal));
    trust
}

fn fatal(problem: Problem) -> Problem {
    Problem { severity: Severity::Fatal, ..problem }
}
