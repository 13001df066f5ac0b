//! A plugin's file at a location of its own, as the conformance kit wants it.

use super::Compiled;
use crate::app::compiler;
use crate::arguments::Test;
use crate::config::{ProcessEnvironment, Severity, Unresolved, VariableOwners, read_location, resolve};
use crate::locations::field_specs;
use anyhow::{Context, bail};
use async_trait::async_trait;
use sallyport_core::names::LocationName;
use sallyport_kit::{Detour, Opened, Setting, Spent, Subject};
use sallyport_plugin::{Description, Diversion, HostOptions, Limits, LocationSpec, PluginHost, Trust};
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What the kit tests.
pub(super) struct Installed {
    spec: LocationSpec,
    /// Holds the plugin under the name that a server wants, and a folder for its files.
    home: TempDir,
    compiled: Compiled,
}

impl Installed {
    /// Reads the location, resolves its details as a server would, and puts the plugin where a
    /// host finds it.
    pub(super) async fn new(request: &Test) -> anyhow::Result<(Self, Description)> {
        let compiled = Compiled::new(&request.cache)?;
        let description = compiled.host()?.inspect(&request.file, &[]).await?.description;
        let (name, entry) = entry(request, &description.name).await?;
        let spec = spec(&request.location, name, &entry, &description)?;
        let home = tempfile::tempdir().context("a folder for the test")?;
        let file = std::path::absolute(&request.file)?;
        tokio::fs::symlink(&file, home.path().join(format!("{}.wasm", description.name))).await?;
        // What makes a plugin the release's own stays beside it.
        let sums = file.with_file_name("SHA256SUMS");
        if tokio::fs::try_exists(&sums).await.unwrap_or(false) && description.own {
            tokio::fs::symlink(&sums, home.path().join("SHA256SUMS")).await?;
        }
        Ok((Self { spec, home, compiled }, description))
    }

    fn options(&self, setting: Setting, detour: &Arc<Detour>) -> HostOptions {
        let limits = Limits::default();
        let limits = match setting {
            Setting::Warm => limits,
            Setting::Recycled => Limits { reuse: 1, warm: 0, ..limits },
            // Retries included, a call ends before the kit loses its patience.
            Setting::Troubled => Limits {
                connect: Duration::from_secs(2),
                first_byte: Duration::from_secs(2),
                idle: Duration::from_secs(4),
                wall: Duration::from_secs(15),
                ..limits
            },
        };
        let diversion: Arc<dyn Diversion> = Arc::new(Diverted(Arc::clone(detour)));
        HostOptions {
            plugin_folders: vec![self.home.path().to_owned()],
            cache_folder: self.compiled.folder.clone(),
            data_folder: self.home.path().join("data"),
            compiler: Some(compiler()),
            limits,
            diversion: (setting == Setting::Troubled).then_some(diversion),
            ..HostOptions::default()
        }
    }
}

#[async_trait]
impl Subject for Installed {
    async fn open(&self, setting: Setting, detour: &Arc<Detour>) -> Result<Opened, String> {
        let host = PluginHost::new(self.options(setting, detour)).map_err(|error| error.to_string())?;
        let opened = host.open(self.spec.clone()).await.map_err(|error| error.to_string())?;
        let usage = opened.usage;
        let spent = move || {
            // The host keeps the clock that limits its plugins' processor time.
            let _ = &host;
            Spent { busy: usage.busy(), bytes_read: usage.bytes_read() }
        };
        Ok(Opened { backend: opened.backend, spent: Arc::new(spent) })
    }
}

#[derive(Debug)]
struct Diverted(Arc<Detour>);

impl Diversion for Diverted {
    fn divert(&self, checked: SocketAddr) -> std::io::Result<SocketAddr> {
        self.0.divert(checked)
    }
}

/// The location's name and entry.
async fn entry(request: &Test, kind: &str) -> anyhow::Result<(String, Map<String, Value>)> {
    let file = request.location.display();
    let text = tokio::fs::read_to_string(&request.location).await.with_context(|| format!("{file}"))?;
    let all: Map<String, Value> = serde_json::from_str(&text).with_context(|| format!("{file} is no JSON object"))?;
    let is_entry = all.get("type").is_some_and(Value::is_string) || all.get("details").is_some();
    if is_entry {
        return Ok((request.name.clone().unwrap_or_else(|| "kit".to_owned()), all));
    }
    let of_type = |entry: &Value| entry.get("type").and_then(Value::as_str) == Some(kind);
    let mut found = all.into_iter().filter_map(|(name, entry)| match (&request.name, entry) {
        (Some(wanted), Value::Object(entry)) if *wanted == name => Some((name, entry)),
        (None, entry) if of_type(&entry) => entry.as_object().cloned().map(|entry| (name, entry)),
        _ => None,
    });
    match (found.next(), found.next(), &request.name) {
        (Some(one), None, _) => Ok(one),
        (Some(_), Some(_), _) => bail!("{file} has several locations of the type `{kind}`: choose one with --name"),
        (None, _, Some(name)) => bail!("{file} has no location `{name}`"),
        (None, _, None) => {
            bail!("{file} has no location of the type `{kind}`: write {{ \"type\": \"{kind}\", \"details\": {{ … }} }}")
        }
    }
}

fn spec(
    file: &Path,
    name: String,
    entry: &Map<String, Value>,
    description: &Description,
) -> anyhow::Result<LocationSpec> {
    let file = file.display().to_string();
    let mut entry = entry.clone();
    entry.entry("type").or_insert_with(|| Value::String(description.name.clone()));
    let (location, problems) = read_location(&file, &name, Value::Object(entry));
    crate::commands::report(problems.iter());
    if location.kind != description.name {
        bail!("{file}: the type is `{}`, but the plugin serves `{}`", location.kind, description.name);
    }
    if problems.iter().any(|problem| problem.severity != Severity::Warning) {
        bail!("the location cannot be opened");
    }
    let details = location.details;
    let fields = field_specs(description);
    let unresolved = Unresolved { file: &file, location: &name, details: &details, fields: &fields };
    let mut owners = VariableOwners::default();
    owners.add(&name, &fields);
    let resolved = resolve(unresolved, &owners, &ProcessEnvironment);
    crate::commands::report(resolved.problems.iter().chain(&resolved.warnings));
    if !resolved.problems.is_empty() {
        bail!("the location cannot be opened");
    }
    Ok(LocationSpec {
        name: LocationName::parse(&name)?,
        kind: description.name.clone(),
        tenant: name,
        is_trusted: true,
        details: Value::Object(resolved.details.with_secrets()),
        grants: location.grants,
        limits: location.limits,
        trust: Trust::default(),
    })
}
