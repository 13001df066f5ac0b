//! Finds plugins by the type that a location names, and opens locations on them.

use crate::backend::PluginBackend;
use crate::bindings::base::exports::sallyport::plugin::storage::{Parameter, Signing, Validation, ValidationRequest};
use crate::cache::CodeCache;
use crate::compile::Compiler;
use crate::description::Description;
use crate::details::Details;
use crate::egress::policy::{Pattern, Policy};
use crate::egress::{Diversion, Egress, EgressParts, LookUps, Proxies, ProxySettings, Resolver, SystemRoots};
use crate::engine::{STORES, TickingEngine};
use crate::error::{OpenError, PluginError, Problem, Section};
use crate::files::Folder;
use crate::grants::LocationGrants;
use crate::inspection::{self, Inspection};
use crate::lane::Lanes;
use crate::limits::Limits;
use crate::log::{PluginLog, printable};
use crate::memory::Memory;
use crate::plugin::{self, Plugin, Workshop};
use crate::pool::{OpenParts, Pool};
use crate::run::Work;
use crate::shares::Shares;
use crate::shelf::Shelf;
use crate::sign::{Replacements, Signer, Unsignable};
use crate::state::{self, Grants};
use crate::trust::Trust;
use crate::usage::Usage;
use crate::whose::Whose;
use sallyport_core::backend::{Backend, Traits};
use sallyport_core::names::LocationName;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a [`PluginHost`] is made of.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// Where `<type>.wasm` is looked for, in this order.
    pub plugin_folders: Vec<PathBuf>,
    /// Private folder for compiled plugins.
    pub cache_folder: PathBuf,
    /// Where a location whose type wants a folder and names none gets one.
    pub data_folder: PathBuf,
    /// Who compiles them; absent: this process itself.
    pub compiler: Option<Compiler>,
    /// What plugins may use up.
    pub limits: Limits,
    /// Names that resolve to these addresses, ports included, without a look-up.
    pub resolver_overrides: HashMap<String, SocketAddr>,
    /// Looks names up in the system's place; for tests of names that change their meaning.
    pub resolver: Option<Arc<dyn Resolver>>,
    /// The operator's proxies.
    pub proxies: ProxySettings,
    /// Leads connections elsewhere; for tests of what becomes of upstreams that misbehave.
    pub diversion: Option<Arc<dyn Diversion>>,
    /// Where this server listens itself: no plugin is connected to it without a grant.
    pub own_listeners: Vec<SocketAddr>,
}

/// A location as it is configured.
#[derive(Clone)]
pub struct LocationSpec {
    /// Its name.
    pub name: LocationName,
    /// Its `type`.
    pub kind: String,
    /// An opaque id of who it belongs to.
    pub tenant: String,
    /// The operator wrote it, so that its names may resolve to private addresses, and it may
    /// have a folder.
    pub is_trusted: bool,
    /// Its `details`, secrets and resolved profiles included.
    pub details: Value,
    /// What the operator grants beyond `details`, and how far requests may go.
    pub grants: LocationGrants,
    /// Limits that differ from the host's, by their names.
    pub limits: BTreeMap<String, u64>,
    /// What it asks of the plugin that serves it.
    pub trust: Trust,
}

/// A location that can be used.
#[derive(Clone)]
pub struct OpenedLocation {
    /// Its storage.
    pub backend: Arc<dyn Backend>,
    /// Sentences for the operator.
    pub warnings: Vec<String>,
    /// Identifies the container behind it.
    pub target: String,
    /// What its calls cost, counted from now on.
    pub usage: Arc<Usage>,
}

/// All plugins of this server.
pub struct PluginHost {
    options: HostOptions,
    proxies: Arc<Proxies>,
    overrides: Arc<HashMap<String, SocketAddr>>,
    look_ups: LookUps,
    roots: SystemRoots,
    shares: Arc<Shares>,
    lanes: Arc<Lanes>,
    shelf: Shelf,
}

/// A plugin as its file stood at some time. Locations that were opened on it stay on it.
#[derive(Clone)]
pub struct PluginVersion(Arc<Plugin>);

