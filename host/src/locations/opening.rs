//! From a location's configuration to its opened storage, by what its plugin says.

use super::breaker::{self, Breaker};
use super::guarded::{Guarded, Vitals};
use crate::config::{
    Configuration, Details, Environment, FieldSpec, LocationConfiguration, Problem, ProfileFile, ProfileSpec,
    ResolvedDetails, Unresolved, VariableOwners, resolve,
};
use arc_swap::ArcSwap;
use sallyport_core::backend::Backend;
use sallyport_core::names::LocationName;
use sallyport_plugin::{Description, Field, LocationSpec, OpenError, PluginError, PluginHost, PluginVersion};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The variable that says how many broken calls open a location's breaker.
pub(crate) const BREAKER_CALLS: &str = "SALLYPORT_BREAKER_CALLS";

/// An opened location.
#[derive(Clone)]
pub struct Opened {
    /// Its storage.
    pub backend: Arc<dyn Backend>,
    /// The plugin that it was opened on.
    pub(super) version: PluginVersion,
    /// What it was opened with: anything else opens it again.
    configuration: LocationConfiguration,
    details: Details,
    /// Credentials files that took part.
    files: Vec<ProfileFile>,
    /// Files of authorities: connections trust what was in them when it was opened.
    authorities: Vec<ProfileFile>,
    vitals: Arc<Vitals>,
}

impl Opened {
    /// Whether a file of credentials or authorities changed since.
    pub fn is_stale(&self) -> bool {
        self.files.iter().chain(&self.authorities).any(ProfileFile::has_changed)
    }

    /// Why its plugin is not to be trusted with real calls, when they showed that.
    pub(super) fn failing(&self) -> Option<String> {
        self.vitals.failing()
    }
}

/// Opens locations: variables and profiles are applied, plugins asked.
pub struct Opener {
    host: PluginHost,
    environment: Box<dyn Environment + Send + Sync>,
    owners: ArcSwap<VariableOwners>,
    /// The locations' file, as reports name it.
    file: String,
}

/// What a location is to be opened with.
pub(super) struct Opening<'a> {
    pub(super) configuration: &'a LocationConfiguration,
    pub(super) version: Result<&'a PluginVersion, &'a PluginError>,
    /// What is open.
    pub(super) before: Option<&'a Opened>,
    pub(super) breaker: &'a Arc<Breaker>,
}

impl Opener {
    /// An opener for these locations; asks the plugin of each type what its fields are.
    pub async fn new(
        host: PluginHost,
        environment: Box<dyn Environment + Send + Sync>,
        configuration: &Configuration,
    ) -> Self {
        let opener = Self { host, environment, owners: ArcSwap::default(), file: configuration.locations_file.clone() };
        opener.learn(configuration.locations.iter().collect()).await;
        opener
    }

    /// Takes note of all locations that there are: which variables could mean which.
    pub(super) async fn learn(&self, locations: Vec<&LocationConfiguration>) {
        let mut owners = VariableOwners::default();
        // The environment is the operator's: no tenant's location takes anything from it.
        for location in locations.into_iter().filter(|location| !location.is_tenants) {
            // A plugin that cannot be asked is reported when its locations are opened.
            let Ok(version) = self.host.version(&location.kind).await else { continue };
            owners.add(&location.name, &field_specs(version.description()));
        }
        self.owners.store(Arc::new(owners));
    }

    /// The plugin of a type as its file stands now.
    pub(super) async fn version(&self, kind: &str) -> Result<PluginVersion, PluginError> {
        self.host.version(kind).await
    }

    /// How many broken calls open a location's breaker; none ever when it is 0.
    pub(super) fn broken_calls(&self) -> u32 {
        let said = self.environment.variable(BREAKER_CALLS);
        said.and_then(|text| text.parse().ok()).unwrap_or(breaker::BROKEN)
    }

    /// The locations' file, as reports name it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong with a location, without asking its backend.
    pub async fn inspect(&self, location: &LocationConfiguration) -> Vec<Problem> {
        let version = self.version(&location.kind).await;
        let breaker = Breaker::new(&location.name, self.broken_calls());
        let opening = Opening { configuration: location, version: version.as_ref(), before: None, breaker: &breaker };
        self.open(opening).await.map_or_else(|found| found, |(_, warnings)| warnings)
    }

