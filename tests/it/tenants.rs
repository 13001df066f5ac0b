//! Locations that belong to some accounts: the others cannot see, use or learn of them.

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::Moto;
use serde_json::{Value, json};

const LISAS_ARN: &str = "arn:aws:iam::123456789013:root";
/// What an object names its location with.
const OBJECT_LOCATION: &str = "x-amz-meta-scal-location-constraint";

fn folder(accounts: Value) -> Value {
    json!({ "type": "local", "legacyAwsBehavior": false, "details": {}, "accounts": accounts })
}

fn lisa(gateway: &Gateway) -> Client {
    Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap()
}

async fn allow(owner: &Client, bucket: &str, principal: Value, actions: Value) {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": format!("arn:aws:s3:::{bucket}/*")
    }] });
    let call = Call::new(Method::PUT, bucket).query("policy", "").body(policy.to_string());
    assert_eq!(owner.send(call).await.unwrap().status, 204);
}

fn lifecycle(bucket: &str, class: &str) -> Call {
    let rule = format!(
        "<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
         <Transition><Days>1</Days><StorageClass>{class}</StorageClass></Transition></Rule></LifecycleConfiguration>"
    );
    Call::new(Method::PUT, bucket).query("lifecycle", "").body(rule)
}

/// Status and document, without what differs from request to request and the name asked for.
fn shape(answer: &Answer, name: &str) -> (u16, String) {
    let mut text = answer.text();
    for element in ["RequestId", "HostId"] {
        for value in answer.elements(element) {
            text = text.replace(&value, "");
        }
    }
    (answer.status.as_u16(), text.replace(name, "NAME"))
}

#[tokio::test]
async fn a_location_of_one_account_is_to_others_as_if_it_was_not_there() {
    let gateway = Setup::with_locations(json!({ "barts": folder(json!(["Bart"])) })).start().await.unwrap();
    let (bart, lisa) = (gateway.client().unwrap(), lisa(&gateway));
    assert_eq!(bart.create_bucket("of-bart", "barts").await.unwrap().status, 200);
    assert_eq!(lisa.create_bucket("of-lisa", "").await.unwrap().status, 200);
    assert_eq!(lisa.put("of-lisa/key", "bytes").await.unwrap().status, 200);

    let refused = async |what: &str, ask: &dyn Fn(&str) -> Call| {
        let theirs = shape(&lisa.send(ask("barts")).await.unwrap(), "barts");
        let unknown = shape(&lisa.send(ask("nowhere")).await.unwrap(), "nowhere");
        assert!(theirs.0 >= 400, "{what}: {theirs:?}");
        assert_eq!(theirs, unknown, "{what}");
    };
    refused("a bucket", &|location| {
        let body = format!(
            "<CreateBucketConfiguration><LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
        );
        Call::new(Method::PUT, "another").body(body)
    })
    .await;
    refused("an object", &|location| Call::new(Method::PUT, "of-lisa/x").header(OBJECT_LOCATION, location)).await;
    refused("a class", &|location| Call::new(Method::PUT, "of-lisa/x").header("x-amz-storage-class", location)).await;
    refused("an upload", &|location| {
        Call::new(Method::POST, "of-lisa/x").query("uploads", "").header(OBJECT_LOCATION, location)
    })
    .await;
    refused("a copy", &|location| {
        Call::new(Method::PUT, "of-lisa/x")
            .header("x-amz-copy-source", "of-lisa/key")
            .header("x-amz-storage-class", location)
    })
    .await;
    refused("a transition", &|location| lifecycle("of-lisa", location)).await;
    refused("a question", &|location| {
        Call::new(Method::GET, "of-lisa/key").header("x-amz-location-constraint", location)
    })
    .await;

    // Its owner may all of that.
    assert_eq!(bart.create_bucket("elsewhere", "").await.unwrap().status, 200);
    let put = Call::new(Method::PUT, "elsewhere/key").header(OBJECT_LOCATION, "barts").body("bytes");
    assert_eq!(bart.send(put).await.unwrap().status, 200);
    let copy = Call::new(Method::PUT, "elsewhere/copy")
        .header("x-amz-copy-source", "of-bart/key")
        .header("x-amz-storage-class", "barts");
    assert_eq!(bart.put("of-bart/key", "bytes").await.unwrap().status, 200);
    assert_eq!(bart.send(copy).await.unwrap().status, 200);
    assert_eq!(bart.send(lifecycle("elsewhere", "barts")).await.unwrap().status, 200);
    let there = Call::new(Method::GET, "elsewhere/key").header("x-amz-location-constraint", "barts");
    assert_eq!(bart.send(there).await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn whoever_asks_a_bucket_works_as_its_owner() {
    let locations = json!({ "barts": folder(json!(["Bart"])), "lisas": folder(json!(["123456789013"])) });
    let gateway = Setup::with_locations(locations).start().await.unwrap();
    let (bart, lisa) = (gateway.client().unwrap(), lisa(&gateway));
    assert_eq!(bart.create_bucket("of-bart", "barts").await.unwrap().status, 200);
    assert_eq!(lisa.create_bucket("of-lisa", "lisas").await.unwrap().status, 200);
    allow(&bart, "of-bart", json!({ "AWS": LISAS_ARN }), json!(["s3:GetObject", "s3:PutObject"])).await;

    // Another account writes and reads, and its own locations are not the bucket's.
    assert_eq!(lisa.put("of-bart/key", "bytes").await.unwrap().status, 200);
    assert_eq!(lisa.get("of-bart/key").await.unwrap().text(), "bytes");
    let mixed = Call::new(Method::PUT, "of-bart/x").header(OBJECT_LOCATION, "lisas").body("x");
    assert_eq!(lisa.send(mixed).await.unwrap().code(), "InvalidArgument");
    let named = Call::new(Method::PUT, "of-bart/x").header(OBJECT_LOCATION, "barts").body("x");
    assert_eq!(lisa.send(named).await.unwrap().status, 200);
    // A copy reads as one owner and writes as the other.
    let copy = Call::new(Method::PUT, "of-lisa/copy").header("x-amz-copy-source", "of-bart/key");
    assert_eq!(lisa.send(copy).await.unwrap().status, 200);
    assert_eq!(lisa.get("of-lisa/copy").await.unwrap().text(), "bytes");
    // Nobody in particular reads as the owner, too.
    allow(&bart, "of-bart", json!("*"), json!("s3:GetObject")).await;
    assert_eq!(bart.put("of-bart/own", "bytes").await.unwrap().status, 200);
    assert_eq!(bart.send_unsigned(Call::new(Method::GET, "of-bart/own")).await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn a_fault_of_a_location_is_told_to_its_accounts_alone() {
    // A port that nobody listens on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let down = json!({ "type": "aws_s3", "legacyAwsBehavior": false, "accounts": ["Bart"], "details": {
        "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": "secret-container", "https": false,
        "pathStyle": true, "credentials": { "accessKey": "a", "secretKey": "s" }
    } });
    let gateway = Setup::with_locations(json!({ "barts-cloud": down })).start().await.unwrap();
    let (bart, lisa) = (gateway.client().unwrap(), lisa(&gateway));
    assert_eq!(bart.create_bucket("of-bart", "barts-cloud").await.unwrap().status, 200);
    allow(&bart, "of-bart", json!("*"), json!("s3:PutObject")).await;
    let told = bart.put("of-bart/key", "x").await.unwrap();
    assert!(told.status == 503 && told.text().contains("barts-cloud"), "{}", told.text());
    let anonymous = Call::new(Method::PUT, "of-bart/key").body("x");
    for answer in [lisa.put("of-bart/key", "x").await.unwrap(), bart.send_unsigned(anonymous).await.unwrap()] {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(!answer.text().contains("barts-cloud"), "{}", answer.text());
        assert!(!answer.text().contains(&port.to_string()), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_location_that_was_given_to_others_is_gone_for_who_had_it() {
    let setup = Setup::with_locations(json!({ "common": folder(json!(["Bart", "Lisa"])) }));
    let mut gateway = setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("of-bart", "common").await.unwrap().status, 200);
    assert_eq!(client.put("of-bart/key", "bytes").await.unwrap().status, 200);
    assert_eq!(client.create_bucket("mine", "").await.unwrap().status, 200);

    gateway.change(|setup| setup.location("common", folder(json!(["Lisa"]))));
    gateway.stop_and_restart().await.unwrap();
    let (bart, lisa) = (gateway.client().unwrap(), lisa(&gateway));
    for call in [
        Call::new(Method::GET, "of-bart/key"),
        Call::new(Method::PUT, "of-bart/new").body("x"),
        Call::new(Method::PUT, "mine/copy").header("x-amz-copy-source", "of-bart/key"),
    ] {
        let answer = bart.send(call.clone()).await.unwrap();
        assert_eq!(answer.status, 503, "{call:?}: {}", answer.text());
        assert!(!answer.text().contains("common"), "{}", answer.text());
    }
    // The other account goes on, and the old owner can still let go of what it has.
    assert_eq!(lisa.create_bucket("of-lisa", "common").await.unwrap().status, 200);
    assert_eq!(lisa.put("of-lisa/key", "hers").await.unwrap().status, 200);
    assert_eq!(bart.delete("of-bart/key").await.unwrap().status, 204);
    assert_eq!(bart.delete("of-bart").await.unwrap().status, 204);
    assert_eq!(lisa.get("of-lisa/key").await.unwrap().text(), "hers");
}

#[tokio::test]
async fn tenants_bring_locations_in_files_of_their_own() {
    let moto = Moto::start().await.unwrap();
    let (_, mut cloud) = moto.location(false, false).await.unwrap();
    cloud["details"]["awsEndpoint"] = json!(format!("localstack.test:{}", moto.port()));
    let own = json!({
        "lisas": cloud,
        "wants-a-folder": { "type": "local", "legacyAwsBehavior": false, "details": {} },
        "reads-the-host": { "type": "local", "legacyAwsBehavior": false, "details": { "path": "/etc" } },
        "takes-a-profile": { "type": "aws_s3", "legacyAwsBehavior": false,
            "details": { "awsEndpoint": "s3.example.com", "bucketName": "b", "credentialsProfile": "operators" } },
        "us-east-1": { "type": "local", "details": {} },
    });
    let setup = Setup::with_locations(json!({}))
        .config("tenantLocations", json!("tenants"))
        .file("tenants/Lisa.json", &own.to_string())
        .file("tenants/Bart.json", "{ broken")
        .file(
            ".aws/credentials",
            "[operators]\naws_access_key_id = ours\naws_secret_access_key = operators-own-secret\n",
        );
    // As for a name that means a public address.
    let resolved = format!("localstack.test=127.0.0.1:{}", moto.port());
    let gateway = setup.environment("SALLYPORT_RESOLVE", &resolved).start().await.unwrap();
    let (bart, lisa) = (gateway.client().unwrap(), lisa(&gateway));
    assert_eq!(lisa.create_bucket("of-lisa", "lisas").await.unwrap().status, 200);
    let put = lisa.put("of-lisa/key", "bytes").await.unwrap();
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(bart.create_bucket("of-bart", "lisas").await.unwrap().code(), "InvalidLocationConstraint");
    assert_eq!(bart.create_bucket("of-bart", "").await.unwrap().status, 200);
    // Nothing of this machine or its operator's credentials is for such a file.
    for location in ["reads-the-host", "takes-a-profile", "wants-a-folder"] {
        assert_eq!(lisa.create_bucket(location, location).await.unwrap().status, 200);
        let refused = lisa.put(&format!("{location}/key"), "x").await.unwrap();
        assert!(refused.status == 503 && refused.text().contains("tenant"), "{}", refused.text());
    }
    let ran = gateway.run(&["check"]).await.unwrap();
    for text in ["Bart.json", "not JSON", "details.path", "details.credentialsProfile", "another file has a location"] {
        assert!(ran.errors.contains(text), "{text}: {}", ran.errors);
    }
    assert!(!ran.errors.contains("operators-own-secret"), "{}", ran.errors);
    assert!(ran.output.contains("lisas belongs to Lisa alone"), "{}", ran.output);
}

#[tokio::test]
async fn check_says_who_shares_what_and_who_is_unknown() {
    let locations = json!({
        "common": folder(json!(["Bart", "Lisa"])),
        "mistaken": folder(json!(["Bart", "Nelson"])),
    });
    let gateway = Setup::with_locations(locations).start().await.unwrap();
    let ran = gateway.run(&["check"]).await.unwrap();
    for line in [
        "all accounts share us-east-1, and are one trust domain there",
        "Bart and Lisa share common, and are one trust domain there",
        "mistaken belongs to Bart alone",
    ] {
        assert!(ran.output.contains(line), "{line}: {}", ran.output);
    }
    assert!(
        ran.errors.contains("location mistaken, accounts.1: Nelson is no account → write the name"),
        "{}",
        ran.errors
    );
    // A location with a mistake in its accounts is open to nobody by mistake.
    let other = lisa(&gateway).create_bucket("of-lisa", "mistaken").await.unwrap();
    assert_eq!(other.code(), "InvalidLocationConstraint");
    let own = gateway.client().unwrap();
    assert_eq!(own.create_bucket("of-bart", "mistaken").await.unwrap().status, 200);
    let put = own.put("of-bart/key", "x").await.unwrap();
    assert!(put.status == 503 && put.text().contains("Nelson is no account"), "{}", put.text());
}