impl PluginVersion {
    /// What it says of its type.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Whether the other one came from the same bytes, under the same trust.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.is(&other.0)
    }
}

impl PluginHost {
    /// A host that has not looked at any plugin yet.
    pub fn new(options: HostOptions) -> Result<Self, PluginError> {
        let engine = TickingEngine::new(options.limits.metered)?;
        let linker = state::linker(engine.engine());
        let linker = linker.map_err(|error| PluginError::Host(format!("the imports cannot be linked: {error:#}")))?;
        let lanes = Lanes::new();
        let workshop = Workshop {
            engine,
            lane: lanes.lane(),
            linker: Arc::new(linker),
            cache: CodeCache::new(options.cache_folder.clone(), options.compiler.clone(), options.limits.clone()),
            limits: options.limits.clone(),
        };
        let overrides = options.resolver_overrides.iter().map(|(name, address)| (name.to_ascii_lowercase(), *address));
        Ok(Self {
            proxies: Arc::new(Proxies::new(&options.proxies)),
            overrides: Arc::new(overrides.collect()),
            look_ups: LookUps::new(),
            roots: SystemRoots::default(),
            shelf: Shelf::new(options.plugin_folders.clone(), workshop),
            options,
            shares: Shares::new(STORES as usize),
            lanes,
        })
    }

    /// The plugin of a type as its file stands now. A file that is new or changed is read,
    /// compiled and asked what it is, which takes seconds; it has no effect on locations that
    /// are open.
    ///
    /// # Errors
    /// Why the file cannot be used; the same again until it changes.
    pub async fn version(&self, kind: &str) -> Result<PluginVersion, PluginError> {
        Ok(PluginVersion(self.shelf.plugin(kind).await?))
    }

    /// What the plugin of a type says of it.
    ///
    /// # Errors
    /// As [`PluginHost::version`].
    pub async fn description(&self, kind: &str) -> Result<Description, PluginError> {
        Ok(self.version(kind).await?.description().clone())
    }

    /// The types that the plugin folders have a file for, sorted.
    pub async fn kinds(&self) -> Vec<String> {
        self.shelf.kinds().await
    }

    /// Opens a location on the plugin as its file stands now; see [`PluginHost::open_on`].
    ///
    /// # Errors
    /// The plugin's, and every problem of the details.
    pub async fn open(&self, spec: LocationSpec) -> Result<OpenedLocation, OpenError> {
        let version = self.version(&spec.kind).await?;
        self.open_on(&version, spec).await
    }

