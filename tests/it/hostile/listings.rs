//! D1, D2, D5: what a plugin says that it holds. A bucket's name says what it lists; each is
//! watched, so that the gateway lists it once a second.

use super::{Siege, repetitions};
use hyper::Method;
use sallyport_tests::client::Call;
use sallyport_tests::gateway::Setup;
use sallyport_tests::wait::until;
use serde_json::json;

/// Buckets of each behaviour: as many listings are had in a second.
const OF_EACH: usize = 10;
/// A path that leads far out of any folder.
const OUTSIDE: &str = "../../../../etc/passwd";

/// A siege with watched buckets of these behaviours.
async fn listing(behaviours: &[&str]) -> Siege {
    many(behaviours, OF_EACH).await
}

async fn many(behaviours: &[&str], of_each: usize) -> Siege {
    let numbers = || 0..of_each;
    let buckets: Vec<String> =
        behaviours.iter().flat_map(|name| numbers().map(move |number| format!("{name}-{number}"))).collect();
    let watches: Vec<_> = buckets.iter().map(|bucket| json!({ "bucket": bucket, "everySeconds": 1 })).collect();
    let hostile = json!({
        "type": "hostile", "legacyAwsBehavior": false, "accounts": ["Bart"], "details": {}, "watch": watches
    });
    let siege = Siege::start(Setup::with_locations(json!({ "hostile": hostile }))).await;
    for bucket in &buckets {
        assert_eq!(siege.attacker.create_bucket(bucket, "hostile").await.unwrap().status, 200);
    }
    siege
}

impl Siege {
    async fn listings(&self) -> u64 {
        self.counted("sallyport_plugin_calls_total", "call=\"list\"").await
    }

    /// Lets the gateway list so often, and looks that nothing grew.
    async fn lists(&self, times: u64) {
        let step = (times / 10).max(1);
        self.after(step).await;
        let before = self.footprint();
        for _ in 1..10 {
            self.after(step).await;
        }
        self.has_not_grown_since(&before);
    }

    async fn after(&self, more: u64) {
        let wanted = self.listings().await + more;
        let mut had = self.listings().await;
        while had < wanted {
            // However many there are to be, some have to come in time.
            let next = wanted.min(had + 10);
            until("it is listed", async || self.listings().await >= next).await;
            had = self.listings().await;
        }
    }

    async fn keys(&self, bucket: &str) -> Vec<String> {
        self.attacker.keys(bucket).await.unwrap()
    }
}

#[tokio::test]
async fn d1_names_that_no_backend_has_are_refused_and_paths_are_keys() {
    let siege = listing(&["lists-zero", "lists-broken", "lists-paths"]).await;
    siege.lists(repetitions() as u64).await;
    for number in 0..OF_EACH {
        for refused in ["lists-zero", "lists-broken"] {
            assert_eq!(siege.keys(&format!("{refused}-{number}")).await, Vec::<String>::new(), "{refused}");
        }
        // A key has no meaning as a path; what is outside of the bucket's place is not seen.
        let paths = siege.keys(&format!("lists-paths-{number}")).await;
        assert_eq!(paths, [".", "..", OUTSIDE, "/etc/passwd", "a//b"], "{number}");
    }
    for bucket in ["hostile", "lists-zero-0"] {
        assert_eq!(siege.keys(bucket).await, Vec::<String>::new(), "{bucket}");
    }
    assert!(siege.counted("sallyport_location_broken_calls_total", "").await >= 2);
    let log = siege.ends_well().await;
    assert!(log.contains("a name that no backend has") && log.contains("invalid utf-8"), "{log}");
}

#[tokio::test]
async fn d2_a_listing_that_leads_nowhere_has_an_end() {
    let siege = listing(&["lists-around", "lists-stuck", "lists-far"]).await;
    siege.lists(repetitions() as u64).await;
    // What it led past before it went round was seen.
    until("it is seen", async || siege.keys("lists-around-0").await == ["one", "two"]).await;
    let log = siege.ends_well().await;
    for why in ["round in circles", "does not move on", "a cursor of more than"] {
        assert!(log.contains(why), "{why}: {log}");
    }
}

#[tokio::test]
async fn d2_a_listing_of_nothing_but_pages_has_an_end() {
    let siege = many(&["lists-nothing"], 1).await;
    // One more page than a listing may have without an entry.
    until("it is followed", async || siege.listings().await > 1_001).await;
    let log = siege.ends_well().await;
    assert!(log.contains("1000 pages without an entry"), "{log}");
}

#[tokio::test]
async fn d2_a_page_has_no_more_than_was_asked_for_and_nothing_twice() {
    let siege = listing(&["lists-twice", "lists-more", "lists-flood", "lists-farther"]).await;
    siege.lists(repetitions() as u64).await;
    for number in 0..OF_EACH {
        assert_eq!(siege.keys(&format!("lists-twice-{number}")).await, ["a", "b", "c"]);
        for refused in ["lists-more", "lists-flood", "lists-farther"] {
            assert_eq!(siege.keys(&format!("{refused}-{number}")).await, Vec::<String>::new(), "{refused}");
        }
    }
    assert!(siege.hits("hostCallBytes").await >= 2);
    let log = siege.ends_well().await;
    assert!(log.contains("1001 entries where 1000 were asked for"), "{log}");
}

#[tokio::test]
async fn d5_what_is_shown_beside_an_object_makes_no_header_of_its_own() {
    let siege = listing(&["lists-headers"]).await;
    until("it is seen", async || siege.keys("lists-headers-0").await == ["headers"]).await;
    let head = siege.attacker.head("lists-headers-0/headers").await.unwrap();
    assert_eq!(
        (head.status.as_u16(), head.header("content-length"), head.header("cache-control")),
        (200, "5", "no-store")
    );
    assert_eq!((head.header("x-amz-meta-f"), head.header("content-type")), ("fine", "binary/octet-stream"));
    let names: Vec<&str> = head.headers.keys().map(hyper::header::HeaderName::as_str).collect();
    for name in ["set-cookie", "location", "transfer-encoding", "access-control-allow-origin", "x-injected"] {
        assert!(!names.contains(&name), "{name}: {:?}", head.headers);
    }
    assert!(head.headers.values().all(|value| !value.as_bytes().contains(&b'\n')));
    let metadata: usize = head
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| name.as_str().len() - "x-amz-meta-".len() + value.len())
        .sum();
    assert!(metadata <= 16 << 10 && head.headers.len() < 100, "{metadata} bytes, {} headers", head.headers.len());
    let got = siege.attacker.send(Call::new(Method::GET, "lists-headers-0/headers")).await.unwrap();
    assert_eq!(got.text(), ".....");
    siege.lists(repetitions() as u64).await;
    siege.ends_well().await;
}
