//! `sallyport plugin inspect`.

use super::{Compiled, say};
use crate::arguments::Inspect;
use anyhow::Context;
use sallyport_plugin::{Field, Inspection, Profile, Vouched};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What lies beside a signed plugin, by the ending of its name.
const SIGNATURE: &str = "minisig";

/// Answers whether the keys that were given vouch for the plugin; without any, nobody asked.
pub(super) async fn inspect(request: &Inspect) -> anyhow::Result<bool> {
    let compiled = Compiled::new(&request.cache)?;
    let mut keys = Vec::new();
    for key in &request.public_key {
        keys.push(public_key(key).await?);
    }
    let inspection = compiled.host()?.inspect(&request.file, &keys).await?;
    let signature = signature(&request.file).await;
    if request.json {
        say(serde_json::to_string_pretty(&as_json(&request.file, &inspection, signature.as_deref()))?)?;
    } else {
        as_text(&request.file, &inspection, signature.as_deref())?;
    }
    Ok(keys.is_empty() || inspection.vouched == Vouched::Good)
}

/// A key, as it is or from the file that minisign made of it.
async fn public_key(given: &str) -> anyhow::Result<String> {
    if !tokio::fs::try_exists(given).await.unwrap_or(false) {
        return Ok(given.to_owned());
    }
    let text = tokio::fs::read_to_string(given).await.with_context(|| given.to_owned())?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("comment:"));
    lines.next_back().map(str::to_owned).with_context(|| format!("{given} has no key in it"))
}

/// The detached signature beside a plugin, when there is one.
async fn signature(file: &Path) -> Option<PathBuf> {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(SIGNATURE);
    let path = PathBuf::from(name);
    tokio::fs::try_exists(&path).await.unwrap_or(false).then_some(path)
}

fn as_json(file: &Path, inspection: &Inspection, signature: Option<&Path>) -> Value {
    let description = &inspection.description;
    let limits = &description.limits;
    let profile = |profile: &Profile| {
        json!({
            "file": profile.file,
            "fileEnvironment": profile.file_environment,
            "keys": profile.keys.iter().map(|(key, path)| json!({ "key": key, "path": path })).collect::<Vec<_>>(),
        })
    };
    let field = |field: &Field| {
        json!({
            "path": field.path,
            "kind": field.kind,
            "role": field.role,
            "required": field.required,
            "default": field.default.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
            "environment": field.environment,
            "profile": field.profile.as_ref().map(profile),
            "help": field.help,
        })
    };
    json!({
        "file": file,
        "name": description.name,
        "version": description.version,
        "contract": inspection.contract(),
        "size": inspection.size,
        "sha256": description.digest,
        "signature": signature,
        "vouched": match &inspection.vouched {
            Vouched::Unsigned => "unsigned",
            Vouched::Unverified => "unverified",
            Vouched::Good => "good",
            Vouched::Bad(_) => "bad",
        },
        "ownOfRelease": description.own,
        "exports": inspection.exports,
        "imports": inspection.imports,
        "keepsOverwritten": description.keeps_overwritten,
        "limits": {
            "maxPut": limits.max_put,
            "minPart": limits.min_part,
            "maxPart": limits.max_part,
            "maxParts": limits.max_parts,
            "maxMetadata": limits.max_metadata,
        },
        "fields": description.fields.iter().map(field).collect::<Vec<_>>(),
    })
}

