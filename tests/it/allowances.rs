//! What CloudServer's users rely on beyond S3: quotas, limits of locations, its checks.

use hyper::Method;
use sallyport_tests::client::Call;
use sallyport_tests::gateway::Setup;
use serde_json::json;

#[tokio::test]
async fn a_quota_is_set_shown_kept_and_lifted() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("limited", "").await.unwrap().status, 200);
    let quota = |method: Method, body: &'static str| Call::new(method, "limited").query("quota", "").body(body);
    assert_eq!(client.send(quota(Method::GET, "")).await.unwrap().code(), "NoSuchQuota");
    assert_eq!(client.send(quota(Method::PUT, "{\"quota\": 0}")).await.unwrap().code(), "InvalidArgument");
    assert_eq!(client.send(quota(Method::PUT, "{\"quota\": 100000}")).await.unwrap().status, 200);
    let shown = client.send(quota(Method::GET, "")).await.unwrap();
    assert_eq!((shown.elements("Name"), shown.elements("Quota")), (vec!["limited".into()], vec!["100000".into()]));
    // Small bodies are decided before they leave, large ones before their last bytes do.
    assert_eq!(client.put("limited/small", vec![b's'; 10_000]).await.unwrap().status, 200);
    let large = client.put("limited/large", vec![b'l'; 90_001]).await.unwrap();
    assert_eq!((large.status.as_u16(), large.code().as_str()), (429, "QuotaExceeded"));
    assert_eq!(client.get("limited/large").await.unwrap().code(), "NoSuchKey");
    assert_eq!(client.put("limited/large", vec![b'l'; 90_000]).await.unwrap().status, 200);
    assert_eq!(client.put("limited/more", "x").await.unwrap().code(), "QuotaExceeded");
    assert_eq!(client.delete("limited/small").await.unwrap().status, 204);
    assert_eq!(client.put("limited/more", "x").await.unwrap().status, 200);
    assert_eq!(client.send(quota(Method::DELETE, "")).await.unwrap().status, 204);
    assert_eq!(client.put("limited/most", vec![b'm'; 100_000]).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_location_takes_no_more_than_its_size_limit() {
    let small = json!({ "small": {
        "type": "local", "legacyAwsBehavior": true, "sizeLimitGB": 0.0001, "isTransient": true, "details": {}
    } });
    let mut gateway = Setup::with_locations(small).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("limited", "small").await.unwrap().status, 200);
    assert_eq!(client.put("limited/a", vec![b'a'; 100_000]).await.unwrap().status, 200);
    assert_eq!(client.put("limited/b", vec![b'b'; 10_000]).await.unwrap().code(), "AccessDenied");
    gateway.stop_and_restart().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.put("limited/b", vec![b'b'; 10_000]).await.unwrap().code(), "AccessDenied");
    assert_eq!(client.put("limited/b", vec![b'b'; 7_000]).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_read_may_name_the_location_that_it_expects() {
    let more = json!({ "more": { "type": "local", "legacyAwsBehavior": true, "details": {} } });
    let gateway = Setup::with_locations(more).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("asked", "more").await.unwrap().status, 200);
    assert_eq!(client.put("asked/k", "body").await.unwrap().status, 200);
    let get = |location: &str| Call::new(Method::GET, "asked/k").header("x-amz-location-constraint", location);
    assert_eq!(client.send(get("more")).await.unwrap().text(), "body");
    for wrong in ["us-east-1", "nowhere"] {
        let answer = client.send(get(wrong)).await.unwrap();
        assert_eq!(answer.code(), "InvalidLocationConstraint", "{wrong}");
        assert!(answer.text().contains(&format!("the object is not in the location {wrong}")), "{}", answer.text());
    }
}

#[tokio::test]
async fn old_checks_are_answered_on_the_s3_port_without_a_signature() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    for path in ["/_/healthcheck", "/_/healthcheck/deep"] {
        let answer = unsigned(&format!("{}{path}", gateway.endpoint())).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// One request without anything that S3 asks for.
async fn unsigned(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
