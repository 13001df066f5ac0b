//! `sallyport check`.

use super::{configuration_to_serve, report, running, say};
use crate::app::{App, key_problems};
use crate::config::{Configuration, Overrides, ProcessEnvironment, Severity};

/// Asks each location for its health; answers whether all is well.
///
/// # Errors
/// What keeps it from asking.
pub async fn check(overrides: &Overrides) -> anyhow::Result<bool> {
    let mut configuration = configuration_to_serve(overrides).await?;
    report(key_problems(&configuration, &ProcessEnvironment)?.iter());
    // A database of its own: the server may be running on the real one.
    let scratch = std::env::temp_dir().join(format!("sallyport-check-{}", std::process::id()));
    configuration.metadata_dir = scratch.clone();
    let built = App::build(&configuration, Box::new(ProcessEnvironment)).await;
    let outcome = built.map(|app| {
        report(app.problems.iter());
        let well = app.problems.iter().all(|problem| problem.severity == Severity::Warning);
        (app.locations.report(), well)
    });
    let _ = tokio::fs::remove_dir_all(&scratch).await;
    let (health, well) = outcome?;
    let well = well && health.iter().all(|one| one.fault.is_none());
    let width = health.iter().map(|one| one.name.len()).max().unwrap_or(8).max(8);
    say(format_args!("{:width$}  {:10}  HEALTH", "LOCATION", "TYPE"))?;
    for one in health {
        let fault = one.fault.unwrap_or_else(|| "ok".to_owned());
        say(format_args!("{:width$}  {:10}  {fault}", one.name, one.kind))?;
    }
    let breakers = running::open_breakers(&configuration.metrics_listen).await;
    for (location, cause) in breakers.iter().flatten() {
        say(format_args!("the running server refuses calls of {location}, its breaker is open: {cause}"))?;
    }
    let well = match breakers {
        Some(open) if open.is_empty() => {
            say("the running server has no breaker open")?;
            well
        }
        Some(_) => false,
        None => well,
    };
    let proxies = &configuration.proxies;
    if proxies.http.is_some() || proxies.https.is_some() {
        say("behind the proxy the names of hosts are checked, and their addresses are not: the proxy looks them up")?;
    }
    for line in trust_domains(&configuration) {
        say(line)?;
    }
    Ok(well)
}

/// Who can reach what by way of a plugin: whoever shares a location shares its plugin's
/// instances, credentials and limits.
fn trust_domains(configuration: &Configuration) -> Vec<String> {
    let mut lines = Vec::new();
    if configuration.accounts.len() < 2 {
        return lines;
    }
    let own: Vec<&str> = configuration
        .locations
        .iter()
        .filter(|location| location.accounts.is_none())
        .map(|location| location.name.as_str())
        .collect();
    if !own.is_empty() {
        lines.push(format!("all accounts share {}, and are one trust domain there", own.join(", ")));
    }
    for location in &configuration.locations {
        let Some(ids) = &location.accounts else { continue };
        let meant = configuration.accounts.iter().filter(|account| ids.contains(&account.canonical_id));
        let names: Vec<&str> = meant.map(|account| account.name.as_str()).collect();
        let location = &location.name;
        lines.push(match names.as_slice() {
            [] => format!("{location} belongs to nobody"),
            [one] => format!("{location} belongs to {one} alone"),
            [others @ .., last] => {
                format!("{} and {last} share {location}, and are one trust domain there", others.join(", "))
            }
        });
    }
    lines
}
