//! The documentation's walkthrough: its two cloud locations, through the clients that people use.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::commands::{aws, boto3, rclone, s3cmd};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::process::write;
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, CEPH_ACCESS_KEY, CEPH_SECRET_KEY, Ceph, Moto};
use serde_json::{Value, json};

/// What must not be found below the data folder.
const BODY: &str = "the bytes of the walkthrough, which belong in the cloud";

#[tokio::test]
async fn aws_test_keeps_objects_in_the_cloud_under_their_own_keys() {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    let mut gateway = Setup::with_locations(aws_test(&backend, moto.port(), ["testing", "testing"], true).await)
        .start()
        .await
        .unwrap();
    shows_on_s3(&gateway, &backend, "cloud", "shown.txt").await;
    // These buckets come second to the same container: their objects get names of their own.
    every_client_stores_and_reads(&gateway, "aws-test").await;
    two_buckets_keep_their_bytes_apart(&gateway, "aws-test", "shown").await;
    assert!(!backend.keys("cloud").await.unwrap().contains(&"aws.txt".to_owned()));
    stays_out_of_the_data_folder(&mut gateway);
}

#[tokio::test]
async fn without_bucket_match_keys_on_aws_begin_with_the_bucket() {
    let moto = Moto::start().await.unwrap();
    let backend = moto.client().unwrap();
    let mut gateway = Setup::with_locations(aws_test(&backend, moto.port(), ["testing", "testing"], false).await)
        .start()
        .await
        .unwrap();
    shows_on_s3(&gateway, &backend, "cloud", "shown/shown.txt").await;
    stays_out_of_the_data_folder(&mut gateway);
}

#[tokio::test]
async fn aws_test_signs_what_a_strict_server_accepts() {
    if !Ceph::is_installed() {
        eprintln!("skipped: Ceph's packages are not installed");
        return;
    }
    let ceph = Ceph::start().await.unwrap();
    let backend = ceph.client().unwrap();
    let locations = aws_test(&backend, ceph.port(), [CEPH_ACCESS_KEY, CEPH_SECRET_KEY], true).await;
    let mut gateway = Setup::with_locations(locations).start().await.unwrap();
    shows_on_s3(&gateway, &backend, "cloud", "shown.txt").await;
    stays_out_of_the_data_folder(&mut gateway);
    ceph.stop().await.unwrap();
}

#[tokio::test]
async fn azure_test_keeps_objects_in_the_container_under_their_own_keys() {
    let azurite = Azurite::start().await.unwrap();
    let mut gateway = Setup::with_locations(azure_test(&azurite, true)).start().await.unwrap();
    shows_on_azure(&gateway, &azurite, "cloud", "shown.txt").await;
    // These buckets come second to the same container: their objects get names of their own.
    every_client_stores_and_reads(&gateway, "azure-test").await;
    two_buckets_keep_their_bytes_apart(&gateway, "azure-test", "shown-on-azure").await;
    stays_out_of_the_data_folder(&mut gateway);
}

#[tokio::test]
async fn without_bucket_match_names_on_azure_begin_with_the_bucket() {
    let azurite = Azurite::start().await.unwrap();
    let mut gateway = Setup::with_locations(azure_test(&azurite, false)).start().await.unwrap();
    shows_on_azure(&gateway, &azurite, "cloud", "shown-on-azure/shown.txt").await;
    stays_out_of_the_data_folder(&mut gateway);
}

/// The documentation's location with `https: false, pathStyle: true`, on a versioned bucket.
async fn aws_test(backend: &Client, port: u16, keys: [&str; 2], bucket_match: bool) -> Value {
    assert_eq!(backend.create_bucket("cloud", "").await.unwrap().status, 200);
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let versioning = Call::new(Method::PUT, "cloud").query("versioning", "").body(enabled);
    assert_eq!(backend.send(versioning).await.unwrap().status, 200);
    json!({ "aws-test": { "type": "aws_s3", "legacyAwsBehavior": true, "details": {
        "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": "cloud", "bucketMatch": bucket_match,
        "credentials": { "accessKey": keys[0], "secretKey": keys[1] }, "https": false, "pathStyle": true
    } } })
}

fn azure_test(azurite: &Azurite, bucket_match: bool) -> Value {
    json!({ "azure-test": { "type": "azure", "legacyAwsBehavior": false, "details": {
        "azureStorageEndpoint": azurite.endpoint(), "bucketMatch": bucket_match, "azureContainerName": "cloud",
        "azureStorageAccountName": AZURITE_ACCOUNT, "azureStorageAccessKey": AZURITE_KEY
    } } })
}

