//! Puts files, variables and command line together into one configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::files::{Choice, read_object};
use super::server::{CertificatePaths, Server};
use super::variables::{ENVIRONMENT, Variables};
use super::{accounts, locations, server, tenants, trust};
use crate::config::configuration::{
    Configuration, ConnectionLimits, LocationConfiguration, LogFormat, LogLevel, LogSettings, Proxies, TlsSource,
};
use crate::config::environment::Environment;
use crate::config::network::Network;
use crate::config::problem::{Problem, Problems};

const S3_PORT: u16 = 8000;
const METRICS_PORT: u16 = 8002;

/// What the command line decides, which wins over variables and files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Instead of `config.json`.
    pub config: Option<PathBuf>,
    /// Instead of `locationConfig.json`.
    pub locations: Option<PathBuf>,
    /// Instead of `tenantLocations`.
    pub tenant_locations: Option<PathBuf>,
    /// Instead of `conf/authdata.json`.
    pub auth: Option<PathBuf>,
    /// Instead of the folders beside the server's binary.
    pub plugins: Vec<PathBuf>,
    /// Instead of `localData`.
    pub data_dir: Option<PathBuf>,
    /// Instead of `localMetadata`.
    pub metadata_dir: Option<PathBuf>,
    /// Instead of a folder below the metadata's.
    pub cache_dir: Option<PathBuf>,
    /// Instead of `port` and `listenOn`.
    pub listen: Vec<SocketAddr>,
    /// Instead of `metricsPort` and `metricsListenOn`.
    pub metrics_listen: Vec<SocketAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// Reads everything, with `root` as the folder that files and relative paths count from.
///
/// All mistakes come together. There is a configuration unless one of them is fatal.
pub fn load(root: &Path, overrides: &Overrides, environment: &dyn Environment) -> (Option<Configuration>, Problems) {
    let (configuration, problems) = draft(root, overrides, environment);
    ((!problems.is_fatal()).then_some(configuration), problems)
}

/// As [`load`], yet with what could be read in spite of fatal mistakes, and with nothing in
/// place of a file that could not: nothing may be served with it, but more mistakes can be found.
pub fn draft(root: &Path, overrides: &Overrides, environment: &dyn Environment) -> (Configuration, Problems) {
    let mut problems = Problems::default();
    let variables = Variables::read(environment, &mut problems);
    let reader = Reader { root, overrides, variables: &variables };
    let configuration = reader.read(&mut problems);
    (configuration, problems)
}

struct Reader<'a> {
    root: &'a Path,
    overrides: &'a Overrides,
    variables: &'a Variables,
}

