//! Keys in an external KMS, which speaks AWS's protocol.

use hyper::Method;
use sallyport_tests::chaos::{Chaos, Mood};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::commands::boto3;
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::Moto;
use serde_json::json;

const SECRET: &str = "a secret of the KMS";

/// A gateway before its keys are anywhere else than in its own folder.
async fn start() -> (Moto, Chaos, Gateway) {
    let moto = Moto::start().await.unwrap();
    let chaos = Chaos::before(moto.port()).await.unwrap();
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    assert_eq!(gateway.client().unwrap().create_bucket("bucket", "").await.unwrap().status, 200);
    (moto, chaos, gateway)
}

/// Goes on with the KMS's keys.
fn outside(setup: Setup, port: u16) -> Setup {
    setup
        .environment("SALLYPORT_KMS_ENDPOINT", &format!("http://127.0.0.1:{port}"))
        .environment("SALLYPORT_KMS_REGION", "eu-west-1")
        .environment("SALLYPORT_KMS_ACCESS_KEY_ID", "testing")
        .environment("SALLYPORT_KMS_SECRET_ACCESS_KEY", SECRET)
        .environment("SALLYPORT_KMS_KEY", "alias/sallyport")
}

/// Runs a script with a client of the KMS, `kms`.
async fn manage(gateway: &Gateway, moto: &Moto, script: &str) -> String {
    let client = format!(
        "kms = boto3.client('kms', endpoint_url='http://127.0.0.1:{}', region_name='eu-west-1', \
         aws_access_key_id='testing', aws_secret_access_key='testing')\n",
        moto.port()
    );
    boto3(gateway, &(client + script)).await.unwrap().trim().to_owned()
}

async fn put(client: &Client, key: &str, method: &str, kms_key: &str) -> Answer {
    let call = Call::new(Method::PUT, &format!("bucket/{key}")).header("x-amz-server-side-encryption", method);
    let call =
        if kms_key.is_empty() { call } else { call.header("x-amz-server-side-encryption-aws-kms-key-id", kms_key) };
    client.send(call.body(key.to_owned())).await.unwrap()
}

#[tokio::test]
async fn an_external_service_wraps_and_what_was_wrapped_before_moves_there() {
    let (moto, chaos, mut gateway) = start().await;
    let client = gateway.client().unwrap();
    assert_eq!(put(&client, "embedded", "AES256", "").await.status, 200);
    let keys = "one = kms.create_key()['KeyMetadata']\nkms.create_alias(AliasName='alias/sallyport', \
                TargetKeyId=one['KeyId'])\nprint(kms.create_key()['KeyMetadata']['Arn'])";
    let arn = manage(&gateway, &moto, keys).await;
    gateway.stop().await.unwrap();
    gateway.change(|setup| outside(setup, chaos.port()));
    gateway.restart().await.unwrap();

    let client = gateway.client().unwrap();
    assert_eq!(chaos.requests(), 0, "nobody is asked before a key is needed");
    assert_eq!(client.get("bucket/embedded").await.unwrap().text(), "embedded");
    assert_eq!(put(&client, "sse-s3", "AES256", "").await.status, 200);
    assert_eq!(put(&client, "default", "aws:kms", "").await.status, 200);
    let named = put(&client, "named", "aws:kms", &arn).await;
    assert_eq!(named.header("x-amz-server-side-encryption-aws-kms-key-id"), arn, "{}", named.text());
    let absent = put(&client, "absent", "aws:kms", "alias/absent").await;
    assert_eq!((absent.status.as_u16(), absent.code().as_str()), (400, "KMS.NotFoundException"));

    // Without its own keys the gateway reads what the service opens, and nothing else.
    gateway.stop().await.unwrap();
    let own = gateway.folder().join("metadata/keys.json");
    let aside = gateway.folder().join("aside.json");
    std::fs::rename(&own, &aside).unwrap();
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    for key in ["sse-s3", "default", "named"] {
        assert_eq!(client.get(&format!("bucket/{key}")).await.unwrap().text(), key);
    }
    assert_ne!(client.get("bucket/embedded").await.unwrap().status, 200);
    gateway.stop().await.unwrap();
    std::fs::rename(&aside, &own).unwrap();
    let ran = gateway.run(&["key", "rewrap"]).await.unwrap();
    assert_eq!(ran.code, Some(0), "{}{}", ran.output, ran.errors);
    assert!(ran.output.contains("1 data keys wrapped anew, 3 as they were, 0 failed"), "{}", ran.output);
    std::fs::remove_file(&own).unwrap();
    gateway.restart().await.unwrap();
    assert_eq!(gateway.client().unwrap().get("bucket/embedded").await.unwrap().text(), "embedded");
    assert!(!gateway.log().contains(SECRET));
}

#[tokio::test]
async fn a_service_that_is_down_or_refuses_costs_only_what_needs_its_keys() {
    let (moto, chaos, mut gateway) = start().await;
    let make = "one = kms.create_key()['KeyMetadata']\nkms.create_alias(AliasName='alias/sallyport', \
                TargetKeyId=one['KeyId'])";
    manage(&gateway, &moto, make).await;
    gateway.stop().await.unwrap();
    gateway.change(|setup| outside(setup, chaos.port()));
    gateway.restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(put(&client, "sealed", "AES256", "").await.status, 200);
    assert_eq!(client.put("bucket/plain", "plain").await.unwrap().status, 200);

    // A connection that is kept would stay honest.
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    chaos.turn(Mood::CutAnswer(1));
    let asked = chaos.requests();
    let down = client.get("bucket/sealed").await.unwrap();
    assert_eq!((down.status.as_u16(), down.code().as_str()), (503, "ServiceUnavailable"), "{}", down.text());
    assert_eq!(chaos.requests() - asked, 3, "a passing failure is worth three tries");
    chaos.turn(Mood::status(503));
    assert_eq!(put(&client, "more", "AES256", "").await.status, 503);
    assert_eq!(client.get("bucket/plain").await.unwrap().text(), "plain");
    let json = "content-type: application/x-amz-json-1.1\r\n";
    chaos.turn(Mood::answer(400, json, "{\"__type\":\"AccessDeniedException\"}"));
    let denied = client.get("bucket/sealed").await.unwrap();
    assert_eq!((denied.status.as_u16(), denied.code().as_str()), (403, "AccessDenied"));
    chaos.turn(Mood::answer(400, json, "{\"__type\":\"com.amazonaws.kms#DisabledException\"}"));
    let disabled = client.get("bucket/sealed").await.unwrap();
    assert_eq!((disabled.status.as_u16(), disabled.code().as_str()), (400, "KMS.DisabledException"));
    chaos.turn(Mood::answer(200, json, "not JSON"));
    assert_eq!(client.get("bucket/sealed").await.unwrap().status, 503);
    chaos.turn(Mood::Honest);
    assert_eq!(client.get("bucket/sealed").await.unwrap().text(), "sealed");

    let log = gateway.log();
    assert!(log.contains("key service failed") && !log.contains(SECRET), "{log}");
}
