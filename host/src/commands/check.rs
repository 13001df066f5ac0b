//! `sallyport check`.

use super::{configuration, report, say};
use crate::app::App;
use crate::config::{Overrides, ProcessEnvironment, Severity};

/// Asks each location for its health; answers whether all is well.
///
/// # Errors
/// What keeps it from asking.
pub async fn check(overrides: &Overrides) -> anyhow::Result<bool> {
    let mut configuration = configuration(overrides).await?;
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
    Ok(well)
}
