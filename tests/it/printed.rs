//! The documentation's two locations exactly as printed, over TLS, at the clouds' own names.

use crate::walkthrough::{every_client_stores_and_reads, shows_on_azure, shows_on_s3, stays_out_of_the_data_folder};
use hyper::Method;
use sallyport_tests::client::{Call, Client, Speaks};
use sallyport_tests::commands::s3cmd;
use sallyport_tests::gateway::{ACCESS_KEY, Gateway, SECRET_KEY, Setup};
use sallyport_tests::tls::{Authority, Front};
use sallyport_tests::tools::root;
use sallyport_tests::upstream::{AZURITE_KEY, Azurite, CEPH_ACCESS_KEY, CEPH_SECRET_KEY, Ceph};
use serde_json::{Value, json};

const BUCKET_HOST: &str = "zenkobucket.s3.amazonaws.com";
const BLOB_HOST: &str = "zenkomeetups.blob.core.windows.net";

#[tokio::test]
async fn as_printed_against_a_second_sallyport_and_azurite() {
    let authority = Authority::new().unwrap();
    let cloud = cloud_with_tls(&authority).await;
    let keys = [ACCESS_KEY, SECRET_KEY];
    let backend = Client::speaking(cloud.endpoint(), keys, Speaks::Either, Some(&authority.file())).unwrap();
    make_versioned_bucket(&backend).await;
    let azurite = Azurite::with_account("zenkomeetups").await.unwrap();
    let blobs = Front::before(azurite.port(), &authority.issue(&[BLOB_HOST]).unwrap()).await.unwrap();

    let setup = as_printed(keys, port_of(&cloud), blobs.port());
    let trusting = setup.environment("SSL_CERT_FILE", authority.file().to_str().unwrap());
    let mut gateway = trusting.start().await.unwrap();
    s3cmd_walks_through(&gateway, "aws-test").await;
    s3cmd_walks_through(&gateway, "azure-test").await;
    assert!(gateway.run(&["check"]).await.unwrap().output.contains("aws-test    aws_s3      ok"));
    every_client_stores_and_reads(&gateway, "aws-test").await;
    stays_out_of_the_data_folder(&mut gateway);
}

#[tokio::test]
async fn as_printed_a_strict_server_reads_names_bytes_and_tags_at_ceph() {
    if !Ceph::is_installed() {
        eprintln!("skipped: Ceph's packages are not installed");
        return;
    }
    let authority = Authority::new().unwrap();
    let ceph = Ceph::with_host("s3.amazonaws.com").await.unwrap();
    let front = Front::before(ceph.port(), &authority.issue(&[BUCKET_HOST]).unwrap()).await.unwrap();
    let backend = ceph.client().unwrap();
    make_versioned_bucket(&backend).await;
    let azurite = Azurite::with_account("zenkomeetups").await.unwrap();
    let blobs = Front::before(azurite.port(), &authority.issue(&[BLOB_HOST]).unwrap()).await.unwrap();

    let setup = as_printed([CEPH_ACCESS_KEY, CEPH_SECRET_KEY], front.port(), blobs.port());
    let trusting = setup.environment("SSL_CERT_FILE", authority.file().to_str().unwrap());
    let mut gateway = trusting.start().await.unwrap();
    shows_on_s3(&gateway, &backend, "zenkobucket", "shown.txt").await;
    shows_on_azure(&gateway, &azurite, "zenkocontainer", "shown.txt").await;
    stays_out_of_the_data_folder(&mut gateway);
    ceph.stop().await.unwrap();
}

