//! A configuration with every kind of mistake, reported in one go.

use sallyport_tests::gateway::{Ran, Setup, compiled_plugins};
use sallyport_tests::process::write;
use sallyport_tests::tools;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use tokio::process::Command;

const CONFIG: &str = r#"{
    "port": 80000,
    "restEndpoints": { "localhost": "us-east-1", "custom": "nowhere" },
    "metricsPort": 0,
    "certFilePaths": { "key": "server.key" },
    "clusters": 4,
    "lisenOn": []
}"#;

const LOCATIONS: &str = r#"{
    "us-east-1": { "type": "local", "legacyAwsBehavior": true, "details": {} },
    "aws-test": { "type": "aws_s3", "legacyAwsBehavior": "yes", "details": { "bucketName": "b" } },
    "no-bucket": { "type": "aws_s3", "legacyAwsBehavior": false, "details": {
        "awsEndpoint": "http://s3.example.com", "https": true, "bucketMatch": "false",
        "credentials": { "accessKey": "a", "secretKey": "hush-hush" }
    } },
    "azure-test": { "type": "azure", "legacyAwsBehavior": false, "details": {
        "azureStorageEndpoint": "ftp://account", "azureContainerName": "Bad_Name", "bucketMatch": true,
        "azureStorageAccountName": "UPPER", "azureStorageAccessKey": "hush hush", "azureContainer": "typo"
    } },
    "ftp": { "type": "ftp", "legacyAwsBehavior": false, "details": {} },
    "one": { "type": "local", "objectId": "same", "details": {} },
    "two": { "type": "local", "objectId": "same", "details": {} }
}"#;

const ACCOUNTS: &str = r#"{ "accounts": [
    { "name": "Bart", "email": "b@example.com", "arn": "arn:aws:iam::12:root", "canonicalID": "1",
      "keys": [ { "access": "accessKey1" } ] }
] }"#;

/// (gravity, file, location, field, a part of what is wrong, a part of what to write)
const EXPECTED: [(&str, &str, &str, &str, &str, &str); 22] = [
    ("error", "my-config.json", "", "port", "is no port", "between 0 and 65535"),
    ("error", "my-config.json", "", "certFilePaths", "lacks key or cert", "write both"),
    ("error", "my-config.json", "", "restEndpoints.custom", "nowhere is not a location", "my-locations.json lists"),
    ("warning", "my-config.json", "", "clusters", "has no effect", "remove it"),
    ("warning", "my-config.json", "", "lisenOn", "is not known", "correct its spelling"),
    ("location", "my-locations.json", "aws-test", "legacyAwsBehavior", "is a text", "true or false"),
    ("error", "my-locations.json", "two", "objectId", "same is also that of one", "give each location its own"),
    ("error", "my-accounts.json", "", "accounts.0.arn", "not the ARN", "arn:aws:iam::<twelve digits>:root"),
    ("error", "my-accounts.json", "", "accounts.0.keys.0.secret", "is missing", "write a text"),
    ("error", "environment", "", "S3DATA", "\"disk\" is not a data backend", "multiple"),
    ("warning", "environment", "", "LOG_LEVEL", "\"loud\" is not a level", "info"),
    ("warning", "environment", "", "REMOTE_MANAGEMENT_DISABLE", "has no effect", "unset it"),
    ("location", "my-locations.json", "no-bucket", "details.bucketName", "is missing", "write it"),
    ("location", "my-locations.json", "no-bucket", "details.bucketMatch", "is not of type boolean", "type boolean"),
    ("location", "my-locations.json", "azure-test", "details.azureContainerName", "\"Bad_Name\"", "3 to 63"),
    ("location", "my-locations.json", "azure-test", "details.azureStorageAccountName", "\"UPPER\"", "lower-case"),
    ("location", "my-locations.json", "azure-test", "details.azureStorageAccessKey", "is not Base64", "copy one"),
    ("location", "my-locations.json", "azure-test", "details.azureStorageEndpoint", "\"ftp://account\"", "https://"),
    ("warning", "my-locations.json", "azure-test", "details.azureContainer", "is not known", "correct its spelling"),
    ("location", "my-locations.json", "ftp", "type", "ftp.wasm is in none of", "put the plugin's file"),
    ("location", "my-locations.json", "aws-test", "details.credentials", "", ""),
    ("location", "my-locations.json", "no-bucket", "details.awsEndpoint", "http", "https"),
];

#[tokio::test]
async fn all_mistakes_are_reported_together_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("my-config.json", CONFIG), ("my-locations.json", LOCATIONS), ("my-accounts.json", ACCOUNTS)];
    for (name, content) in files {
        write(folder.path(), name, content).unwrap();
    }
    for subcommand in ["serve", "check"] {
        let mut command = Command::new(tools::sallyport().unwrap());
        command.arg(subcommand).env_clear().current_dir(folder.path());
        command.args(["--config", "my-config.json", "--locations", "my-locations.json", "--auth", "my-accounts.json"]);
        command.arg("--plugins").arg(tools::plugins().unwrap()).arg("--cache-dir").arg(compiled_plugins());
        command.env("S3DATA", "disk").env("LOG_LEVEL", "loud").env("REMOTE_MANAGEMENT_DISABLE", "1");
        let ran = Ran::of(&mut command).await.unwrap();
        assert_eq!((ran.code, ran.output.as_str()), (Some(2), ""), "{subcommand}: {}", ran.errors);
        for (gravity, file, location, field, what, fix) in EXPECTED {
            let location = if location.is_empty() { String::new() } else { format!(", location {location}") };
            let start = format!("{gravity}: {file}{location}, {field}: ");
            let line = ran.errors.lines().find(|line| line.starts_with(&start));
            let line = line.unwrap_or_else(|| panic!("{subcommand}: no line {start:?} in:\n{}", ran.errors));
            let (wrong, remedy) = line.split_once('→').unwrap_or_else(|| panic!("no remedy: {line}"));
            assert!(wrong.contains(what) && remedy.contains(fix), "{what:?} → {fix:?}: {line}");
        }
        let reported = ran.errors.lines().filter(|line| line.contains('→')).count();
        assert_eq!(reported, EXPECTED.len(), "reported twice, or unexpected:\n{}", ran.errors);
        assert!(ran.errors.contains("nothing was started"), "{}", ran.errors);
        assert!(!ran.errors.contains("hush"), "a secret was shown:\n{}", ran.errors);
        assert!(!folder.path().join("localMetadata/sallyport.db").exists(), "a database was made");
    }
}