    /// Opens a location, or goes on with what is open when nothing about it changed. With
    /// what works come warnings.
    ///
    /// # Errors
    /// Every problem of the location, the one of its entry first, with warnings.
    pub(super) async fn open(&self, opening: Opening<'_>) -> Result<(Opened, Vec<Problem>), Vec<Problem>> {
        let location = opening.configuration;
        let mut problems = Vec::new();
        if let Some(fault) = &location.fault {
            problems.push(problem(location, fault.clone(), "put the entry right"));
        }
        let version = match opening.version {
            Ok(version) => version,
            // An entry with a mistake may well lack its type.
            Err(_) if !problems.is_empty() => return Err(problems),
            Err(error) => {
                let fix = "put the plugin's file into a folder of --plugins, or write another type";
                return Err(vec![problem(location, error.to_string(), fix).at("type")]);
            }
        };
        let resolved = self.resolve(location, version.description());
        let works = problems.is_empty() && resolved.problems.is_empty();
        // Before they are read, so that a change in between is noticed.
        let authorities = authorities(version.description(), &resolved.details);
        let is_as_before = |before: &&Opened| {
            before.version.is(version)
                && before.configuration == *location
                && before.details == resolved.details
                && before.authorities == authorities
        };
        if let Some(before) = opening.before.filter(|_| works).filter(is_as_before) {
            return Ok((Opened { files: resolved.files, ..before.clone() }, Vec::new()));
        }
        problems.extend(resolved.problems);
        // The plugin is asked also when the host found something: all mistakes come together.
        match self.ask(location, version, &resolved.details).await {
            Ok((backend, warnings)) if problems.is_empty() => {
                let warnings = resolved.warnings.into_iter().chain(warnings).collect();
                let (backend, vitals) = Guarded::new(backend, opening.breaker.clone());
                let opened = Opened {
                    backend,
                    version: version.clone(),
                    configuration: location.clone(),
                    details: resolved.details,
                    files: resolved.files,
                    authorities,
                    vitals,
                };
                return Ok((opened, warnings));
            }
            Ok((_, warnings)) => problems.extend(warnings),
            Err(found) => {
                // What a profile should have given is written into its file, not where it is missed.
                let of_profile = |one: &Problem| resolved.lacking.get(one.field.as_deref()?).cloned();
                let is_said =
                    |one: &Problem| problems.iter().any(|said| said.field.is_some() && said.field == one.field);
                let found = found.into_iter().map(|one| of_profile(&one).unwrap_or(one));
                let more: Vec<Problem> = found.filter(|one| !is_said(one)).collect();
                problems.extend(more);
            }
        }
        problems.extend(resolved.warnings);
        Err(problems)
    }

    async fn ask(
        &self,
        location: &LocationConfiguration,
        version: &PluginVersion,
        details: &Details,
    ) -> Result<(Arc<dyn Backend>, Vec<Problem>), Vec<Problem>> {
        let name = &location.name;
        let spec = LocationSpec {
            name: LocationName::parse(name).map_err(|error| vec![problem(location, error.to_string(), "rename it")])?,
            kind: location.kind.clone(),
            tenant: tenant(location),
            is_trusted: !location.is_tenants,
            details: Value::Object(details.with_secrets()),
            grants: location.grants.clone(),
            limits: location.limits.clone(),
            trust: location.trust.clone(),
        };
        match self.host.open_on(version, spec).await {
            Ok(opened) => {
                let told = opened.warnings.into_iter().map(|what| Problem::warning(&location.file, what, "").of(name));
                Ok((opened.backend, told.collect()))
            }
            Err(OpenError::Plugin(error)) => {
                Err(vec![problem(location, error.to_string(), "see the plugin's own log lines")])
            }
            Err(OpenError::Untrusted(problem)) => {
                let field = format!("plugin.{}", problem.path);
                Err(vec![self::problem(location, problem.message, problem.fix).at(field)])
            }
            Err(OpenError::Problems(problems)) => Err(problems
                .into_iter()
                .map(|found| {
                    let section = found.section.name();
                    let field =
                        if found.path.is_empty() { section.to_owned() } else { format!("{section}.{}", found.path) };
                    problem(location, found.message, found.fix).at(field)
                })
                .collect()),
        }
    }

