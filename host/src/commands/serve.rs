//! `sallyport serve`.

use super::{configuration_to_serve, report, say};
use crate::admin::{Admin, Readiness, Reload, Status};
use crate::app::{App, key_problems};
use crate::config::{Overrides, ProcessEnvironment};
use crate::reload::{Files, Reloader};
use crate::serving::{self, Certificate, ServeOptions};
use crate::telemetry;
use anyhow::Context;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// Serves until it is told to stop, then lets requests come to their end.
///
/// # Errors
/// What keeps it from starting.
pub async fn serve(overrides: &Overrides) -> anyhow::Result<()> {
    let mut configuration = configuration_to_serve(overrides).await?;
    let files = Files::of(&configuration).await;
    telemetry::log(configuration.log);
    let metrics = telemetry::metrics()?;
    let certificate = configuration.tls.as_ref().map(Certificate::read).transpose()?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    // The addresses are taken before anything is opened: a second start says so at once.
    let listening = serving::bind(&configuration.listen).await?;
    let admin_listening = serving::bind(&configuration.metrics_listen).await?;
    // With the ports that were taken: no plugin is to be connected to them.
    (configuration.listen, configuration.metrics_listen) = (listening.addresses(), admin_listening.addresses());
    let app = App::build(&configuration, Box::new(ProcessEnvironment)).await?;
    report(key_problems(&configuration, &ProcessEnvironment)?.iter().chain(&app.problems));
    if app.gateway.metadata().is_restored().await.is_ok_and(|restored| restored) {
        tracing::warn!("the metadata was restored: nothing is deleted on any backend until `sallyport fsck` has run");
    }
    let background = app.start_background();
    let root = std::env::current_dir().context("the working folder")?;
    let reloader = Reloader::new(root, overrides.clone(), files, &app);
    let following = tokio::spawn(follow(Arc::clone(&reloader), app.watch_interval, serving::reload_requests()?));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let renewal = certificate.map(|certificate| tokio::spawn(certificate.renew()));

    let service = app.service.clone();
    let options = ServeOptions { limits: configuration.limits, tls };
    let admin = Admin {
        allow: configuration.health_allow.clone().into(),
        metrics,
        readiness: readiness(&app),
        status: status(&reloader),
        reload: reload(&reloader),
    };
    let checks = admin.clone();
    let serving = listening.serve(options, move |request, peer| {
        let (service, checks) = (service.clone(), checks.clone());
        async move {
            if Admin::is_asked(&request) {
                return checks.answer(&request, peer).map(|body| body.map_err(|never| match never {}).boxed_unsync());
            }
            service.handle(request, Some(peer.address)).await
        }
    });
    let admin_options = ServeOptions { limits: configuration.limits, tls: None };
    let admin_serving = admin_listening.serve(admin_options, move |request, peer| {
        let admin = admin.clone();
        async move { admin.serve(request, peer).await }
    });
    for address in admin_serving.addresses() {
        tracing::info!("health and metrics on http://{address}");
    }
    let addresses: Vec<String> = serving.addresses().iter().map(|address| format!("{scheme}://{address}")).collect();
    say(format_args!("sallyport listening on {}", addresses.join(" ")))?;

    serving::stop_requested().await.context("waiting for a signal")?;
    tracing::info!("stopping: requests under way come to their end");
    following.abort();
    if let Some(renewal) = renewal {
        renewal.abort();
    }
    let drained = serving.drain().await;
    if drained.cut > 0 {
        tracing::warn!("{} connections were cut after the drain deadline", drained.cut);
    }
    background.stop().await;
    drop(app);
    admin_serving.drain().await;
    Ok(())
}

/// Ready: requests are served, and writes among them. A location that is down does not change that,
/// since the others work; its own requests say so, and metrics show it.
fn readiness(app: &App) -> Readiness {
    let (gateway, locations) = (Arc::clone(&app.gateway), Arc::clone(&app.locations));
    Arc::new(move || {
        if let Some(why) = gateway.metadata().stopped() {
            return Err(why.to_owned());
        }
        let report = locations.report();
        let broken: Vec<String> = report.iter().filter(|one| one.fault.is_some()).map(|one| one.name.clone()).collect();
        if !report.is_empty() && broken.len() == report.len() {
            return Err(format!("no location works: {}", broken.join(", ")));
        }
        Ok(())
    })
}

/// Follows the files, and reads them again at each SIGHUP.
async fn follow(reloader: Arc<Reloader>, interval: Option<Duration>, mut requests: Signal) {
    let asked = async {
        while requests.recv().await.is_some() {
            tracing::info!("SIGHUP: the configuration is read again");
            reloader.reload().await;
        }
    };
    tokio::join!(reloader.watch(interval), asked);
}

fn status(reloader: &Arc<Reloader>) -> Status {
    let reloader = Arc::clone(reloader);
    Arc::new(move || in_json(&reloader.status()))
}

/// A reload goes on when whoever asked for it does not wait.
fn reload(reloader: &Arc<Reloader>) -> Reload {
    let reloader = Arc::clone(reloader);
    Arc::new(move || {
        let reloader = Arc::clone(&reloader);
        let reloading = tokio::spawn(async move { in_json(&reloader.reload().await) });
        Box::pin(async move { reloading.await.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")) })
    })
}

fn in_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