fn as_text(file: &Path, inspection: &Inspection, signature: Option<&Path>) -> anyhow::Result<()> {
    let description = &inspection.description;
    say(format_args!("{} {}", description.name, description.version))?;
    say(format_args!("  file        {}, {} bytes", file.display(), inspection.size))?;
    if file.file_name().is_none_or(|name| name.to_string_lossy() != format!("{}.wasm", description.name)) {
        say(format_args!("              a server finds it under the name {}.wasm only", description.name))?;
    }
    say(format_args!("  sha256      {}", description.digest))?;
    let place = signature.map_or_else(|| "over SHA256SUMS beside it".to_owned(), |path| path.display().to_string());
    match &inspection.vouched {
        Vouched::Unsigned => say("  signature   none beside it")?,
        Vouched::Unverified => say(format_args!("  signature   {place}, not verified: give --public-key"))?,
        Vouched::Good => say(format_args!("  signature   {place}, good"))?,
        Vouched::Bad(why) => say(format_args!("  signature   {place}, of no worth: {why}"))?,
    }
    let release = if description.own { "one of the release's own, by SHA256SUMS beside it" } else { "from elsewhere" };
    say(format_args!("  release     {release}"))?;
    say(format_args!("  contract    sallyport:plugin {}", inspection.contract().unwrap_or("unknown")))?;
    list("exports", &inspection.exports, |_| "")?;
    list("imports", &inspection.imports, meaning)?;
    let limits = &description.limits;
    say(format_args!("  largest     {} bytes in one write", limits.max_put))?;
    if limits.max_part > 0 {
        let (least, most, count) = (limits.min_part, limits.max_part, limits.max_parts);
        say(format_args!("  parts       {count} at most, of {least} to {most} bytes"))?;
    }
    let kept = if description.keeps_overwritten { "is kept by the backend" } else { "is lost" };
    say(format_args!("  overwritten {kept}"))?;
    if description.fields.is_empty() {
        return say("  details     none");
    }
    say("  details")?;
    for field in &description.fields {
        say(format_args!("    {}: {}", field.path, words(field)))?;
        say(format_args!("        {}", field.help))?;
        if let Some(profile) = &field.profile {
            say(format_args!("        reads {}", sources(profile)))?;
        }
    }
    Ok(())
}

/// One name a line, behind a title, with what it means where that is worth a word.
fn list(title: &str, names: &[String], meaning: impl Fn(&str) -> &'static str) -> anyhow::Result<()> {
    let mut title = title;
    for name in names {
        let meaning = meaning(name);
        let gap = if meaning.is_empty() { "" } else { ": " };
        say(format_args!("  {title:11} {name}{gap}{meaning}"))?;
        title = "";
    }
    Ok(())
}

/// What an import gives to a plugin; what says nothing does nothing in this host.
fn meaning(import: &str) -> &'static str {
    match import.split('@').next().unwrap_or(import) {
        "wasi:http/client" | "sallyport:plugin/http" => "requests to the hosts that its location names",
        "sallyport:plugin/files" => "the one folder that its location names",
        "sallyport:plugin/log" => "lines in the server's log",
        "sallyport:plugin/call" => "how long the call may still take",
        "wasi:clocks/monotonic-clock" | "wasi:clocks/system-clock" | "wasi:clocks/wall-clock" => "the time",
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => "random numbers",
        "wasi:cli/stdout" | "wasi:cli/stderr" => "lines in the server's log",
        "wasi:cli/environment" => "an empty one",
        "wasi:filesystem/types" | "wasi:filesystem/preopens" => "no files",
        name if name.starts_with("wasi:sockets/") => "no sockets",
        _ => "",
    }
}

/// Where a profile is read from, and which fields it becomes.
fn sources(profile: &Profile) -> String {
    let keys: Vec<String> = profile.keys.iter().map(|(key, path)| format!("{key} as {path}")).collect();
    let other = profile.file_environment.as_ref().map(|name| format!(", or the file that {name} names"));
    format!("{}{}: {}", profile.file, other.unwrap_or_default(), keys.join(", "))
}

fn words(field: &Field) -> String {
    let mut words = vec![field.kind.clone()];
    match field.role.as_str() {
        "secret" => words.push("secret, which the plugin never sees".to_owned()),
        "endpoint" => words.push("a host that the location may connect to".to_owned()),
        "path" => words.push("a folder that the location may use".to_owned()),
        "profile" => words.push("a section of a credentials file".to_owned()),
        _ => {}
    }
    if field.required {
        words.push("required".to_owned());
    }
    if let Some(default) = &field.default {
        words.push(format!("{default} by default"));
    }
    if let Some(suffix) = &field.environment {
        words.push(format!("overridden by <location>_{suffix}"));
    }
    words.join(", ")
}
