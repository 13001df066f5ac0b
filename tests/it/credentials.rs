//! The documentation's lines on the keys of `aws_s3` locations.

use sallyport_tests::client::Client;
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::process::write;
use sallyport_tests::tls::{Authority, Front};
use sallyport_tests::upstream::Rclone;
use sallyport_tests::wait::until;
use serde_json::{Value, json};

const INLINE: [&str; 2] = ["rcloneKey", "rcloneSecret"];

/// A location on rclone, which checks signatures and keeps no versions.
fn location(upstream: &Rclone, keys: Value) -> Value {
    let mut details = json!({
        "awsEndpoint": format!("127.0.0.1:{}", upstream.port()), "bucketName": "cloud", "bucketMatch": false,
        "https": false, "pathStyle": true, "supportsVersioning": false
    });
    details.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": details })
}

fn profile(name: &str, [access, secret]: [&str; 2]) -> String {
    format!("[{name}]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
}

async fn upstream() -> Rclone {
    let rclone = Rclone::start().await.unwrap();
    assert_eq!(rclone.client().unwrap().create_bucket("cloud", "").await.unwrap().status, 200);
    rclone
}

#[tokio::test]
async fn each_way_to_give_keys_works_or_says_what_is_missing() {
    let rclone = upstream().await;
    let inline = |keys: [&str; 2]| json!({ "accessKey": keys[0], "secretKey": keys[1] });
    let file = profile("good", INLINE) + &profile("wrong", ["rcloneKey", "hush-wrong-hush"]) + "[empty]\n";
    let scheme = json!({
        "awsEndpoint": format!("http://127.0.0.1:{}", rclone.port()), "https": null, "credentials": inline(INLINE)
    });
    let mut gateway = Setup::with_locations(json!({
        "scheme": location(&rclone, scheme),
        "inline": location(&rclone, json!({ "credentials": inline(INLINE) })),
        "profile": location(&rclone, json!({ "credentialsProfile": "good" })),
        "both": location(&rclone, json!({ "credentialsProfile": "good", "credentials": inline(["x", "hush-beside"]) })),
        "neither": location(&rclone, json!({})),
        "unknown": location(&rclone, json!({ "credentialsProfile": "not-there" })),
        "empty": location(&rclone, json!({ "credentialsProfile": "empty" })),
        "wrong": location(&rclone, json!({ "credentialsProfile": "wrong" })),
    }))
    .file(".aws/credentials", &file)
    .environment("SALLYPORT_HEAL_INTERVAL_MS", "300")
    .start()
    .await
    .unwrap();
    let client = gateway.client().unwrap();
    for name in ["scheme", "inline", "profile", "both"] {
        assert_eq!(store(&client, name).await, (200, String::new()), "{name}");
    }
    let refusals = [
        ("neither", "credentials"),
        ("unknown", "has no profile not-there"),
        ("empty", "profile empty of"),
        ("wrong", "answered 403"),
    ];
    let log = gateway.log();
    for (name, cause) in refusals {
        let (status, text) = store(&client, name).await;
        assert_eq!(status, 503, "{name}: {text}");
        assert!(text.contains(name) && text.contains(cause), "{name}: {text}");
        let told =
            log.lines().filter(|line| line.starts_with("location:") && line.contains(&format!("location {name},")));
        let told: Vec<_> = told.chain(log.lines().filter(|line| line.contains(&format!("location {name}:")))).collect();
        assert!(told.iter().any(|line| line.contains(cause) && line.contains('→')), "{name}: {told:?}\n{log}");
    }
    let both = log.lines().find(|line| line.starts_with("warning:") && line.contains("location both"));
    assert!(both.is_some_and(|line| line.contains("wins over credentials.accessKey")), "{log}");
    assert!(!log.contains("hush"), "a secret was logged:\n{log}");

    write(gateway.folder(), ".aws/credentials", &(file + &profile("not-there", INLINE))).unwrap();
    heals(&gateway, &["unknown"]).await;
    // What somebody mends in the file, and what nobody does, are told apart.
    assert_eq!(store(&client, "neither").await.0, 503);
}

#[tokio::test]
async fn an_absent_credentials_file_is_named_and_read_once_it_is_there() {
    let rclone = upstream().await;
    let setup = Setup::with_locations(json!({ "cloud": location(&rclone, json!({ "credentialsProfile": "good" })) }))
        .environment("SALLYPORT_HEAL_INTERVAL_MS", "300");
    for (variable, file) in [(None, ".aws/credentials"), (Some("AWS_SHARED_CREDENTIALS_FILE"), "elsewhere/keys")] {
        let mut setup = setup.clone();
        if let Some(variable) = variable {
            // Relative to where the server runs.
            setup = setup.environment(variable, file);
        }
        let mut gateway = setup.start().await.unwrap();
        let (status, text) = store(&gateway.client().unwrap(), "cloud").await;
        assert_eq!(status, 503, "{text}");
        // The value of a variable is not told, also where it is a path.
        let named = variable.unwrap_or(file);
        assert!(text.contains("cloud") && text.contains(named) && text.contains("cannot be read"), "{text}");
        assert!(gateway.log().contains("with a section [good]"), "{}", gateway.log());
        write(gateway.folder(), file, &profile("good", INLINE)).unwrap();
        heals(&gateway, &["cloud"]).await;
        // Rotated keys are taken up as well, in either direction.
        write(gateway.folder(), file, &profile("good", ["rcloneKey", "another"])).unwrap();
        until("the rotated key was not read", async || store(&gateway.client().unwrap(), "cloud").await.0 == 503).await;
        write(gateway.folder(), file, &profile("good", INLINE)).unwrap();
        heals(&gateway, &["cloud"]).await;
    }
}

#[tokio::test]
async fn other_authorities_are_trusted_once_they_are_in_the_file() {
    let rclone = upstream().await;
    let (right, wrong) = (Authority::new().unwrap(), Authority::new().unwrap());
    let front = Front::before(rclone.port(), &right.issue(&["127.0.0.1"]).unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    std::fs::copy(wrong.file(), &file).unwrap();
    let mut cloud = location(&rclone, json!({ "credentials": { "accessKey": INLINE[0], "secretKey": INLINE[1] } }));
    let own = json!({
        "awsEndpoint": format!("127.0.0.1:{}", front.port()), "https": true, "caBundle": file.to_str().unwrap()
    });
    cloud["details"].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    let gateway = Setup::with_locations(json!({ "cloud": cloud }))
        .environment("SALLYPORT_HEAL_INTERVAL_MS", "300")
        .start()
        .await
        .unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(store(&client, "cloud").await.0, 503);
    std::fs::copy(right.file(), &file).unwrap();
    heals(&gateway, &["cloud"]).await;
    // Who is taken out is not trusted any more, though connections are open.
    std::fs::copy(wrong.file(), &file).unwrap();
    until("the authorities were not read again", async || store(&client, "cloud").await.0 == 503).await;
}

/// Status and text of a PUT into a bucket of that location's name.
async fn store(client: &Client, location: &str) -> (u16, String) {
    let created = client.create_bucket(location, location).await.unwrap();
    assert!([200, 409].contains(&created.status.as_u16()), "{}", created.text());
    let answer = client.put(&format!("{location}/key"), "bytes").await.unwrap();
    (answer.status.as_u16(), answer.text())
}

async fn heals(gateway: &Gateway, locations: &[&str]) {
    let client = gateway.client().unwrap();
    for location in locations {
        until(location, async || store(&client, location).await.0 == 200).await;
    }
}