pub(crate) async fn every_client_stores_and_reads(gateway: &Gateway, location: &str) {
    let file = write(gateway.folder(), "upload.txt", BODY).unwrap();
    let file = file.to_str().unwrap();
    let region = format!("--region={location}");
    s3cmd(gateway, &[&region, "mb", "s3://by-s3cmd"]).await.unwrap();
    s3cmd(gateway, &["put", file, "s3://by-s3cmd/s3cmd.txt"]).await.unwrap();
    assert!(s3cmd(gateway, &["ls", "s3://by-s3cmd"]).await.unwrap().contains("s3://by-s3cmd/s3cmd.txt"));
    s3cmd(gateway, &["get", "--force", "s3://by-s3cmd/s3cmd.txt", "got-s3cmd"]).await.unwrap();
    s3cmd(gateway, &["del", "s3://by-s3cmd/s3cmd.txt"]).await.unwrap();
    assert!(!s3cmd(gateway, &["ls", "s3://by-s3cmd"]).await.unwrap().contains("s3cmd.txt"));

    let configuration = format!("LocationConstraint={location}");
    aws(gateway, &["s3api", "create-bucket", "--bucket", "by-aws", "--create-bucket-configuration", &configuration])
        .await
        .unwrap();
    aws(gateway, &["s3", "cp", file, "s3://by-aws/aws.txt"]).await.unwrap();
    aws(gateway, &["s3", "cp", "s3://by-aws/aws.txt", "got-aws"]).await.unwrap();

    let script = format!(
        "s3.create_bucket(Bucket='by-boto3', CreateBucketConfiguration={{'LocationConstraint': '{location}'}})\n\
         s3.put_object(Bucket='by-boto3', Key='boto3.txt', Body=b'{BODY}')\n\
         print(s3.get_object(Bucket='by-boto3', Key='boto3.txt')['Body'].read().decode())\n\
         s3.delete_objects(Bucket='by-boto3', Delete={{'Objects': [{{'Key': 'boto3.txt'}}]}})\n\
         print(s3.list_objects_v2(Bucket='by-boto3')['KeyCount'])\n"
    );
    assert_eq!(boto3(gateway, &script).await.unwrap().trim(), format!("{BODY}\n0"));

    rclone(gateway, &["copyto", file, "gateway:by-aws/rclone.txt"]).await.unwrap();
    assert_eq!(rclone(gateway, &["cat", "gateway:by-aws/rclone.txt"]).await.unwrap(), BODY);
    for got in ["got-s3cmd", "got-aws"] {
        assert_eq!(std::fs::read_to_string(gateway.folder().join(got)).unwrap(), BODY, "{got}");
    }
}

/// Under `bucketMatch: true` both buckets would write the place `shown.txt`.
async fn two_buckets_keep_their_bytes_apart(gateway: &Gateway, location: &str, first: &str) {
    let client = gateway.client().unwrap();
    let created = client.create_bucket("second", location).await.unwrap();
    assert_eq!(created.status, 200);
    assert!(created.header("x-sallyport-warning").contains(first), "{:?}", created.header("x-sallyport-warning"));
    let put = Call::new(Method::PUT, "second/shown.txt").body("the other bytes");
    assert_eq!(client.send(put).await.unwrap().status, 200);
    assert_eq!(client.get(&format!("{first}/shown.txt")).await.unwrap().text(), BODY);
    assert_eq!(client.get("second/shown.txt").await.unwrap().text(), "the other bytes");
    assert_eq!(client.delete("second/shown.txt").await.unwrap().status, 204);
    assert_eq!(client.get(&format!("{first}/shown.txt")).await.unwrap().text(), BODY);
}

async fn put_with_everything(gateway: &Gateway, location: &str, bucket: &str) {
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket(bucket, location).await.unwrap().status, 200);
    let put = Call::new(Method::PUT, &format!("{bucket}/shown.txt"))
        .header("content-type", "text/x-walk")
        .header("cache-control", "max-age=7")
        .header("x-amz-meta-colour", "green")
        .header("x-amz-tagging", "team=red")
        .body(BODY);
    let answer = client.send(put).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

pub(crate) async fn shows_on_s3(gateway: &Gateway, backend: &Client, container: &str, name: &str) {
    put_with_everything(gateway, "aws-test", "shown").await;
    let path = format!("{container}/{name}");
    let answer = backend.get(&path).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, BODY), "{:?}", backend.keys(container).await);
    assert_eq!(answer.header("content-type"), "text/x-walk");
    assert_eq!(answer.header("cache-control"), "max-age=7");
    assert_eq!(answer.header("x-amz-meta-colour"), "green");
    let tags = backend.send(Call::new(Method::GET, &path).query("tagging", "")).await.unwrap();
    assert_eq!((tags.elements("Key"), tags.elements("Value")), (vec!["team".into()], vec!["red".into()]));
    assert_eq!(gateway.client().unwrap().get("shown/shown.txt").await.unwrap().text(), BODY);
}

pub(crate) async fn shows_on_azure(gateway: &Gateway, azurite: &Azurite, container: &str, name: &str) {
    put_with_everything(gateway, "azure-test", "shown-on-azure").await;
    let reader = azurite.reader().unwrap();
    let answer = reader.get(container, name).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, BODY), "{:?}", reader.names(container).await);
    assert_eq!(answer.header("content-type"), "text/x-walk");
    assert_eq!(answer.header("cache-control"), "max-age=7");
    assert_eq!(answer.header("x-ms-meta-colour"), "green");
    let tags = reader.tags(container, name).await.unwrap();
    assert_eq!((tags.elements("Key"), tags.elements("Value")), (vec!["team".into()], vec!["red".into()]));
    assert_eq!(gateway.client().unwrap().get("shown-on-azure/shown.txt").await.unwrap().text(), BODY);
}

/// The metadata is elsewhere, so every byte below the data folder would be an object's.
pub(crate) fn stays_out_of_the_data_folder(gateway: &mut Gateway) {
    assert_eq!(gateway.bytes_below_data().unwrap(), 0, "object bytes below the data folder:\n{}", gateway.log());
}