    /// Opens a location. It does not talk to the backend: that is `Backend::check`.
    ///
    /// # Errors
    /// The plugin's, and every problem of the details.
    pub async fn open_on(&self, version: &PluginVersion, spec: LocationSpec) -> Result<OpenedLocation, OpenError> {
        let plugin = &version.0;
        spec.trust.check(&plugin.description.digest, &plugin.signatures).map_err(OpenError::Untrusted)?;
        let details = Details::take_apart(spec.details.clone(), &plugin.description, &spec.grants.reveal);
        let validation = self.validate(plugin, &spec.name, &details).await?;
        let mut problems = problems(&validation);
        let granted = spec.grants.patterns(&mut problems);
        let narrowing = spec.grants.narrowing(&mut problems);
        let limits = self.options.limits.with(&spec.limits).unwrap_or_else(|found| {
            problems.extend(found);
            self.options.limits.clone()
        });
        spec.grants.check_reveal(&plugin.description, &mut problems);
        // Not the default one either: the data folder is the operator's.
        let folder = self.folder(plugin, &spec.name, &details).filter(|_| spec.is_trusted);
        if let Some((folder, _)) = &folder {
            spec.grants.check_folder(folder, &mut problems);
        }
        let signer = signer(&plugin.description, &details, &validation).unwrap_or_else(|problem| {
            if !problems.iter().any(|known| known.section == problem.section && known.path == problem.path) {
                problems.push(problem);
            }
            None
        });
        if !problems.is_empty() {
            return Err(OpenError::Problems(problems));
        }
        let mut warnings: Vec<String> = validation
            .attributes
            .iter()
            .filter(|(name, _)| name == "warning")
            .map(|(_, text)| printable(text, 1024))
            .collect();
        warnings.extend(
            spec.grants.reveal.iter().map(|path| {
                format!("the plugin sees the secret details.{path} itself: it is granted by grants.reveal")
            }),
        );
        let policy = policy(granted, plugin, &spec, &details, &validation, &mut warnings);
        let whose = Whose::new(&spec.kind, spec.name.as_str());
        let lane = self.lanes.lane();
        let egress = Egress::new(EgressParts {
            whose: whose.clone(),
            policy,
            narrowing,
            secrets: &details.secrets,
            own: self.options.own_listeners.clone().into(),
            overrides: self.overrides.clone(),
            proxies: self.proxies.clone(),
            resolver: self.options.resolver.clone().unwrap_or_else(|| Arc::new(self.look_ups.of_location())),
            signer,
            replacements: Replacements::new(details.in_queries.clone()),
            roots: &self.roots,
            authorities: details.authorities.as_deref(),
            limits: &limits,
            lane: lane.clone(),
            diversion: self.options.diversion.clone(),
        })?;
        let grants = Grants {
            egress: Some(Arc::new(egress)),
            folder: opened(folder).await?,
            log: PluginLog::new(whose.clone(), &limits),
            memory: Memory::new(limits.location_memory, &whose),
            whose,
        };
        let open = OpenParts { location: spec.name.as_str().to_owned(), tenant: spec.tenant, details: details.shown };
        let traits = traits(&plugin.description, &validation);
        let parts = (self.shares.share(), lane);
        let pool = Pool::new(plugin.program.clone(), grants, limits, parts, open);
        let (target, usage) = (traits.target.clone(), pool.usage());
        Ok(OpenedLocation {
            backend: Arc::new(PluginBackend::new(pool, traits, learnable(&plugin.description))),
            warnings,
            target,
            usage,
        })
    }

    /// Looks into a file, whatever it is called: what it says of itself and what it needs, and
    /// what a signature beside it is worth to who trusts these keys.
    ///
    /// # Errors
    /// When it cannot be read, is no plugin, or breaks when it is asked.
    pub async fn inspect(&self, path: &Path, keys: &[String]) -> Result<Inspection, PluginError> {
        inspection::inspect(self.shelf.workshop(), path, keys).await
    }

    async fn validate(
        &self,
        plugin: &Plugin,
        name: &LocationName,
        details: &Details,
    ) -> Result<Validation, PluginError> {
        let request = ValidationRequest {
            location: name.as_str().to_owned(),
            details: details.shown.clone(),
            attributes: Vec::new(),
        };
        let work: Work<_> = Box::new(move |accessor, exports| {
            Box::pin(async move { exports.base.sallyport_plugin_storage().call_validate(accessor, request).await })
        });
        plugin::ask(self.shelf.workshop(), &plugin.program, &plugin.kind, "validate", work).await
    }

    /// The folder of a location whose type has a field for one, and whether it is the default.
    fn folder(&self, plugin: &Plugin, name: &LocationName, details: &Details) -> Option<(PathBuf, bool)> {
        if !plugin.description.fields.iter().any(|field| field.role == "path") {
            return None;
        }
        Some(match &details.folder {
            Some(path) => (PathBuf::from(path), false),
            None => (self.options.data_folder.join(folder_name(name)), true),
        })
    }
}

/// Only the default folder is made at once: one that the operator named may be a disk that is
/// not mounted now.
async fn opened(folder: Option<(PathBuf, bool)>) -> Result<Option<Arc<Folder>>, PluginError> {
    let Some((path, is_default)) = folder else { return Ok(None) };
    if is_default {
        let made = tokio::fs::create_dir_all(&path).await;
        made.map_err(|error| PluginError::Host(format!("{} cannot be made: {error}", path.display())))?;
    }
    Ok(Some(Arc::new(Folder::new(path))))
}

