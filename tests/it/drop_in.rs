//! Plugins and configuration change while the server serves, and no request fails for it.

mod bombs;
mod breaking;
mod configuration;
mod refused;
mod swapping;
mod trust;

pub(crate) use trust::Publisher;

use super::third_party::{Web, built};
use sallyport_tests::admin;
use sallyport_tests::client::Client;
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// A gateway with one location on a plugin of somebody else, whose file a test replaces.
struct Stage {
    web: Web,
    plugins: TempDir,
    gateway: Gateway,
    admin: String,
}

impl Stage {
    /// With the release 0.1.0 in place.
    async fn start() -> Self {
        Self::with(Some(release("0.1.0", ORDINARY).await), |setup| setup).await
    }

    async fn with(component: Option<Vec<u8>>, change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::made(component, |location| location, change).await
    }

    async fn with_location(component: Option<Vec<u8>>, entry: impl FnOnce(Value) -> Value) -> Self {
        Self::made(component, entry, |setup| setup).await
    }

    async fn made(
        component: Option<Vec<u8>>,
        entry: impl FnOnce(Value) -> Value,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let web = Web::start().await;
        let plugins = TempDir::new().unwrap();
        if let Some(component) = component {
            drop_in(plugins.path(), &component);
        }
        let setup = Setup::with_locations(json!({ "web": entry(location(&web, 0)) })).plugins(plugins.path());
        let setup = setup
            .environment("SALLYPORT_WATCH_INTERVAL_MS", "100")
            .environment("SALLYPORT_HEAL_INTERVAL_MS", "200")
            .environment("SALLYPORT_SWEEP_INTERVAL_MS", "3600000");
        let mut gateway = change(setup).start().await.unwrap();
        let admin = gateway.admin().unwrap();
        Self { web, plugins, gateway, admin }
    }

    async fn bucket(&self, name: &str, location: &str) -> Client {
        let client = self.gateway.client().unwrap();
        let created = client.create_bucket(name, location).await.unwrap();
        assert_eq!(created.status, 200, "{}", created.text());
        client
    }

    /// How the location is, as the admin port has it.
    async fn status(&self) -> Value {
        admin::location(&self.admin, "web").await.unwrap()
    }

    async fn serves(&self, version: &str) {
        until(&format!("version {version} serves"), async || self.status().await["version"] == version).await;
    }

    async fn is_rejected(&self, why: &str) -> String {
        let said = async || self.status().await["rejected"].as_str().unwrap_or_default().to_owned();
        until(why, async || said().await.contains(why)).await;
        said().await
    }

    async fn metrics(&self) -> String {
        admin::ask(&self.admin, hyper::Method::GET, "/metrics").await.unwrap().1
    }
}

const ORDINARY: &str = "ordinary";

fn location(web: &Web, scramble: u8) -> Value {
    let details = json!({ "endpoint": format!("http://{}", web.address), "scramble": scramble });
    json!({ "type": "webstore", "legacyAwsBehavior": false, "details": details })
}

/// The plugin's component as another release of it, which behaves as told.
async fn release(version: &str, variant: &str) -> Vec<u8> {
    let component = std::fs::read(built().await).unwrap();
    let component = overwritten(component, "release:", version);
    overwritten(component, "variant:", variant)
}

/// Puts a text behind a marker that is in the component once.
fn overwritten(mut component: Vec<u8>, marker: &str, text: &str) -> Vec<u8> {
    let places: Vec<_> =
        (0..component.len()).filter(|place| component[*place..].starts_with(marker.as_bytes())).collect();
    assert_eq!(places.len(), 1, "{marker} is there {} times", places.len());
    let place = places[0] + marker.len();
    component[place..place + text.len()].copy_from_slice(text.as_bytes());
    component
}

/// Puts a component where the server looks for it: under another name first, as an operator should.
fn drop_in(folder: &Path, component: &[u8]) {
    std::fs::write(folder.join("webstore.wasm.new"), component).unwrap();
    std::fs::rename(folder.join("webstore.wasm.new"), folder.join("webstore.wasm")).unwrap();
}
