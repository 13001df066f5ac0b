//! E: requests to where they may not go, and answers that do not end.

use super::upstream::Upstream;
use super::{Siege, repetitions};
use sallyport_tests::gateway::Setup;
use serde_json::{Value, json};
use std::time::Duration;

fn hostile(details: Value, rest: Value) -> Value {
    let mut location =
        json!({ "type": "hostile", "legacyAwsBehavior": false, "accounts": ["Bart"], "details": details });
    location.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    location
}

/// The two ways to send a request: the calls of `wasi:http`, and one call.
const WAYS: [&str; 2] = ["ask", "ask-at-once"];

/// Each of these in each way.
fn both<T>(these: &[T]) -> impl Iterator<Item = (&T, &'static str)> {
    these.iter().flat_map(|this| WAYS.map(|way| (this, way)))
}

async fn against(upstream: &Upstream, rest: Value) -> Siege {
    let location = hostile(json!({ "endpoint": upstream.endpoint() }), rest);
    Siege::start(Setup::with_locations(json!({ "hostile": location }))).await
}

impl Siege {
    async fn denied(&self, reason: &str) -> u64 {
        self.counted("sallyport_plugin_egress_denied_total", &format!("reason=\"{reason}\"")).await
    }
}

#[tokio::test]
async fn e1_a_host_that_nobody_named_is_denied() {
    let upstream = Upstream::start().await;
    let siege = against(&upstream, json!({})).await;
    assert!(siege.says("ask/GET;http://@/fine").await.contains("status 200"), "the named one works");
    assert!(siege.says("ask-at-once/GET;http://@/fine").await.contains("status 200"), "in one call as well");
    for (url, way) in both(&["http://example.com/", "https://127.0.0.1/", "http://sub.127.0.0.1:80/"]) {
        let said = siege.says(&format!("{way}/GET;{url}")).await;
        assert!(said.contains("HttpRequestDenied"), "{way} {url}: {said}");
    }
    assert_eq!(siege.repeat("ask/GET;http://example.com/", repetitions()).await, ["ServiceUnavailable"]);
    assert!(siege.denied("host").await >= repetitions() as u64);
    siege.ends_well().await;
}

#[tokio::test]
async fn e2_an_address_is_denied_in_every_spelling() {
    let (upstream, secret) = (Upstream::start().await, Upstream::start().await);
    let siege = against(&upstream, json!({})).await;
    for (host, way) in both(&[
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "[64:ff9b::7f00:1]",
    ]) {
        let said = siege.says(&format!("{way}/GET;http://{host}:{}/secret", secret.port)).await;
        assert!(said.contains("no answer"), "{host}: {said}");
    }
    assert!(secret.connections().is_empty());
    siege.ends_well().await;
}

#[tokio::test]
async fn e4_a_metadata_service_is_not_reached_even_with_a_grant() {
    let upstream = Upstream::start().await;
    let granted = ["http://169.254.169.254:80", "http://[fd00:ec2::254]:80", "http://168.63.129.16:80"];
    let siege = against(&upstream, json!({ "grants": { "egress": granted } })).await;
    for (url, _) in granted.iter().zip(0..) {
        let said = siege.says(&format!("ask/GET;{url}/latest")).await;
        assert!(said.contains("DestinationIpProhibited"), "{url}: {said}");
    }
    assert_eq!(siege.denied("address").await, 3);
    siege.ends_well().await;
}

#[tokio::test]
async fn e_what_is_no_request_says_which_part() {
    let upstream = Upstream::start().await;
    let siege = against(&upstream, json!({})).await;
    for (ask, error) in [
        ("GET;http://@/fine;x\r\n=a", "HttpRequestHeaderSize"),
        ("GET;http://@/fine;transfer-encoding=chunked", "HttpRequestHeaderSize"),
        ("GET;http://@:x/fine", "HttpRequestUriInvalid"),
        ("GE T;http://@/fine", "HttpRequestMethodInvalid"),
    ] {
        let said = siege.says(&format!("ask-at-once/{ask}")).await;
        assert!(said.contains(error), "{ask}: {said}");
    }
    assert!(upstream.connections().concat().is_empty());
    siege.says("ask-at-once/DELETE;http://@/fine").await;
    siege.says("ask-at-once/GET;http://@/fine").await;
    let heads = upstream.connections().concat();
    let announced: Vec<bool> =
        heads.iter().map(|head| head.to_ascii_lowercase().contains("content-length: 0")).collect();
    assert_eq!(announced, [true, false], "{heads:?}");
    siege.ends_well().await;
}

#[tokio::test]
async fn e5_a_redirect_is_an_answer_and_not_followed() {
    let (upstream, secret) = (Upstream::start().await, Upstream::start().await);
    let siege = against(&upstream, json!({})).await;
    let said = siege.says(&format!("ask/GET;http://@/redirect?to={}", secret.port)).await;
    assert!(said.contains("status 302"), "{said}");
    assert!(secret.connections().is_empty());
    siege.ends_well().await;
}