#[tokio::test]
async fn a_cloud_whose_authority_nobody_named_is_not_talked_to() {
    let authority = Authority::new().unwrap();
    let cloud = cloud_with_tls(&authority).await;
    let keys = [ACCESS_KEY, SECRET_KEY];
    let backend = Client::speaking(cloud.endpoint(), keys, Speaks::Either, Some(&authority.file())).unwrap();
    make_versioned_bucket(&backend).await;
    let azurite = Azurite::with_account("zenkomeetups").await.unwrap();
    let blobs = Front::before(azurite.port(), &authority.issue(&[BLOB_HOST]).unwrap()).await.unwrap();
    // The same endpoints, one pair with the authority in the location and one without.
    let file = authority.file();
    let with_bundle = |name: &str| {
        let mut location = examples()[name].clone();
        location["details"]["caBundle"] = json!(file);
        location["details"]["bucketMatch"] = json!(false);
        location
    };
    // An endpoint that is left out or empty means the cloud's own; a scheme may stand in front.
    let changed = |name: &str, field: &str, value: Value| {
        let mut location = with_bundle(name);
        location["details"][field] = value;
        location
    };
    let gateway = as_printed(keys, port_of(&cloud), blobs.port())
        .location("aws-vouched", with_bundle("aws-test"))
        .location("aws-empty", changed("aws-test", "awsEndpoint", json!("")))
        .location("aws-absent", changed("aws-test", "awsEndpoint", Value::Null))
        .location("aws-scheme", changed("aws-test", "awsEndpoint", json!("https://s3.amazonaws.com/")))
        .location("aws-path", changed("aws-test", "pathStyle", json!(true)))
        .location("aws-no-file", changed("aws-test", "caBundle", json!("/absent/ca.pem")))
        .location("azure-vouched", with_bundle("azure-test"))
        .location("azure-empty", changed("azure-test", "azureStorageEndpoint", json!("")))
        .environment("azure_vouched_AZURE_STORAGE_ACCESS_KEY", AZURITE_KEY)
        .environment("azure_empty_AZURE_STORAGE_ACCESS_KEY", AZURITE_KEY)
        .start()
        .await
        .unwrap();
    let client = gateway.client().unwrap();
    for (location, cause) in [
        ("aws-test", "invalid peer certificate"),
        ("azure-test", "invalid peer certificate"),
        ("aws-no-file", "/absent/ca.pem"),
        ("aws-vouched", ""),
        ("aws-empty", ""),
        ("aws-absent", ""),
        ("aws-scheme", ""),
        ("aws-path", ""),
        ("azure-vouched", ""),
        ("azure-empty", ""),
    ] {
        assert_eq!(client.create_bucket(location, location).await.unwrap().status, 200);
        let answer = client.put(&format!("{location}/key"), "bytes").await.unwrap();
        if cause.is_empty() {
            assert_eq!(answer.status, 200, "{location}: {}", answer.text());
        } else {
            assert_eq!((answer.status.as_u16(), answer.text().contains(location)), (503, true), "{}", answer.text());
            assert!(answer.text().contains(cause), "{}", answer.text());
        }
    }
}

fn examples() -> Value {
    let file = root().join("conf/examples/locationConfig.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// `conf/examples` as it lies there: the account's key comes by its variable, the bucket's
/// keys by the template of a profile, and the names resolve to this machine.
fn as_printed(keys: [&str; 2], bucket_port: u16, blob_port: u16) -> Setup {
    let template = std::fs::read_to_string(root().join("conf/examples/credentials")).unwrap();
    let profile = template.replace("PASTE-THE-ACCESS-KEY-HERE", keys[0]).replace("PASTE-THE-SECRET-KEY-HERE", keys[1]);
    let resolved = format!(
        "{BUCKET_HOST}=127.0.0.1:{bucket_port},s3.amazonaws.com=127.0.0.1:{bucket_port},\
         {BLOB_HOST}=127.0.0.1:{blob_port}"
    );
    Setup::with_locations(examples())
        .file(".aws/credentials", &profile)
        .environment("S3DATA", "multiple")
        .environment("azure-test_AZURE_STORAGE_ACCESS_KEY", AZURITE_KEY)
        .environment("SALLYPORT_RESOLVE", &resolved)
}

/// A Sallyport that stands in for s3.amazonaws.com, with a certificate for its bucket names.
async fn cloud_with_tls(authority: &Authority) -> Gateway {
    let issued = authority.issue(&["s3.amazonaws.com", "*.s3.amazonaws.com", "127.0.0.1"]).unwrap();
    Setup::with_locations(json!({}))
        .config("restEndpoints", json!({ "s3.amazonaws.com": "us-east-1" }))
        .config("certFilePaths", json!({ "key": issued.key, "cert": issued.certificate }))
        .start()
        .await
        .unwrap()
}

fn port_of(gateway: &Gateway) -> u16 {
    gateway.endpoint().rsplit(':').next().unwrap().parse().unwrap()
}

async fn make_versioned_bucket(backend: &Client) {
    assert_eq!(backend.create_bucket("zenkobucket", "").await.unwrap().status, 200);
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let versioning = Call::new(Method::PUT, "zenkobucket").query("versioning", "").body(enabled);
    assert_eq!(backend.send(versioning).await.unwrap().status, 200);
}

/// The commands of the documentation's page, in its order.
async fn s3cmd_walks_through(gateway: &Gateway, location: &str) {
    let body = format!("walked to {location}");
    sallyport_tests::process::write(gateway.folder(), "testput", &body).unwrap();
    let (region, bucket) = (format!("--region={location}"), format!("s3://zenko-{location}"));
    let object = format!("{bucket}/testput");
    s3cmd(gateway, &["mb", &bucket, &region]).await.unwrap();
    s3cmd(gateway, &["put", "testput", &object]).await.unwrap();
    assert!(s3cmd(gateway, &["ls", &bucket]).await.unwrap().contains(&object));
    s3cmd(gateway, &["get", "--force", &object, "testget"]).await.unwrap();
    assert_eq!(std::fs::read_to_string(gateway.folder().join("testget")).unwrap(), body);
    s3cmd(gateway, &["del", &object]).await.unwrap();
    assert!(!s3cmd(gateway, &["ls", &bucket]).await.unwrap().contains("testput"));
}
