//! Plugins that break: rolled back when they are new, spared when they always did.

use super::{ORDINARY, Stage, drop_in, release};
use sallyport_tests::client::Answer;
use sallyport_tests::process::free_port;
use sallyport_tests::wait::until;
use serde_json::json;

#[tokio::test]
async fn a_plugin_that_breaks_after_it_took_over_is_rolled_back() {
    let stage = Stage::start().await;
    let client = stage.bucket("trial", "web").await;
    drop_in(stage.plugins.path(), &release("0.2.0", "put-trap").await);
    stage.serves("0.2.0").await;
    for _ in 0..3 {
        assert_eq!(client.put("trial/key", "bytes").await.unwrap().status, 500);
    }
    // Nothing has to be opened: the very next call is served by the version before.
    let put = client.put("trial/key", "bytes").await.unwrap();
    assert_eq!(put.status, 200, "{}", put.text());
    let status = stage.status().await;
    assert_eq!(status["version"], "0.1.0", "{status}");
    assert!(status["rejected"].as_str().unwrap().contains("rolled back"), "{status}");
    assert!(status["breaker"].is_null(), "{status}");
    assert!(stage.metrics().await.contains("sallyport_location_rollbacks_total{location=\"web\"} 1"));

    // The file is the same: it stays where it is until there is another one.
    let mut rounds = tokio::time::interval(std::time::Duration::from_millis(100));
    for _ in 0..10 {
        rounds.tick().await;
        assert_eq!(stage.status().await["version"], "0.1.0");
    }
    drop_in(stage.plugins.path(), &release("0.3.0", ORDINARY).await);
    stage.serves("0.3.0").await;
    assert_eq!(client.put("trial/key", "bytes").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_plugin_that_does_not_open_or_fails_its_check_never_takes_over() {
    let stage = Stage::start().await;
    let client = stage.bucket("careful", "web").await;
    for (version, variant, why) in [("0.2.0", "bad-open", "broke"), ("0.3.0", "ill-next", "does not get along")] {
        drop_in(stage.plugins.path(), &release(version, variant).await);
        stage.is_rejected(why).await;
        assert_eq!(stage.status().await["version"], "0.1.0");
        assert_eq!(client.put("careful/key", "bytes").await.unwrap().status, 200);
    }
    assert!(stage.metrics().await.contains("sallyport_location_rejected_total{location=\"web\"} 2"));
}

#[tokio::test]
async fn a_crash_loop_opens_the_breaker_of_its_location_alone() {
    let stage = Stage::with(Some(release("0.1.0", "put-trap").await), |setup| setup).await;
    let client = stage.bucket("looping", "web").await;
    stage.bucket("beside", "us-east-1").await;
    let put = async || client.put("looping/key", "bytes").await.unwrap();
    for _ in 0..5 {
        assert_eq!(put().await.status, 500);
        assert_eq!(client.put("beside/key", "bytes").await.unwrap().status, 200);
    }
    let refused: Answer = put().await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("ServiceUnavailable") && refused.text().contains("breaks again and again"));
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert!(stage.status().await["breaker"].as_str().unwrap().contains("breaks again and again"));
    let metrics = stage.metrics().await;
    assert!(metrics.contains("sallyport_location_breaker_open{location=\"web\"} 1"), "{metrics}");
    assert!(metrics.contains("sallyport_location_breaker_opened_total{location=\"web\"} 1"), "{metrics}");
    // Others do not notice, and one call is tried when its time has come.
    assert_eq!(client.put("beside/key", "more").await.unwrap().status, 200);
    until("a call is tried", async || put().await.status == 500).await;
    assert_eq!(put().await.status, 503);

    drop_in(stage.plugins.path(), &release("0.2.0", ORDINARY).await);
    until("another plugin closes it", async || put().await.status == 200).await;
    assert!(stage.status().await["breaker"].is_null());
    assert!(stage.metrics().await.contains("sallyport_location_breaker_open{location=\"web\"} 0"));
}

#[tokio::test]
async fn check_tells_of_the_breakers_of_the_server_that_runs() {
    let admin = format!("127.0.0.1:{}", free_port().unwrap());
    let trap = release("0.1.0", "put-trap").await;
    let stage = Stage::with(Some(trap), |setup| setup.config("metricsListenOn", json!([admin]))).await;
    let client = stage.bucket("looping", "web").await;
    let check = async || stage.gateway.run(&["check"]).await.unwrap();
    let before = check().await;
    assert_eq!(before.code, Some(0), "{} {}", before.output, before.errors);
    assert!(before.output.contains("the running server has no breaker open"), "{}", before.output);
    for _ in 0..5 {
        assert_eq!(client.put("looping/key", "bytes").await.unwrap().status, 500);
    }
    let after = check().await;
    assert_eq!(after.code, Some(1), "{} {}", after.output, after.errors);
    assert!(after.output.contains("refuses calls of web, its breaker is open"), "{}", after.output);
    assert!(after.output.contains("breaks again and again"), "{}", after.output);
}