/// A location's name as one segment of a path; injective.
fn folder_name(name: &LocationName) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b' ');
    let encoded = percent_encoding::utf8_percent_encode(name.as_str(), KEPT).to_string();
    if encoded.starts_with('.') { encoded.replacen('.', "%2E", 1) } else { encoded }
}

fn problems(validation: &Validation) -> Vec<Problem> {
    let problem = |problem: &crate::bindings::base::exports::sallyport::plugin::storage::Problem| Problem {
        section: Section::Details,
        path: printable(&problem.path, 256),
        message: printable(&problem.message, 1024),
        fix: printable(&problem.fix, 1024),
    };
    validation.problems.iter().take(100).map(problem).collect()
}

fn signer(description: &Description, details: &Details, validation: &Validation) -> Result<Option<Signer>, Problem> {
    let Some(signing) = &validation.signing else { return Ok(None) };
    if details.signs_for_others(signing, description) {
        return Err(Problem {
            section: Section::Details,
            path: String::new(),
            message: "the plugin wants requests signed for a service of AWS's that stores no objects".to_owned(),
            fix: "Take a plugin that signs for S3.".to_owned(),
        });
    }
    let problem = |unsignable: Unsignable| Problem {
        section: Section::Details,
        path: unsignable.parameter.and_then(|name| field_of(signing, name)).unwrap_or_default(),
        message: unsignable.message,
        fix: "Complete or correct the credentials.".to_owned(),
    };
    Signer::new(&signing.scheme, &details.parameters(signing)).map(Some).map_err(problem)
}

/// The field of `details` that a parameter of the signing scheme comes from.
fn field_of(signing: &Signing, parameter: &str) -> Option<String> {
    let (_, value) = signing.parameters.iter().find(|(name, _)| name == parameter)?;
    match value {
        Parameter::Field(path) => Some(printable(path, 256)),
        Parameter::Literal(_) => None,
    }
}

/// What the location may be connected to: what the plugin asks for, as far as the operator's
/// own words, an explicit grant or the release vouch for it.
fn policy(
    mut allowed: Vec<Pattern>,
    plugin: &Plugin,
    spec: &LocationSpec,
    details: &Details,
    validation: &Validation,
    warnings: &mut Vec<String>,
) -> Policy {
    for text in validation.egress.iter().take(64) {
        let Some(pattern) = Pattern::parse(text, false) else {
            warnings.push(format!("the plugin asks for the host `{}`, which cannot be read", printable(text, 256)));
            continue;
        };
        let named = details.endpoints.iter().any(|endpoint| pattern.is_below(endpoint));
        if named || plugin.description.own {
            // The release's own ask for what the operator means and no other: the bucket's host, their cloud's.
            let is_operators =
                plugin.description.own || details.endpoints.iter().any(|endpoint| pattern.is_named_by(endpoint));
            allowed.push(pattern.with_private(is_operators && spec.is_trusted));
        } else {
            let text = printable(text, 256);
            warnings.push(format!(
                "the plugin asks for the host `{text}`, which the location does not name: it is refused"
            ));
        }
    }
    Policy::new(allowed)
}

/// What a plugin may be told by its backend and have the host believe: nothing that decides
/// whom the location talks to or which files are read.
fn learnable(description: &Description) -> Vec<String> {
    let fields = description.fields.iter().filter(|field| {
        field.role == "plain"
            && field.kind == "string"
            && field.attribute("host").is_none()
            && !field.path.contains('.')
    });
    fields.map(|field| field.path.clone()).collect()
}

fn traits(description: &Description, validation: &Validation) -> Traits {
    let has = |name| description.optional.contains(&name);
    let expiry = description.attribute("uploads-expire-after-ms").and_then(|text| text.parse().ok());
    Traits {
        max_put: description.limits.max_put,
        min_part: description.limits.min_part,
        max_part: description.limits.max_part,
        max_parts: description.limits.max_parts,
        keeps_overwritten: validation.keeps_overwritten,
        uploads_expire_after: expiry.map(Duration::from_millis),
        multipart: has("multipart"),
        copy: has("copy"),
        tagging: has("tagging"),
        versions: has("versions"),
        listing: has("listing"),
        target: printable(&validation.target, 1024),
    }
}