impl Reader<'_> {
    fn read(&self, problems: &mut Problems) -> Configuration {
        let mut files = Vec::new();
        let (config_file, server) = self.server(&mut files, problems);
        let (locations_file, locations) = self.locations(&mut files, problems);
        let accounts = self.accounts(&mut files, problems);
        // What one file names in another is not looked for in one that could not be read.
        let (has_locations, has_tenants) = (locations.is_some(), locations.is_some() && accounts.is_some());
        let mut server = server.unwrap_or_default();
        let (mut locations, accounts) = (locations.unwrap_or_default(), accounts.unwrap_or_default());
        for host in &self.variables.endpoints {
            server.rest_endpoints.insert(host.clone(), locations::FALLBACK.to_owned());
        }
        if has_tenants {
            tenants::resolve(&mut locations, &accounts, problems);
        }
        let tenant_locations = self.tenant_locations(&server);
        if let Some(folder) = &tenant_locations {
            if has_tenants {
                let rules = tenants::Rules { all_local: self.variables.all_local, most: server.locations_per_tenant };
                let theirs = tenants::read(folder, &accounts, rules, &locations, problems);
                locations.extend(theirs);
            }
            // One that comes or goes changes the folder, one that is written over only itself.
            files.push(folder.clone());
            files.extend(tenants::files_of(folder, &mut Problems::default()));
        }
        trust::share(&server.trust, &mut locations);
        for (host, location) in &server.rest_endpoints {
            if has_locations && !locations.iter().any(|known| known.name == *location) {
                let what = format!("{location} is not a location");
                let fix = format!("name one that {locations_file} lists, or add it there");
                let path = format!("restEndpoints.{host}");
                problems.push(Problem::fatal(&config_file, what, fix).at(path));
            }
        }
        let listen = self.listen(&config_file, &server, problems);
        report_public_keys(&listen, &accounts::public_keys(&accounts), problems);
        let metadata_dir = self.folder(
            self.overrides.metadata_dir.as_deref(),
            self.variables.metadata_path.as_deref(),
            "localMetadata",
        );
        Configuration {
            root: self.root.to_owned(),
            metrics_listen: self.metrics_listen(&config_file, &server, problems),
            tls: self.tls(&server, &metadata_dir),
            log: LogSettings {
                level: self.variables.log_level.or(server.log_level).unwrap_or(LogLevel::Info),
                format: self.overrides.log_format,
            },
            accounts,
            config_file,
            locations,
            locations_file,
            tenant_locations,
            files,
            data_dir: self.folder(self.overrides.data_dir.as_deref(), self.variables.data_path.as_deref(), "localData"),
            cache_dir: self.overrides.cache_dir.clone().unwrap_or_else(|| metadata_dir.join("compiled")),
            metadata_dir,
            plugin_dirs: self.plugin_dirs(),
            proxies: self.proxies(&server),
            presign_expiry: self.variables.presign_expiry,
            mpu_testing: self.variables.mpu_testing,
            health_allow: Network::LOOPBACK
                .into_iter()
                .chain(server.health_allow.iter().copied())
                .chain(self.variables.health_allow.iter().copied())
                .collect(),
            limits: ConnectionLimits::default(),
            listen,
            destinations: server.destinations,
            rest_endpoints: server.rest_endpoints,
            website_endpoints: server.website_endpoints,
        }
    }

    fn server(&self, files: &mut Vec<PathBuf>, problems: &mut Problems) -> (String, Option<Server>) {
        let choice = Choice {
            argument: self.overrides.config.as_deref(),
            variable: self.variables.config_file.clone(),
            default: "config.json",
            setting: "--config or S3_CONFIG_FILE",
        };
        let file = choice.resolve(self.root);
        files.push(file.path.clone());
        let server = read_object(&file, problems).map(|map| server::read(&file.name, self.root, map, problems));
        (file.name, server)
    }

    fn locations(
        &self,
        files: &mut Vec<PathBuf>,
        problems: &mut Problems,
    ) -> (String, Option<Vec<LocationConfiguration>>) {
        let choice = Choice {
            argument: self.overrides.locations.as_deref(),
            variable: self.variables.location_file.clone(),
            default: "locationConfig.json",
            setting: "--locations or S3_LOCATION_FILE",
        };
        let file = choice.resolve(self.root);
        files.push(file.path.clone());
        let locations = read_object(&file, problems)
            .map(|map| locations::read(&file.name, map, self.variables.all_local, problems));
        (file.name, locations)
    }

    /// The folder of tenants' own files; there need be none.
    fn tenant_locations(&self, server: &Server) -> Option<PathBuf> {
        let of_file = server.tenant_locations.as_deref().map(|folder| self.root.join(folder));
        self.overrides.tenant_locations.clone().or(of_file)
    }

    fn accounts(
        &self,
        files: &mut Vec<PathBuf>,
        problems: &mut Problems,
    ) -> Option<Vec<crate::config::configuration::Account>> {
        if let Some((access, secret)) = &self.variables.keys {
            let secret = secret.reveal().to_owned();
            return Some(vec![accounts::from_environment(access.clone(), secret)]);
        }
        let choice = Choice {
            argument: self.overrides.auth.as_deref(),
            variable: self.variables.auth_file.clone(),
            default: "conf/authdata.json",
            setting: "--auth or S3AUTH_CONFIG",
        };
        let file = choice.resolve(self.root);
        files.push(file.path.clone());
        let map = read_object(&file, problems)?;
        Some(accounts::read(&file.name, map, problems))
    }

    /// Command line, else LISTEN_ADDR, else listenOn, else the port on loopback: what is
    /// reachable from elsewhere, somebody asked for.
    fn listen(&self, file: &str, server: &Server, problems: &mut Problems) -> Vec<SocketAddr> {
        if !self.overrides.listen.is_empty() {
            return self.overrides.listen.clone();
        }
        let port = server.port.unwrap_or(S3_PORT);
        if let Some(text) = &self.variables.listen_addr {
            let texts = std::slice::from_ref(text);
            return addresses(texts, port, (ENVIRONMENT, "LISTEN_ADDR"), problems);
        }
        if server.listen_on.is_empty() {
            return vec![SocketAddr::from(([127, 0, 0, 1], port))];
        }
        addresses(&server.listen_on, port, (file, "listenOn"), problems)
    }

    fn metrics_listen(&self, file: &str, server: &Server, problems: &mut Problems) -> Vec<SocketAddr> {
        if !self.overrides.metrics_listen.is_empty() {
            return self.overrides.metrics_listen.clone();
        }
        let port = server.metrics_port.unwrap_or(METRICS_PORT);
        if server.metrics_listen_on.is_empty() {
            // Who may ask is for healthChecks.allowFrom to say, so it may listen as S3 does.
            let address = self.variables.listen_addr.as_deref().and_then(|text| {
                let address: SocketAddr = parse_address(text, port)?;
                Some(address.ip())
            });
            return vec![SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)];
        }
        addresses(&server.metrics_listen_on, port, (file, "metricsListenOn"), problems)
    }

    fn tls(&self, server: &Server, metadata_dir: &Path) -> Option<TlsSource> {
        if let Some(CertificatePaths { key, certificate, authority }) = &server.certificate {
            return Some(TlsSource::Files {
                key: self.root.join(key),
                certificate: self.root.join(certificate),
                authority: authority.as_ref().map(|path| self.root.join(path)),
            });
        }
        self.variables.ssl.then(|| TlsSource::Generated {
            hosts: server.rest_endpoints.keys().cloned().collect(),
            folder: metadata_dir.join("tls"),
        })
    }

    fn folder(&self, argument: Option<&Path>, variable: Option<&str>, default: &str) -> PathBuf {
        match (argument, variable) {
            (Some(argument), _) => argument.to_owned(),
            (None, Some(variable)) => self.root.join(variable),
            (None, None) => self.root.join(default),
        }
    }

    /// Variables win over the file's one proxy for everything.
    fn proxies(&self, server: &Server) -> Proxies {
        let own = &self.variables.proxies;
        Proxies {
            http: own.http.clone().or_else(|| server.outbound_proxy.clone()),
            https: own.https.clone().or_else(|| server.outbound_proxy.clone()),
            no_proxy: own.no_proxy.clone(),
        }
    }

    /// `make build` and `make plugins` leave `target/release/sallyport` and
    /// `target/plugins`, so the folder beside the binary's is the second guess.
    fn plugin_dirs(&self) -> Vec<PathBuf> {
        if !self.overrides.plugins.is_empty() {
            return self.overrides.plugins.clone();
        }
        let binary = std::env::current_exe().ok();
        let beside = binary.as_deref().and_then(Path::parent);
        let guesses = [
            beside.map(|folder| folder.join("plugins")),
            beside.and_then(Path::parent).map(|folder| folder.join("plugins")),
            Some(self.root.join("target/plugins")),
        ];
        guesses.into_iter().flatten().filter(|folder| folder.is_dir()).collect()
    }
}

fn addresses(texts: &[String], port: u16, (file, field): (&str, &str), problems: &mut Problems) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for text in texts {
        match parse_address(text, port) {
            Some(address) => addresses.push(address),
            None => {
                let what = format!("{text:?} is not an address to listen on");
                let fix = "write 127.0.0.1:8000 or [::1]:8000";
                problems.push(Problem::fatal(file, what, fix).at(field));
            }
        }
    }
    addresses
}

/// `ip:port`, or `ip` with the port that is configured otherwise.
fn parse_address(text: &str, port: u16) -> Option<SocketAddr> {
    let text = text.trim();
    let alone = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().ok().or_else(|| Some(SocketAddr::new(alone.parse().ok()?, port)))
}

fn report_public_keys(listen: &[SocketAddr], public: &[&str], problems: &mut Problems) {
    let beyond = listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = beyond.filter(|_| !public.is_empty()) {
        let keys = public.join(", ");
        let what = format!("everybody knows the secrets of {keys}, and the server listens on {address}");
        let fix = "write keys of your own, or set SCALITY_ACCESS_KEY_ID and \
                   SCALITY_SECRET_ACCESS_KEY";
        problems.push(Problem::warning("accounts", what, fix));
    }
}
