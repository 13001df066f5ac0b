//! Everything that can be wrong with backends, in one report, and how each heals.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::process::{free_port, write};
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Moto, Rclone};
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// The locations that do not work, each with a part of its cause.
const BROKEN: [(&str, &str); 7] = [
    ("absent-bucket", "'absent'"),
    ("unversioned", "versioning"),
    ("suspended", "versioning"),
    ("wrong-key", "answered 403"),
    ("dead", "refused"),
    ("dead-azure", "refused"),
    ("no-plugin", "ftp"),
];

fn aws(port: u16, bucket: &str) -> Value {
    json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": {
        "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": bucket, "bucketMatch": false,
        "credentials": { "accessKey": "testing", "secretKey": "testing" }, "https": false, "pathStyle": true
    } })
}

fn azure(port: u16, container: &str) -> Value {
    json!({ "type": "azure", "legacyAwsBehavior": false, "details": {
        "azureStorageEndpoint": format!("http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"), "bucketMatch": false,
        "azureContainerName": container, "azureStorageAccountName": AZURITE_ACCOUNT,
        "azureStorageAccessKey": AZURITE_KEY
    } })
}

fn profile(secret: &str) -> String {
    format!("[cloud]\naws_access_key_id = rcloneKey\naws_secret_access_key = {secret}\n")
}

async fn set_versioning(backend: &Client, bucket: &str, status: &str) {
    let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    let call = Call::new(Method::PUT, bucket).query("versioning", "").body(body);
    assert_eq!(backend.send(call).await.unwrap().status, 200);
}

#[tokio::test]
async fn all_that_is_wrong_is_in_one_report_answers_503_and_heals() {
    let (moto, rclone, azurite) =
        (Moto::start().await.unwrap(), Rclone::start().await.unwrap(), Azurite::start().await.unwrap());
    let backend = moto.client().unwrap();
    for bucket in ["plain", "suspended", "fine"] {
        assert_eq!(backend.create_bucket(bucket, "").await.unwrap().status, 200);
    }
    set_versioning(&backend, "suspended", "Enabled").await;
    set_versioning(&backend, "suspended", "Suspended").await;
    set_versioning(&backend, "fine", "Enabled").await;
    assert_eq!(rclone.client().unwrap().create_bucket("cloud", "").await.unwrap().status, 200);
    let (dead, dead_azure) = (free_port().unwrap(), free_port().unwrap());
    let mut wrong_key = aws(rclone.port(), "cloud");
    let details = wrong_key["details"].as_object_mut().unwrap();
    details.remove("credentials");
    details.extend([("credentialsProfile".into(), json!("cloud")), ("supportsVersioning".into(), json!(false))]);

    let mut gateway = Setup::with_locations(json!({
        "fine": aws(moto.port(), "fine"),
        "absent-bucket": aws(moto.port(), "absent"),
        "unversioned": aws(moto.port(), "plain"),
        "suspended": aws(moto.port(), "suspended"),
        "wrong-key": wrong_key,
        "dead": aws(dead, "fine"),
        "dead-azure": azure(dead_azure, "cloud"),
        "absent-container": azure(azurite.port(), "made-by-sallyport"),
        "no-plugin": { "type": "ftp", "legacyAwsBehavior": false, "details": {} }
    }))
    .file(".aws/credentials", &profile("not-the-secret"))
    .environment("SALLYPORT_HEAL_INTERVAL_MS", "300")
    .start()
    .await
    .unwrap();

    names_each(&gateway.log());
    let report = gateway.run(&["check"]).await.unwrap();
    assert_eq!(report.code, Some(1), "{}", report.errors);
    names_each(&report.errors);
    for (location, cause) in BROKEN {
        let row = report.output.lines().find(|line| line.starts_with(&format!("{location} "))).unwrap();
        assert!(row.contains(cause), "{row}");
    }
    for location in ["fine", "absent-container", "us-east-1"] {
        let row = report.output.lines().find(|line| line.starts_with(&format!("{location} "))).unwrap();
        assert!(row.trim_end().ends_with(" ok"), "{row}");
        assert_eq!(store(&gateway, location).await, (200, String::new()), "{location}");
    }
    assert_eq!(azurite.reader().unwrap().names("made-by-sallyport").await.unwrap().len(), 1);
    for (location, cause) in BROKEN {
        let (status, text) = store(&gateway, location).await;
        assert_eq!(status, 503, "{location}: {text}");
        assert!(text.contains("ServiceUnavailable") && text.contains(location) && text.contains(cause), "{text}");
    }

    assert_eq!(backend.create_bucket("absent", "").await.unwrap().status, 200);
    for bucket in ["absent", "plain", "suspended"] {
        set_versioning(&backend, bucket, "Enabled").await;
    }
    write(gateway.folder(), ".aws/credentials", &profile("rcloneSecret")).unwrap();
    let _revived = (revive(dead, moto.port()).await, revive(dead_azure, azurite.port()).await);
    for (location, _) in BROKEN.iter().filter(|(location, _)| *location != "no-plugin") {
        until(location, async || store(&gateway, location).await.0 == 200).await;
        assert!(gateway.log().contains("the location works again"));
    }
    assert_eq!(store(&gateway, "no-plugin").await.0, 503);
}

/// One line for each, with its cause and what to do.
fn names_each(report: &str) {
    for (location, cause) in BROKEN {
        let start = format!(", location {location}");
        let mut lines = report.lines().filter(|line| line.starts_with("location: "));
        let line = lines.find(|line| line.contains(&start) && line.contains(cause) && line.contains('→'));
        let line = line.unwrap_or_else(|| panic!("nothing about {location} ({cause}) in:\n{report}"));
        assert!(line.starts_with("location: locationConfig.json, "), "{line}");
        let is_told_where = line.contains(", details: ") && line.contains(" on http://127.0.0.1:");
        assert!(is_told_where || !location.starts_with("dead"), "{line}");
    }
    for location in ["fine", "absent-container", "us-east-1"] {
        let named = |line: &str| line.starts_with("location: ") && line.contains(&format!("location {location},"));
        assert!(!report.lines().any(named), "{location} works:\n{report}");
    }
}

async fn store(gateway: &Gateway, location: &str) -> (u16, String) {
    let client = gateway.client().unwrap();
    let created = client.create_bucket(location, location).await.unwrap();
    assert!([200, 409].contains(&created.status.as_u16()), "{}", created.text());
    let answer = client.put(&format!("{location}/key"), "bytes").await.unwrap();
    (answer.status.as_u16(), answer.text())
}

/// Lets a port come alive; it ends with what this returns.
async fn revive(port: u16, upstream: u16) -> tokio::task::JoinSet<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    tasks
}
