//! The conformance kit, as an author runs it: against the release's own plugins, one from elsewhere and a new one.

use crate::{sealed, third_party};
use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Ran, Setup, compiled_plugins};
use sallyport_tests::stage::Stage;
use sallyport_tests::tools;
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Dav};
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs the kit on a plugin; answers the exit status, the JSON and what was printed.
async fn kit(plugin: &Path, location: &Value, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("location.json"), location.to_string()).unwrap();
    let mut command = Command::new(tools::sallyport().unwrap());
    command.args(["plugin", "test"]).arg(plugin).args(["--location", "location.json", "--json", "report.json"]);
    command.args(arguments).current_dir(folder.path()).env("SALLYPORT_CACHE_DIR", compiled_plugins());
    let ran = Ran::of(&mut command).await.unwrap();
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap_or_else(|_| "null".to_owned());
    (ran.code, serde_json::from_str(&report).unwrap(), format!("{}\n{}", ran.output, ran.errors))
}

/// What the listing of a plugin is for, with the real server.
async fn fsck_sees_what_no_object_refers_to(plugin: &Path, dav: &Dav, mut location: Value) {
    let folder = TempDir::new().unwrap();
    std::fs::copy(plugin, folder.path().join(plugin.file_name().unwrap())).unwrap();
    location["legacyAwsBehavior"] = false.into();
    let setup = Setup::with_locations(json!({ "dav": location })).plugins(folder.path());
    let setup = setup.environment("SALLYPORT_DELETION_DELAY_MS", "0");
    let mut gateway = setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("shelf", "dav").await.unwrap().status, 200);
    for key in ["one", "two"] {
        assert_eq!(client.put(&format!("shelf/{key}"), "bytes of an object").await.unwrap().status, 200);
    }
    // Through the server, which remembers what its folders hold.
    let others = Client::new(&dav.endpoint(), "nobody", "nothing").unwrap();
    // A write's id tells when it began: bytes that are much younger would be somebody's copy.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let orphan = format!("shelf/ef/{now:012x}0123456789abcdef01ef");
    let made = others.send_unsigned(Call::new(Method::from_bytes(b"MKCOL").unwrap(), "shelf/ef")).await.unwrap();
    assert!([201, 405].contains(&made.status.as_u16()), "{}", made.text());
    let put = others.send_unsigned(Call::new(Method::PUT, &orphan).body("bytes of none")).await.unwrap();
    assert_eq!(put.status, 201, "{}", put.text());
    let orphan = dav.folder().join(orphan);
    gateway.stop().await.unwrap();
    let repaired = gateway.run(&["fsck", "--repair"]).await.unwrap();
    assert!(repaired.output.contains("2 segments, 0 lost; 3 stored objects, 1 orphans"), "{repaired:?}");
    gateway.restart().await.unwrap();
    until("the orphan stays", async || !orphan.exists()).await;
    assert_eq!(gateway.client().unwrap().get("shelf/one").await.unwrap().text(), "bytes of an object");
}

