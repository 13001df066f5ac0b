//! A changed configuration takes effect while the server serves, location by location.

use super::{ORDINARY, Stage, drop_in, location, release};
use crate::third_party::Web;
use sallyport_tests::admin;
use sallyport_tests::client::Client;
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

impl Stage {
    fn locations(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.gateway.folder().join("locationConfig.json")).unwrap()).unwrap()
    }

    /// Writes the file anew, as an editor does that renames.
    fn write(&self, name: &str, text: &str) {
        let path = self.gateway.folder().join(name);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut locations = self.locations();
        change(&mut locations);
        self.write("locationConfig.json", &locations.to_string());
    }
}

#[tokio::test]
async fn a_location_that_is_added_serves_and_one_that_is_empty_goes() {
    let stage = Stage::start().await;
    let other = Web::start().await;
    let client = stage.gateway.client().unwrap();
    assert_eq!(client.create_bucket("fresh", "added").await.unwrap().code(), "InvalidLocationConstraint");
    stage.change(|locations| locations["added"] = location(&other, 0));
    until("it is there", async || client.create_bucket("fresh", "added").await.unwrap().status == 200).await;
    assert_eq!(client.put("fresh/key", "bytes").await.unwrap().status, 200);
    assert_eq!(other.bodies(), ["bytes"]);

    // Both go from the file: the one with a bucket is served on, the empty one is not.
    stage.change(|locations| {
        let locations = locations.as_object_mut().unwrap();
        locations.remove("added");
        locations.remove("web");
    });
    until("the empty one is gone", async || stage.status().await.is_null()).await;
    assert_eq!(client.create_bucket("empty", "web").await.unwrap().code(), "InvalidLocationConstraint");
    assert_eq!(client.get("fresh/key").await.unwrap().text(), "bytes");
    let report = admin::reload(&stage.admin).await.unwrap();
    let warned = report["problems"].as_array().unwrap().iter().any(|problem| {
        let problem = problem.as_str().unwrap();
        problem.contains("added") && problem.contains("served on")
    });
    assert!(warned, "{report}");

    // Its name alone does not make it another one: bytes of the old one may be on their way.
    stage.change(|locations| locations["web"] = location(&other, 0));
    until("it is refused", async || {
        stage.status().await["fault"].as_str().is_some_and(|fault| fault.contains("was served from"))
    })
    .await;
    stage.change(|locations| locations["web"] = location(&stage.web, 0));
    assert_eq!(client.create_bucket("empty", "web").await.unwrap().status, 200);
    until("it is back", async || client.put("empty/key", "bytes").await.unwrap().status == 200).await;
}

#[tokio::test]
async fn changed_details_reopen_their_location_unless_they_do_not_work() {
    let stage = Stage::start().await;
    let elsewhere = Web::start().await;
    let client = stage.bucket("details", "web").await;
    assert_eq!(client.put("details/key", "plain").await.unwrap().status, 200);

    // Nothing listens there, and it would be another place: both keep what works in force.
    for (endpoint, why) in [("http://127.0.0.1:1", "was served from"), ("nonsense", "is no server")] {
        stage.change(|locations| locations["web"]["details"]["endpoint"] = json!(endpoint));
        stage.is_rejected(why).await;
        assert_eq!(client.get("details/key").await.unwrap().text(), "plain");
    }
    stage.change(|locations| locations["web"]["details"]["endpoint"] = json!(format!("http://{}", elsewhere.address)));
    stage.is_rejected(&elsewhere.address).await;
    assert_eq!(client.put("details/key", "plain as ever").await.unwrap().status, 200);
    assert_eq!(elsewhere.bodies(), [""; 0]);

    stage.change(|locations| locations["web"] = location(&stage.web, 90));
    let rounds = AtomicU32::new(0);
    until("it scrambles", async || {
        // Earlier rounds leave bytes behind that only a later sweep removes.
        let text = format!("text {}", rounds.fetch_add(1, Ordering::Relaxed));
        assert_eq!(client.put("details/other", text.clone()).await.unwrap().status, 200);
        !stage.web.bodies().contains(&text.clone().into()) && client.get("details/other").await.unwrap().text() == text
    })
    .await;
    assert!(stage.status().await["rejected"].is_null());
}

#[tokio::test]
async fn a_file_with_a_fatal_mistake_changes_nothing_and_says_what_is_wrong() {
    let stage = Stage::start().await;
    let client = stage.bucket("kept", "web").await;
    stage.write("locationConfig.json", "{ \"us-east-1\": ");
    let report = admin::reload(&stage.admin).await.unwrap();
    assert_eq!(report["applied"], false, "{report}");
    assert!(report["problems"][0].as_str().unwrap().contains("is not JSON"), "{report}");
    assert_eq!(client.put("kept/key", "bytes").await.unwrap().status, 200);
    assert!(stage.metrics().await.contains("sallyport_reloads_total{outcome=\"refused\"}"));

    let entry = json!({ "us-east-1": { "type": "local", "legacyAwsBehavior": true, "details": {} },
        "web": { "type": "webstore", "legacyAwsBehavior": "yes", "details": {} }, "odd": { "type": "ftp", "details": {} } });
    stage.write("locationConfig.json", &entry.to_string());
    let report = admin::reload(&stage.admin).await.unwrap();
    assert_eq!(report["applied"], true, "{report}");
    let problems = report["problems"].to_string();
    for field in ["legacyAwsBehavior", "details.endpoint", "ftp.wasm"] {
        assert!(problems.contains(field), "nothing about {field} in {problems}");
    }
    assert_eq!(client.put("kept/key", "bytes").await.unwrap().status, 200, "what works is replaced only by what works");
}

#[tokio::test]
async fn a_signal_and_a_post_read_everything_again_where_nobody_watches() {
    let accounts = |secret: &str| {
        json!({ "accounts": [{ "name": "One", "email": "one@example.com", "arn": "arn:aws:iam::123456789012:root",
            "canonicalID": "one", "keys": [{ "access": "accessKey1", "secret": secret }] }] })
    };
    let stage = Stage::with(Some(release("0.1.0", ORDINARY).await), |setup| {
        setup
            .environment("SALLYPORT_WATCH_INTERVAL_MS", "0")
            .environment("SALLYPORT_HEAL_INTERVAL_MS", "3600000")
            .accounts(accounts("verySecretKey1"))
    })
    .await;
    let client = stage.bucket("asked", "web").await;
    drop_in(stage.plugins.path(), &release("0.2.0", ORDINARY).await);
    stage.write("authdata.json", &accounts("another").to_string());
    assert_eq!(client.put("asked/key", "bytes").await.unwrap().status, 200);
    assert_eq!(stage.status().await["version"], "0.1.0");

    stage.gateway.signal("HUP").await.unwrap();
    stage.serves("0.2.0").await;
    until("the old key is refused", async || client.put("asked/key", "bytes").await.unwrap().status == 403).await;
    let client = Client::new(stage.gateway.endpoint(), "accessKey1", "another").unwrap();
    assert_eq!(client.get("asked/key").await.unwrap().text(), "bytes");

    drop_in(stage.plugins.path(), &release("0.3.0", ORDINARY).await);
    let report = admin::reload(&stage.admin).await.unwrap();
    assert_eq!(report["applied"], true, "{report}");
    let web = report["locations"].as_array().unwrap().iter().find(|one| one["name"] == "web").unwrap();
    assert_eq!(web["version"], "0.3.0", "{report}");
    let (status, _) = admin::ask(&stage.admin, hyper::Method::GET, "/reload").await.unwrap();
    assert_eq!(status, 405);
}
