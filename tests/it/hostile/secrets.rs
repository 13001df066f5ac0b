//! Secrets stay outside: no way to see one, or to have one made.

use super::Siege;
use super::upstream::Upstream;
use sallyport_tests::gateway::Setup;
use serde_json::{Value, json};

const SECRET: &str = "canary-of-the-secret-key-0123456789";
const TOKEN: &str = "canary/of+the+session/token==0123456789";
const SIGNATURE: &str = "canary%2Bof%2Bthe%2Bsignature%3D";

fn masked(text: &str) -> String {
    text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
}

async fn signing(upstream: &Upstream, scheme: &str, token: &str) -> Siege {
    let location = json!({ "type": "hostile", "legacyAwsBehavior": false, "accounts": ["Bart"],
        "limits": { "errorBytes": 16_384 }, "details": {
        "endpoint": upstream.endpoint(), "secret": SECRET, "sas": token, "signing": scheme
    } });
    Siege::start(Setup::with_locations(json!({ "hostile": location }))).await
}

/// Parts of the canaries as they would be told from placeholders, in every spelling.
fn assert_clean(text: &str, what: &str) {
    for canary in ["canary-of", "canary/of", "canary%2Fof", "canary%2fof", "canary%2Bof", "canary%2bof", "canary+of"] {
        assert!(!text.contains(canary), "{what} holds {canary}: {text}");
    }
}

async fn stays_outside(scheme: &str, token: &str) {
    let upstream = Upstream::start().await;
    let siege = signing(&upstream, scheme, token).await;
    for ask in ["headers", "refuse", "echo?list-type=2", "refuse?x=y"] {
        let answer = siege.put(&format!("ask/GET;http://@/{ask}"), "x").await;
        let said = answer.text();
        assert!(said.contains("status "), "{ask}: {said}");
        assert_clean(&said, &format!("{scheme} {ask}"));
    }
    // The upstream did get what was signed.
    let heads = upstream.connections().concat().concat().to_ascii_lowercase();
    let sent = match scheme {
        "sigv4" => heads.contains("aws4-hmac-sha256") && heads.contains("x-amz-security-token: canary/of"),
        "bearer" => heads.contains("bearer canary-of"),
        _ => heads.contains("sig=canary%2bof") || heads.contains("token=canary-of"),
    };
    assert!(sent, "{heads}");
    let seen = siege.says("sees/x").await;
    assert!(seen.contains("secret"), "{seen}");
    assert_clean(&seen, "what the plugin was told");
    for text in [SECRET, TOKEN, SIGNATURE, "canary+of+the+signature="] {
        let said = siege.says(&format!("seeks/{}", masked(text))).await;
        assert!(said.contains("found 0 times"), "{said}");
    }
    let said = siege.says(&format!("seeks/{}", masked("\"signing\""))).await;
    assert!(said.contains("found ") && !said.contains("found 0 times"), "the search works: {said}");
    assert_clean(&siege.metrics.get("metrics").await.unwrap().text(), "a metric");
    let log = siege.ends_well().await;
    assert_clean(&log, "the log");
}

#[tokio::test]
async fn a_session_token_stays_outside() {
    stays_outside("sigv4", TOKEN).await;
}

#[tokio::test]
async fn a_bearer_token_stays_outside() {
    stays_outside("bearer", "").await;
}

#[tokio::test]
async fn a_shared_access_signature_stays_outside() {
    stays_outside("query", &format!("sv=2024-11-04&sp=rw&sig={SIGNATURE}")).await;
}

#[tokio::test]
async fn a_query_without_a_signature_stays_outside() {
    stays_outside("query", "token=canary-of-the-query-0123456789&v=1").await;
}

#[tokio::test]
async fn payloads_that_need_a_signature_for_each_chunk_are_refused_by_name() {
    let upstream = Upstream::start().await;
    let siege = signing(&upstream, "sigv4", "").await;
    for payload in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "anything"] {
        let said = siege.says(&format!("ask/PUT;http://@/x;x-amz-content-sha256={payload}")).await;
        assert!(said.contains(payload) && said.contains("does not sign"), "{said}");
    }
    assert!(upstream.connections().concat().is_empty());
    siege.ends_well().await;
}

#[tokio::test]
async fn nothing_that_mints_credentials_is_asked_or_answered() {
    let upstream = Upstream::start().await;
    let siege = signing(&upstream, "sigv4", "").await;
    for ask in [
        "POST;http://@/?Action=AssumeRole&Version=2011-06-15",
        "GET;http://@/?Action=GetSessionToken",
        "GET;http://@/?session",
        "POST;http://@/;content-type=application/x-www-form-urlencoded",
        "POST;http://@/?restype=service&comp=userdelegationkey",
    ] {
        let said = siege.says(&format!("ask/{ask}")).await;
        assert!(said.contains("HttpRequestDenied"), "{ask}: {said}");
    }
    assert!(upstream.connections().concat().is_empty());
    assert_eq!(siege.counted("sallyport_plugin_egress_denied_total", "reason=\"credentials\"").await, 5);
    let said = siege.says("ask/GET;http://@/mint?list-type=2").await;
    assert!(said.contains("status 200") && !said.contains("freshly-minted"), "{said}");
    siege.ends_well().await;
}

#[tokio::test]
async fn what_is_revealed_is_said() {
    let upstream = Upstream::start().await;
    let location = |reveal: Value| {
        json!({ "type": "hostile", "legacyAwsBehavior": false, "accounts": ["Bart"],
            "grants": { "reveal": reveal }, "details": { "endpoint": upstream.endpoint(), "secret": SECRET } })
    };
    let siege = Siege::start(Setup::with_locations(json!({ "hostile": location(json!(["secret"])) }))).await;
    assert!(siege.says("sees/x").await.contains(SECRET), "it was granted");
    let told = siege.gateway.run(&["check"]).await.unwrap().errors;
    assert!(told.contains("the plugin sees the secret details.secret itself"), "{told}");
    assert_clean(&told, "the check");
    siege.ends_well().await;
    let siege = Siege::start(Setup::with_locations(json!({ "hostile": location(json!(["endpoint"])) }))).await;
    let told = siege.gateway.run(&["check"]).await.unwrap().errors;
    assert!(told.contains("grants.reveal.0") && told.contains("no secret field"), "{told}");
    siege.leaves_the_neighbour_alone().await;
}