/// The kit has to pass; answers the report.
async fn passes(plugin: &Path, location: &Value) -> Value {
    let (code, report, printed) = kit(plugin, location, &[]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(report["summary"]["failed"], 0, "{printed}");
    assert_eq!(report["conformant"], true);
    report
}

/// The cases with a verdict, as `setting id`.
fn cases(report: &Value, verdict: &str) -> Vec<String> {
    let all = report["cases"].as_array().unwrap().iter();
    let text = |case: &Value, name: &str| case[name].as_str().unwrap().to_owned();
    all.filter(|case| case["verdict"] == verdict)
        .map(|case| format!("{} {}", text(case, "setting"), text(case, "id")))
        .collect()
}

/// Bytes that pass the plugin per write and per read of a size.
fn through(report: &Value, size: u64) -> Vec<u64> {
    let all = report["operations"].as_array().unwrap().iter();
    let of_size = all.filter(|one| one["size"] == size && ["put", "get"].iter().any(|name| one["operation"] == *name));
    of_size.map(|one| one["bytes_through_plugin"].as_u64().unwrap()).collect()
}

fn own(kind: &str) -> PathBuf {
    tools::plugins().unwrap().join(format!("{kind}.wasm"))
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = TempDir::new().unwrap();
    let location = json!({ "type": "local", "details": { "path": folder.path() } });
    let report = passes(&own("local"), &location).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on");
    let passed = cases(&report, "passed");
    for case in ["warm get.ranges", "recycled get.ranges", "warm listing.complete", "recycled concurrent.objects"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
    // A folder connects to nothing, so that nothing can be cut.
    assert!(cases(&report, "skipped").iter().any(|case| case == "troubled fault.down"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the kit removes what it stored");
}

/// What this S3 server does wrong shows at the plugin, by the case's name, and nothing else does.
#[tokio::test]
async fn s3_with_and_without_versions_keeps_the_contract_as_far_as_its_server_does() {
    let stage = Stage::start().await.unwrap();
    // moto answers 500 to the completion of an upload that is gone, and copies whatever is there.
    let known = [("aws", vec!["multipart.abort"]), ("plain-aws", vec!["multipart.abort", "copy.exact"])];
    for (location, known) in known {
        let (code, report, printed) = kit(&own("aws_s3"), &stage.locations()[location], &[]).await;
        assert_eq!(code, Some(1), "{printed}");
        let expected: Vec<String> = ["warm", "recycled"]
            .iter()
            .flat_map(|setting| known.iter().map(move |id| format!("{setting} {id}")))
            .collect();
        assert_eq!(cases(&report, "failed"), expected, "{printed}");
        assert_eq!(through(&report, 8 << 20), [0, 0], "{location}: bytes are handed on");
        let passed = cases(&report, "passed");
        for case in ["warm multipart.assembles", "recycled copy.copies", "troubled fault.short-read"] {
            assert!(passed.iter().any(|known| known == case), "{location}: {case} is not in {passed:#?}");
        }
        assert_eq!(stage.kept(location).await.unwrap(), Vec::<String>::new(), "{location}: the kit cleans up");
    }
}

#[tokio::test]
async fn azure_keeps_the_contract() {
    let stage = Stage::start().await.unwrap();
    let report = passes(&own("azure"), &stage.locations()["azure"]).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on");
    let passed = cases(&report, "passed");
    for case in ["warm multipart.assembles", "recycled tagging.replaces", "troubled fault.lost-answer"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
    assert_eq!(stage.kept("azure").await.unwrap(), Vec::<String>::new(), "the kit cleans up");
}

#[tokio::test]
async fn a_plugin_from_elsewhere_is_judged_like_ours() {
    let web = third_party::Web::start().await;
    let plugin = third_party::built().await;
    let location = |pad: u8| json!({ "type": "webstore", "details": { "endpoint": format!("http://{}", web.address), "scramble": pad } });
    let report = passes(&plugin, &location(0)).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on");
    assert!(web.bodies().is_empty(), "the kit removes what it stored");
    // The slow path: the same plugin changes each byte on its way, and the report says so.
    let report = passes(&plugin, &location(90)).await;
    assert_eq!(through(&report, 8 << 20), [8 << 20, 8 << 20]);
    assert!(web.bodies().is_empty(), "the kit removes what it stored");
}

#[tokio::test]
async fn a_plugin_that_encrypts_keeps_the_contract() {
    let upstream = sealed::upstream().await;
    let plugin = tools::examples().unwrap().join("sealed_s3.wasm");
    let location = sealed::location(&upstream, "1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    let (_, report, printed) = kit(&plugin, &location, &[]).await;
    // moto copies whatever is there, see above.
    assert_eq!(cases(&report, "failed"), ["warm copy.exact", "recycled copy.exact"], "{printed}");
    for bytes in through(&report, 8 << 20) {
        assert!(bytes >= 8 << 20, "every byte passes the plugin, and {bytes} did");
    }
    let passed = cases(&report, "passed");
    for case in ["warm get.every-byte", "recycled body.breaks", "warm copy.copies", "troubled fault.short-read"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
    let kept = upstream.client().unwrap().keys("cloud").await.unwrap();
    assert!(kept.len() <= 1, "the kit cleans up, but for {kept:?}");
}

#[tokio::test]
async fn webdav_by_opendal_keeps_the_contract() {
    let plugin = tools::examples().unwrap().join("opendal.wasm");
    let dav = Dav::with_password("somebody", "the-canary-password").await.unwrap();
    let details = json!({
        "service": "webdav", "endpoint": dav.endpoint(), "root": "some/objects", "account": "somebody",
        "secret": "the-canary-password"
    });
    let location = json!({ "type": "opendal", "grants": { "reveal": ["secret"] }, "details": details });
    let report = passes(&plugin, &location).await;
    let passed = cases(&report, "passed");
    for case in ["warm get.ranges", "recycled listing.complete", "troubled fault.cut-write"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
    for bytes in through(&report, 8 << 20) {
        assert!(bytes < 64 << 10, "what passes the plugin is XML and no object, and {bytes} bytes did");
    }
    // A password that is not revealed is none, and says so.
    let location = json!({ "type": "opendal", "details": location["details"] });
    let (code, report, printed) = kit(&plugin, &location, &["--only", "put.empty", "--no-measure"]).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("401") && !printed.contains("the-canary-password"), "{printed}");
    assert!(!report.to_string().contains("the-canary-password"));
}

#[tokio::test]
async fn azblob_by_opendal_keeps_the_contract() {
    let plugin = tools::examples().unwrap().join("opendal.wasm");
    let azurite = Azurite::start().await.unwrap();
    // The plugin for Azure makes the container.
    let azure = json!({ "type": "azure", "details": {
        "azureStorageEndpoint": azurite.endpoint(), "azureStorageAccountName": AZURITE_ACCOUNT,
        "azureStorageAccessKey": AZURITE_KEY, "azureContainerName": "cloud", "bucketMatch": false
    } });
    let (_, _, printed) = kit(&own("azure"), &azure, &["--only", "location.works", "--no-measure"]).await;
    assert!(printed.contains("location.works"), "{printed}");
    let location = json!({ "type": "opendal", "details": {
        "service": "azblob", "endpoint": azurite.endpoint(), "container": "cloud", "root": "objects",
        "account": AZURITE_ACCOUNT, "secret": AZURITE_KEY
    } });
    let report = passes(&plugin, &location).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on");
    let passed = cases(&report, "passed");
    for case in ["warm get.every-byte", "recycled body.breaks", "troubled fault.lost-answer"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
}

#[tokio::test]
async fn what_cannot_be_tested_is_said_with_status_2() {
    let location = json!({ "type": "local", "details": { "path": 7 } });
    let (code, report, printed) = kit(&own("local"), &location, &[]).await;
    assert_eq!((code, report), (Some(2), Value::Null), "{printed}");
    assert!(printed.contains("details.path") || printed.contains("path"), "{printed}");
    let (code, _, printed) = kit(&own("local"), &json!({ "type": "azure", "details": {} }), &[]).await;
    assert_eq!(code, Some(2));
    assert!(printed.contains("the plugin serves `local`"), "{printed}");
    let (code, _, printed) =
        kit(&own("local"), &json!({ "type": "local", "details": {} }), &["--only", "nonsense"]).await;
    assert_eq!(code, Some(2));
    assert!(printed.contains("no case begins with `nonsense`"), "{printed}");
    let map = json!({ "one": { "type": "local", "details": {} }, "two": { "type": "local", "details": {} } });
    let (code, _, printed) = kit(&own("local"), &map, &["--only", "put.empty"]).await;
    assert_eq!(code, Some(2));
    assert!(printed.contains("choose one with --name"), "{printed}");
    let chosen = kit(&own("local"), &map, &["--only", "put.empty", "--no-measure", "--name", "two"]).await;
    assert_eq!(chosen.0, Some(0), "{}", chosen.2);
    assert_eq!(chosen.1["summary"], json!({ "passed": 2, "failed": 0, "skipped": 0 }));
}

#[tokio::test]
async fn a_location_whose_backend_is_gone_fails_with_status_1() {
    let port = sallyport_tests::process::free_port().unwrap();
    let location = json!({ "type": "aws_s3", "details": {
        "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": "none", "https": false, "pathStyle": true,
        "region": "us-east-1", "credentials": { "accessKey": "k", "secretKey": "the-canary-secret" }
    } });
    let (code, report, printed) = kit(&own("aws_s3"), &location, &["--only", "put.empty", "--no-measure"]).await;
    assert_eq!(code, Some(1), "{printed}");
    assert_eq!(cases(&report, "failed"), ["warm put.empty", "recycled put.empty"]);
    assert!(!printed.contains("the-canary-secret") && !report.to_string().contains("the-canary-secret"));
}

#[tokio::test]
async fn a_new_plugin_in_python_builds_and_keeps_the_contract_at_once() {
    let Ok(componentize) = tools::python_program("componentize-py") else {
        eprintln!("skipped: componentize-py is not here");
        return;
    };
    let folder = TempDir::new().unwrap();
    let mut new = Command::new(tools::sallyport().unwrap());
    new.args(["plugin", "new", "pystore", "--lang", "python"]).current_dir(folder.path());
    let new = Ran::of(&mut new).await.unwrap();
    assert_eq!(new.code, Some(0), "{}", new.errors);
    let project = folder.path().join("pystore");
    let mut build = Command::new(componentize);
    build.args(["--wit-path", "wit", "--world", "plugin", "componentize", "plugin", "--output", "pystore.wasm"]);
    let built = Ran::of(build.current_dir(&project)).await.unwrap();
    assert_eq!(built.code, Some(0), "{}\n{}", built.output, built.errors);

    let dav = Dav::start().await.unwrap();
    let location = json!({ "type": "pystore", "details": { "endpoint": format!("{}/objects", dav.endpoint()) } });
    let report = passes(&project.join("pystore.wasm"), &location).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on, also in Python");
    let passed = cases(&report, "passed");
    for case in ["warm names.unicode", "recycled concurrent.objects", "troubled fault.silent"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
}

#[tokio::test]
async fn a_new_plugin_in_c_builds_and_keeps_the_contract_at_once() {
    let Some(programs) = tools::c_programs() else {
        eprintln!("skipped: there is no clang for WebAssembly, wit-bindgen or wasm-tools here");
        return;
    };
    let folder = TempDir::new().unwrap();
    let mut new = Command::new(tools::sallyport().unwrap());
    new.args(["plugin", "new", "cstore", "--lang", "c"]).current_dir(folder.path());
    let new = Ran::of(&mut new).await.unwrap();
    assert_eq!(new.code, Some(0), "{}", new.errors);
    let project = folder.path().join("cstore");
    let path = std::env::join_paths(
        [programs].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut make = Command::new("make");
    make.args(["test", "cstore.wasm"]).current_dir(&project).env("PATH", path.unwrap());
    // Not the flags of a make that runs this.
    let made = Ran::of(make.env_remove("MAKEFLAGS").env_remove("MFLAGS")).await.unwrap();
    assert_eq!(made.code, Some(0), "{}\n{}", made.output, made.errors);
    assert!(made.output.contains("all well"), "{}", made.output);

    let plugin = project.join("cstore.wasm");
    let dav = Dav::start().await.unwrap();
    let location = json!({ "type": "cstore", "details": { "endpoint": format!("{}/objects", dav.endpoint()) } });
    let report = passes(&plugin, &location).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on, also in C");
    let passed = cases(&report, "passed");
    for case in ["warm get.ranges", "recycled cancel.get", "troubled fault.lost-answer"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
    let (code, _, printed) =
        kit(&plugin, &json!({ "type": "cstore", "details": { "endpoint": "ftp://h" } }), &[]).await;
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("endpoint") && printed.contains("is no URL of http or https"), "{printed}");
}

#[tokio::test]
async fn a_new_plugin_builds_and_keeps_the_contract_at_once() {
    let folder = TempDir::new().unwrap();
    let new = async || {
        let mut command = Command::new(tools::sallyport().unwrap());
        Ran::of(command.args(["plugin", "new", "davstore"]).current_dir(folder.path())).await.unwrap()
    };
    let first = new().await;
    assert_eq!(first.code, Some(0), "{}", first.errors);
    let project = folder.path().join("davstore");
    let cargo = |arguments: &'static [&'static str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&project).env("CARGO_TARGET_DIR", third_party::target());
        async move { Ran::of(&mut command).await.unwrap() }
    };
    let tested = cargo(&["test", "--quiet"]).await;
    assert_eq!(tested.code, Some(0), "{}\n{}", tested.output, tested.errors);
    let built = cargo(&["build", "--quiet", "--release", "--target", "wasm32-wasip2"]).await;
    assert_eq!(built.code, Some(0), "{}", built.errors);
    let plugin = third_party::target().join("wasm32-wasip2/release/davstore.wasm");

    let dav = Dav::start().await.unwrap();
    let mut location: Value =
        serde_json::from_str(&std::fs::read_to_string(project.join("location.json")).unwrap()).unwrap();
    location["details"]["endpoint"] = format!("{}/objects/", dav.endpoint()).into();
    let report = passes(&plugin, &location).await;
    assert_eq!(through(&report, 8 << 20), [0, 0], "bytes are handed on");
    let passed = cases(&report, "passed");
    for case in ["warm names.longest", "recycled listing.complete", "troubled fault.cut-write"] {
        assert!(passed.iter().any(|known| known == case), "{case} is not in {passed:#?}");
    }
    // Another collection, since the kit leaves what it cannot know of.
    location["details"]["endpoint"] = format!("{}/shelf/", dav.endpoint()).into();
    fsck_sees_what_no_object_refers_to(&plugin, &dav, location).await;
    let again = new().await;
    assert_eq!(again.code, Some(2));
    assert!(again.errors.contains("is not empty"), "{}", again.errors);
}