#[tokio::test]
async fn e6_tricks_with_authorities_lead_nowhere() {
    let (upstream, secret) = (Upstream::start().await, Upstream::start().await);
    let siege = against(&upstream, json!({})).await;
    let (named, other) = (format!("127.0.0.1:{}", upstream.port), format!("127.0.0.1:{}", secret.port));
    for (authority, way) in both(&[
        format!("{named}%40{other}"),
        format!("{other}%40{named}"),
        format!("user:pass%40{named}"),
        format!("{named}#{other}"),
        format!("{named}\\{other}"),
        format!("{named}?{other}"),
        format!(" {other}"),
        format!("{named}:1"),
        String::new(),
    ]) {
        let said = siege.says(&format!("{way}/GET;http://{authority}/secret")).await;
        assert!(said.contains("no answer"), "{way} {authority}: {said}");
    }
    assert!(secret.connections().is_empty());
    siege.ends_well().await;
}

#[tokio::test]
async fn e7_no_request_is_smuggled_in_headers() {
    let upstream = Upstream::start().await;
    let siege = against(&upstream, json!({})).await;
    for (headers, way) in both(&[
        "transfer-encoding=chunked",
        "host=evil.example.com",
        "connection=close, x-secret",
        "upgrade=h2c",
        "content-length=5;content-length=6",
        "x=a\r\nx-smuggled: 1",
        "x\r\n=a",
        "proxy-authorization=Basic eA==",
        "keep-alive=1",
        "te=trailers\n",
    ]) {
        let said = siege.says(&format!("{way}/GET;http://@/fine;{headers}")).await;
        assert!(said.contains("no answer") || said.contains("status 200"), "{headers}: {said}");
    }
    for head in upstream.connections().concat() {
        let head = head.to_ascii_lowercase();
        assert_eq!(head.matches("\r\nhost:").count(), 1, "{head}");
        assert!(
            !head.contains("transfer-encoding") && !head.contains("evil") && !head.contains("x-smuggled"),
            "{head}"
        );
        assert!(!head.contains("proxy-authorization") && !head.contains("upgrade"), "{head}");
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn e8_connections_are_counted() {
    let upstream = Upstream::start().await;
    let limits =
        json!({ "connections": 8, "queueMs": 200, "firstByteMs": 1_000, "handles": 20_000, "resources": 20_000 });
    let location = hostile(json!({ "endpoint": upstream.endpoint() }), json!({ "limits": limits }));
    let siege = Siege::start(Setup::with_locations(json!({ "hostile": location }))).await;
    let answer = siege.put("flood/400", "x").await;
    assert!(["SlowDown", "ServiceUnavailable"].contains(&answer.code().as_str()), "{}", answer.text());
    assert!(upstream.most_open() <= 8, "{} at a time", upstream.most_open());
    siege.ends_well().await;
}

#[tokio::test]
async fn e8_a_call_that_gets_no_connection_is_told_to_slow_down() {
    let upstream = Upstream::start().await;
    let siege =
        against(&upstream, json!({ "limits": { "connections": 1, "queueMs": 100, "firstByteMs": 3_000 } })).await;
    let (first, second) = tokio::join!(siege.put("ask/GET;http://@/silent", "x"), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        siege.put("ask/GET;http://@/fine", "x").await
    });
    assert_eq!(first.code(), "ServiceUnavailable", "{}", first.text());
    assert_eq!((second.status.as_u16(), second.code().as_str()), (503, "SlowDown"), "{}", second.text());
    assert!(siege.hits("connections").await >= 1);
    siege.ends_well().await;
}

#[tokio::test]
async fn e9_an_upstream_that_says_nothing_is_given_up() {
    let upstream = Upstream::start().await;
    let siege = against(&upstream, json!({ "limits": { "firstByteMs": 300 } })).await;
    let said = siege.says("ask/GET;http://@/silent").await;
    assert!(said.contains("ConnectionReadTimeout"), "{said}");
    assert!(siege.hits("firstByteMs").await >= 1);
    siege.ends_well().await;
}

#[tokio::test]
async fn e9_a_handshake_that_stalls_is_given_up() {
    let upstream = Upstream::start().await;
    let details = json!({ "endpoint": format!("https://127.0.0.1:{}", upstream.port) });
    let location = hostile(details, json!({ "limits": { "firstByteMs": 1_000, "idleMs": 1_000 } }));
    let siege = Siege::start(Setup::with_locations(json!({ "hostile": location }))).await;
    let key = format!("ask/GET;https://127.0.0.1:{}/x", upstream.port);
    let asked = siege.says(&key);
    let said = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("no hang");
    assert!(said.contains("no answer"), "{said}");
    siege.ends_well().await;
}

#[tokio::test]
async fn e10_no_connection_serves_two_locations() {
    let upstream = Upstream::start().await;
    let details = json!({ "endpoint": upstream.endpoint() });
    let locations = json!({ "hostile": hostile(details.clone(), json!({})), "other": hostile(details, json!({})) });
    let siege = Siege::start(Setup::with_locations(locations)).await;
    assert_eq!(siege.attacker.create_bucket("other", "other").await.unwrap().status, 200);
    for _ in 0..20 {
        siege.says("ask/GET;http://@/one").await;
        siege.attacker.put("other/ask/GET;http://@/two", "x").await.unwrap();
    }
    let connections = upstream.connections();
    let asks = |heads: &Vec<String>, path: &str| heads.iter().any(|head| head.starts_with(path));
    assert!(connections.iter().any(|heads| heads.len() > 1), "none was used twice");
    assert!(!connections.iter().any(|heads| asks(heads, "GET /one") && asks(heads, "GET /two")), "{connections:?}");
    siege.ends_well().await;
}

#[tokio::test]
async fn e11_answers_have_an_end() {
    let upstream = Upstream::start().await;
    let siege = against(&upstream, json!({ "limits": { "firstByteMs": 500, "headerBytes": 65_536 } })).await;
    let said = siege.says("ask/GET;http://@/bomb").await;
    assert!(said.contains("HttpResponseHeaderSectionSize"), "{said}");
    assert!(siege.denied("response-headers").await >= 1);
    let asked = siege.says("ask/GET;http://@/continue");
    let said = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("no hang");
    assert!(said.contains("no answer"), "{said}");
    siege.ends_well().await;
}

#[tokio::test]
async fn e_a_request_without_a_body_is_repeated_when_its_connection_was_gone() {
    let upstream = Upstream::start().await;
    let siege = against(&upstream, json!({})).await;
    for (ask, answer) in [
        ("GET;http://@/closes", "status 200"),
        ("DELETE;http://@/closes;content-length=0", "status 200"),
        // Nobody knows whether it has a body, or whether the first one took place.
        ("DELETE;http://@/closes", "no answer"),
        ("PUT;http://@/closes;content-length=0", "no answer"),
    ] {
        assert!(siege.says("ask/GET;http://@/fine").await.contains("status 200"));
        let said = siege.says(&format!("ask/{ask}")).await;
        assert!(said.contains(answer), "{ask}: {said}");
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn e_requests_are_held_to_the_locations_grants() {
    let upstream = Upstream::start().await;
    let grants = json!({ "methods": ["GET", "PUT"], "paths": ["/fine"], "copySources": ["/fine"] });
    let siege = against(&upstream, json!({ "grants": grants })).await;
    assert!(siege.says("ask/GET;http://@/fine/x").await.contains("status 200"));
    for ((ask, reason), way) in both(&[
        ("DELETE;http://@/fine/x", "method"),
        ("TRACE;http://@/fine/x", "method"),
        ("GET;http://@/other", "path"),
        ("GET;http://@/fine/%252e%252e/other", "path"),
        ("PUT;http://@/fine/x;x-amz-copy-source=other/key", "copy-source"),
        ("PUT;http://@/fine/x;x-ms-copy-source=http://example.com/fine/y", "copy-source"),
        ("PUT;http://@/fine/x;destination=http://@/other", "path"),
        ("PUT;http://@/fine/x;x-ms-rename-source=/other", "path"),
        ("GET;http://@/fine/x;x-original-url=/other", "path"),
        ("GET;http://@/fine/x;x-http-method-override=DELETE", "method"),
    ]) {
        let before = siege.denied(reason).await;
        let said = siege.says(&format!("{way}/{ask}")).await;
        assert!(said.contains("HttpRequestDenied"), "{way} {ask}: {said}");
        assert_eq!(siege.denied(reason).await, before + 1, "{way} {ask}");
    }
    assert!(upstream.connections().concat().iter().all(|head| head.starts_with("GET /fine/x ")));
    siege.ends_well().await;
}

#[tokio::test]
async fn g10_no_location_leads_back_to_this_server() {
    // Taken and given back: the admin port will be there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = format!("http://127.0.0.1:{port}");
    for granted in [false, true] {
        let grants = if granted { json!({ "egress": [own] }) } else { json!({}) };
        let location = hostile(json!({ "endpoint": own }), json!({ "grants": grants }));
        let setup = Setup::with_locations(json!({ "hostile": location }));
        let siege = Siege::start(setup.config("metricsListenOn", json!([format!("127.0.0.1:{port}")]))).await;
        let said = siege.says("ask/GET;http://@/live").await;
        assert_eq!(said.contains("status 200"), granted, "{said}");
        assert_eq!(said.contains("DestinationIpProhibited"), !granted, "{said}");
        siege.ends_well().await;
    }
}
