//! Sallyport's own listener: TLS, HTTP/2, and what comes over plain sockets.

use http::Version;
use sallyport_tests::client::{Client, Speaks};
use sallyport_tests::commands::{aws, boto3, rclone, s3cmd};
use sallyport_tests::gateway::{ACCESS_KEY, Gateway, SECRET_KEY, Setup};
use sallyport_tests::process::write;
use sallyport_tests::tls::Authority;
use serde_json::json;
use std::path::Path;

const KEYS: [&str; 2] = [ACCESS_KEY, SECRET_KEY];

#[tokio::test]
async fn tls_serves_both_protocols_to_whoever_trusts_its_authority() {
    let authority = Authority::new().unwrap();
    let issued = authority.issue(&["localhost", "127.0.0.1", "*.localhost"]).unwrap();
    let gateway = Setup::with_locations(json!({}))
        .config("certFilePaths", json!({ "key": issued.key, "cert": issued.certificate, "ca": authority.file() }))
        .start()
        .await
        .unwrap();
    let (endpoint, trusted) = (gateway.endpoint(), authority.file());
    assert!(endpoint.starts_with("https://127.0.0.1:"), "{endpoint}");
    let large = vec![7_u8; 3 << 20];
    for (bucket, speaks, version) in [
        ("either", Speaks::Either, Version::HTTP_2),
        ("http1", Speaks::Http1, Version::HTTP_11),
        ("http2", Speaks::Http2, Version::HTTP_2),
    ] {
        let client = Client::speaking(endpoint, KEYS, speaks, Some(&trusted)).unwrap();
        let created = client.create_bucket(bucket, "").await.unwrap();
        assert_eq!((created.status.as_u16(), created.version), (200, version), "{bucket}: {}", created.text());
        assert_eq!(client.put(&format!("{bucket}/key"), large.clone()).await.unwrap().status, 200, "{bucket}");
        let answer = client.get(&format!("{bucket}/key")).await.unwrap();
        assert_eq!((answer.version, answer.body.len()), (version, large.len()), "{bucket}");
        assert!(answer.body == large, "{bucket}");
    }
    let doubting = Client::speaking(endpoint, KEYS, Speaks::Either, None).unwrap();
    assert!(doubting.get("either/key").await.is_err(), "a certificate that nobody vouches for was taken");
    let plain = Client::new(&endpoint.replace("https", "http"), ACCESS_KEY, SECRET_KEY).unwrap();
    assert!(plain.get("either/key").await.is_err(), "plain HTTP was answered on a TLS port");
    every_client_comes_in(&gateway, &trusted).await;
}

#[tokio::test]
async fn http2_works_without_tls_by_prior_knowledge_and_many_requests_share_a_connection() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = Client::speaking(gateway.endpoint(), KEYS, Speaks::Http2, None).unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().version, Version::HTTP_2);
    let puts = (0..32).map(|number| {
        let client = client.clone();
        async move { client.put(&format!("bucket/{number}"), format!("body {number}")).await.unwrap().status }
    });
    assert!(futures::future::join_all(puts).await.into_iter().all(|status| status == 200));
    for number in 0..32 {
        assert_eq!(client.get(&format!("bucket/{number}")).await.unwrap().text(), format!("body {number}"));
    }
}

#[tokio::test]
async fn ssl_makes_a_certificate_that_lasts() {
    let setup = Setup::with_locations(json!({})).environment("SSL", "1");
    let mut gateway = setup.start().await.unwrap();
    let authority = gateway.folder().join("metadata/tls/ca.crt");
    let first = std::fs::read(&authority).unwrap();
    for _ in 0..2 {
        let client = Client::speaking(gateway.endpoint(), KEYS, Speaks::Either, Some(&authority)).unwrap();
        assert_eq!(client.send(list_buckets()).await.unwrap().status, 200);
        gateway.stop_and_restart().await.unwrap();
    }
    assert_eq!(std::fs::read(&authority).unwrap(), first);
}

fn list_buckets() -> sallyport_tests::client::Call {
    sallyport_tests::client::Call::new(hyper::Method::GET, "")
}

async fn every_client_comes_in(gateway: &Gateway, authority: &Path) {
    const BODY: &str = "over TLS";
    let trusted = authority.to_str().unwrap();
    let file = write(gateway.folder(), "upload.txt", BODY).unwrap();
    let file = file.to_str().unwrap();
    let s3cmd_with = |arguments: &[&str]| {
        let all: Vec<String> =
            ["--ssl", "--ca-certs", trusted].iter().chain(arguments).map(ToString::to_string).collect();
        async move {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            s3cmd(gateway, &all).await.unwrap()
        }
    };
    s3cmd_with(&["mb", "s3://tls"]).await;
    s3cmd_with(&["put", file, "s3://tls/s3cmd"]).await;
    aws(gateway, &["--ca-bundle", trusted, "s3", "cp", file, "s3://tls/aws"]).await.unwrap();
    rclone(gateway, &["--ca-cert", trusted, "copyto", file, "gateway:tls/rclone"]).await.unwrap();
    let script = format!(
        "s3 = boto3.client('s3', endpoint_url='{}', region_name='us-east-1', verify='{trusted}')\n\
         s3.put_object(Bucket='tls', Key='boto3', Body=b'{BODY}')\n\
         print(s3.list_objects_v2(Bucket='tls')['KeyCount'])\n\
         for key in ('s3cmd', 'aws', 'rclone', 'boto3'):\n    \
         print(s3.get_object(Bucket='tls', Key=key)['Body'].read().decode())\n",
        gateway.endpoint()
    );
    assert_eq!(boto3(gateway, &script).await.unwrap().trim(), ["4", BODY, BODY, BODY, BODY].join("\n"));
}
