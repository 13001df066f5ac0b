//! D: answers that are not true.

use super::{Siege, repetitions};
use hyper::Method;
use sallyport_tests::client::Call;
use sallyport_tests::tools::root;
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
async fn d7_what_a_plugin_claims_and_does_not_export_is_not_called() {
    let siege = Siege::of(json!({}), json!({})).await;
    let upload = Call::new(Method::POST, "hostile/parts").query("uploads", "");
    let id = siege.attacker.send(upload).await.unwrap().elements("UploadId").remove(0);
    let part = |call: Call| call.query("uploadId", &id);
    let put = part(Call::new(Method::PUT, "hostile/parts").query("partNumber", "1")).body("five.");
    let put = siege.attacker.send(put).await.unwrap();
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        put.header("etag")
    );
    let complete = part(Call::new(Method::POST, "hostile/parts")).body(list);
    let completed = siege.attacker.send(complete).await.unwrap();
    assert_eq!((completed.status.as_u16(), completed.code().as_str()), (200, ""), "{}", completed.text());
    let copy = Call::new(Method::PUT, "hostile/copy").header("x-amz-copy-source", "hostile/parts");
    let copied = siege.attacker.send(copy).await.unwrap();
    assert_eq!(copied.status, 200, "{}", copied.text());
    let tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    let tagged = Call::new(Method::PUT, "hostile/parts").query("tagging", "").body(tags);
    assert_eq!(siege.attacker.send(tagged).await.unwrap().status, 200);
    for key in ["parts", "copy"] {
        assert_eq!(siege.get(key).await.unwrap().text(), ".....", "{key}");
    }
    for call in ["create", "put-part", "complete", "copy", "copy-part", "put-tags", "hide"] {
        let calls = siege.counted("sallyport_plugin_calls_total", &format!("call=\"{call}\"")).await;
        assert_eq!(calls, 0, "{call}");
    }
    assert!(siege.counted("sallyport_plugin_calls_total", "call=\"put\"").await >= 1);
    siege.ends_well().await;
}

#[test]
fn c8_d4_an_answer_has_no_status_and_nothing_behind_its_body() {
    let contract = std::fs::read_to_string(root().join("wit/storage.wit")).unwrap();
    let results: Vec<&str> =
        contract.lines().filter_map(|line| Some(line.split_once("func(")?.1.split_once("->")?.1)).collect();
    assert!(results.len() >= 20, "{} functions", results.len());
    assert!(results.iter().any(|result| result.contains("stream<u8>")), "one of them answers a body");
    for result in results {
        assert!(!result.contains("future"), "{result}");
    }
    let fields = contract.lines().filter(|line| !line.contains("func("));
    let fields: Vec<&str> = fields.filter_map(|line| Some(line.trim().split_once(": ")?.0)).collect();
    assert!(fields.contains(&"locator"));
    for name in ["status", "headers", "trailers", "complete", "done"] {
        assert!(!fields.contains(&name), "{name}");
    }
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