#[tokio::test]
async fn each_mistake_in_credentials_is_told_once_at_the_field_to_mend() {
    let s3 = |profile: &str| {
        json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": {
            "awsEndpoint": "http://127.0.0.1:9", "bucketName": "b", "credentialsProfile": profile
        } })
    };
    // As long as Base64 is, so that the plugin, which sees a placeholder, finds nothing wrong.
    let azure = json!({ "type": "azure", "legacyAwsBehavior": false, "details": {
        "azureStorageEndpoint": "http://127.0.0.1:9/account", "azureContainerName": "container",
        "azureStorageAccountName": "account", "azureStorageAccessKey": "hush-hush-hu"
    } });
    let locations = json!({ "absent": s3("not-there"), "half": s3("half"), "empty": s3("empty"), "key": azure });
    let setup = Setup::with_locations(locations);
    let profiles = "[half]\naws_access_key_id = hush-half\n[empty]\n";
    let gateway = setup.file(".aws/credentials", profiles).start().await.unwrap();
    let told = gateway.run(&["check"]).await.unwrap().errors;
    for (location, field, what, fix) in [
        ("absent", "credentialsProfile", "has no profile not-there", "add a section [not-there]"),
        (
            "half",
            "credentialsProfile",
            "lacks aws_secret_access_key",
            "add aws_secret_access_key = … to section [half]",
        ),
        ("empty", "credentialsProfile", "is empty", "add aws_access_key_id"),
        ("key", "azureStorageAccessKey", "is not base64", "correct the credentials"),
    ] {
        let of_it = format!(", location {location}, ");
        let lines: Vec<&str> =
            told.lines().filter(|line| line.starts_with("location: ") && line.contains(&of_it)).collect();
        assert_eq!(lines.len(), 1, "{location}: {told}");
        let line = lines.concat();
        assert!(line.contains(&format!("{of_it}details.{field}: ")), "{line}");
        assert!(line.contains(what) && line.contains(fix), "{line}");
    }
    assert!(!told.contains("hush"), "a secret was shown:\n{told}");
}

#[tokio::test]
async fn check_finds_all_that_serve_would_end_with() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "no-key.pem", "nothing of PEM").unwrap();
    write(folder.path(), "metadata", "a file where the folder is to be").unwrap();
    let hooks =
        json!([{ "resource": "hooks", "type": "webhook", "url": "https://127.0.0.1:9/", "ca": "absent-ca.pem" }]);
    let setup = Setup::with_locations(json!({}))
        .config("certFilePaths", json!({ "key": "no-key.pem", "cert": "absent.pem", "ca": "absent.pem" }))
        .config("bucketNotificationDestinations", hooks)
        .environment("SALLYPORT_HEAL_INTERVAL_MS", "soon")
        .environment("SALLYPORT_RESOLVE", "nonsense");
    for subcommand in ["serve", "check"] {
        let mut command = setup.subcommand(folder.path(), &[subcommand]).unwrap();
        let ran = Ran::of(&mut command).await.unwrap();
        assert_eq!((ran.code, ran.output.as_str()), (Some(2), ""), "{subcommand}: {}", ran.errors);
        for (place, what) in [
            ("certFilePaths.key: ", "no-key.pem"),
            ("certFilePaths.cert: ", "absent.pem"),
            ("certFilePaths.ca: ", "absent.pem"),
            ("bucketNotificationDestinations.hooks: ", "absent-ca.pem"),
            ("environment, SALLYPORT_HEAL_INTERVAL_MS: ", "a number of milliseconds"),
            ("environment, SALLYPORT_RESOLVE: ", "has no ="),
            ("metadata: ", "cannot be made"),
        ] {
            let line = ran.errors.lines().find(|line| line.starts_with("error: ") && line.contains(place));
            let line = line.unwrap_or_else(|| panic!("{subcommand}: no line {place:?} in:\n{}", ran.errors));
            assert!(line.contains(what) && line.contains('→'), "{line}");
        }
    }
}

#[tokio::test]
async fn a_master_key_that_others_can_read_is_told_of_at_start_and_by_check() {
    let key = format!("{}=\n", "A".repeat(43));
    let mut gateway = Setup::with_locations(json!({})).file("metadata/master.key", &key).start().await.unwrap();
    let path = gateway.folder().join("metadata/master.key");
    for (mode, is_told) in [(0o600, false), (0o644, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        gateway.stop_and_restart().await.unwrap();
        let check = gateway.run(&["check"]).await.unwrap();
        assert_eq!(check.code, Some(0), "a warning is no mistake: {}", check.errors);
        for said in [gateway.log(), check.errors] {
            assert_eq!(
                said.contains("can read or change the master key: its mode is 644"),
                is_told,
                "{mode:o}: {said}"
            );
            assert!(!said.contains("AAAA"), "the key itself is told: {said}");
        }
    }
}