    fn resolve(&self, location: &LocationConfiguration, description: &Description) -> ResolvedDetails {
        let fields = field_specs(description);
        let unresolved =
            Unresolved { file: &location.file, location: &location.name, details: &location.details, fields: &fields };
        let nothing = BTreeMap::new();
        let environment: &dyn Environment = if location.is_tenants { &nothing } else { self.environment.as_ref() };
        let mut resolved = resolve(unresolved, &self.owners.load(), environment);
        if location.is_tenants {
            resolved.problems.extend(of_this_machine(location, description));
        }
        let lacking = std::mem::take(&mut resolved.lacking);
        resolved.lacking = lacking.into_iter().map(|(path, problem)| (format!("details.{path}"), problem)).collect();
        let told = resolved.problems.iter_mut().chain(&mut resolved.warnings);
        for problem in told.chain(resolved.lacking.values_mut()) {
            problem.field = problem.field.take().map(|field| format!("details.{field}"));
        }
        resolved
    }
}

fn problem(location: &LocationConfiguration, what: String, fix: impl Into<String>) -> Problem {
    Problem::location(&location.file, &location.name, what, fix)
}

/// An opaque id of whose the location is: the same for all locations of the same accounts.
fn tenant(location: &LocationConfiguration) -> String {
    let Some(accounts) = &location.accounts else { return "all".to_owned() };
    let mut hash = Sha256::new();
    for account in accounts {
        hash.update(account.as_bytes());
        hash.update([0]);
    }
    let mut id = hex::encode(hash.finalize());
    id.truncate(32);
    id
}

/// The files of authorities that a location's details name, as they are now.
fn authorities(description: &Description, details: &Details) -> Vec<ProfileFile> {
    let fields = description.fields.iter().filter(|field| is_authorities(field));
    let paths = fields.filter_map(|field| details.value(&field.path)?.as_str());
    paths.map(|path| ProfileFile::now(Path::new(path))).collect()
}

fn is_authorities(field: &Field) -> bool {
    field.attribute("host") == Some("ca-bundle")
}

/// What a tenant's location would have of this machine: files that its details name, the
/// operator's credentials among them, and the folder that a type with one has in any case.
fn of_this_machine(location: &LocationConfiguration, description: &Description) -> Vec<Problem> {
    let is_named = |field: &Field| {
        let mut names = field.path.split('.');
        let first = names.next().and_then(|name| location.details.get(name));
        names.fold(first, |value, name| value?.get(name)).is_some()
    };
    let found = |field: &Field| {
        let (what, fix) = if field.role == "path" {
            let what = format!("the type {} has a folder of the server, and is not for a tenant's file", location.kind);
            (what, "write another type: only the operator gives folders, in locationConfig.json")
        } else if (field.role == "profile" || is_authorities(field)) && is_named(field) {
            let fix = "remove it: only the operator names files of the server, in locationConfig.json";
            ("is not for a tenant's file".to_owned(), fix)
        } else {
            return None;
        };
        Some(problem(location, what, fix).at(field.path.clone()))
    };
    description.fields.iter().filter_map(found).collect()
}

/// A plugin's fields in the words of the configuration.
pub(crate) fn field_specs(description: &Description) -> Vec<FieldSpec> {
    description.fields.iter().map(field_spec).collect()
}

fn field_spec(field: &Field) -> FieldSpec {
    let profile = field.profile.as_ref().map(|profile| ProfileSpec {
        file: profile.file.clone(),
        file_environment: profile.file_environment.clone(),
        keys: profile.keys.clone(),
    });
    FieldSpec {
        path: field.path.clone(),
        kind: field.kind.clone(),
        required: field.required,
        default: field.default.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        role: field.role.clone(),
        environment: field.environment.clone(),
        profile,
    }
}
