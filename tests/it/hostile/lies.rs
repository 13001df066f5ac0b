//! D: answers that are not true.

use super::{Siege, repetitions};
use hyper::Method;
use sallyport_tests::client::Call;
use serde_json::json;

#[tokio::test]
async fn d3_a_wrong_digest_is_no_success() {
    let siege = Siege::of(json!({}), json!({})).await;
    for key in ["md5", "short-md5"] {
        assert_eq!(siege.repeat(key, repetitions()).await, ["InternalError"], "{key}");
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn d6_an_errors_text_is_data() {
    let siege = Siege::of(json!({}), json!({})).await;
    let answer = siege.put("markup/1", "x").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "ServiceUnavailable"), "{}", answer.text());
    assert_eq!(answer.elements("Code").len(), 1, "{}", answer.text());
    assert!(answer.text().contains("&lt;/Message&gt;&lt;Code&gt;Fine"), "{}", answer.text());
    assert!(!answer.text().contains('\u{1b}'));
    let log = siege.ends_well().await;
    assert!(!log.contains('\u{1b}'), "an escape reached the log");
}

#[tokio::test]
async fn d8_an_unknown_code_is_an_error_of_ours() {
    let siege = Siege::of(json!({}), json!({})).await;
    for code in ["", "OK", "NoSuchBucket", "not-found", "exists", "\u{0}"] {
        let answer = siege.put(&format!("code/{}", if code == "\u{0}" { "%" } else { code }), "x").await;
        assert!(answer.status.is_server_error() || answer.status == 424, "{code}: {}", answer.text());
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn d9_a_locator_has_a_size() {
    let siege = Siege::of(json!({}), json!({})).await;
    assert_eq!(siege.put("locator/4096", "x").await.status, 200);
    for key in ["locator/4097", "locator/1000000", "no-locator"] {
        assert_eq!(siege.repeat(key, repetitions() / 10).await, ["InternalError"], "{key}");
    }
    siege.ends_well().await;
}

#[tokio::test]
async fn d10_a_range_that_was_not_heeded_is_noticed() {
    let siege = Siege::of(json!({}), json!({})).await;
    for key in ["get-whole", "get-elsewhere"] {
        assert_eq!(siege.put(key, vec![1; 1_000]).await.status, 200);
        let range = Call::new(Method::GET, &format!("hostile/{key}")).header("range", "bytes=10-19");
        let answer = siege.attacker.send(range).await.unwrap();
        assert_eq!(answer.code(), "InternalError", "{key}: {}", answer.status);
    }
    let changed = siege.put("get-failure", "x").await;
    assert_eq!(changed.status, 200);
    assert_eq!(siege.get("get-failure").await.unwrap().code(), "LocationNotFound");
    siege.ends_well().await;
}
