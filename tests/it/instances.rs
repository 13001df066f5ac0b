//! Instances of plugins: made when they are needed, and not again for every crowd.

use sallyport_tests::chaos::Mood;
use sallyport_tests::client::Client;
use sallyport_tests::gateway::Setup;
use sallyport_tests::stage::Stage;
use std::time::Duration;

/// More than a location keeps warm when nobody calls.
const CROWD: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_comes_back_finds_the_instances_that_it_left() {
    let stage = Stage::start().await.unwrap();
    let mut gateway = Setup::with_locations(stage.locations()).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("crowd", "plain-aws").await.unwrap().status, 200);
    assert_eq!(client.put("crowd/key", "bytes").await.unwrap().status, 200);
    // Slow enough for all of them to be under way at once.
    stage.before_moto.turn(Mood::Slow(Duration::from_millis(500)));
    read_at_once(&client).await;
    let admin = gateway.admin().unwrap();
    let after_one = instances(&admin).await;
    assert!(after_one >= CROWD as u64, "{after_one} instances for {CROWD} calls at a time");
    for _ in 0..2 {
        read_at_once(&client).await;
    }
    let after_three = instances(&admin).await;
    // A health check may have been among them.
    assert!(after_three <= after_one + 4, "{after_one} instances after one crowd, {after_three} after three");
}

async fn read_at_once(client: &Client) {
    let reads = (0..CROWD).map(|_| async { client.get("crowd/key").await.unwrap().text() });
    for text in futures::future::join_all(reads).await {
        assert_eq!(text, "bytes");
    }
}

/// How many instances of `aws_s3` were made so far.
async fn instances(admin: &str) -> u64 {
    let metrics = super::command_line::ask(admin, "/metrics").await.1;
    let line = |line: &&str| line.starts_with("sallyport_plugin_instances_total{") && line.contains("\"aws_s3\"");
    let counts = metrics.lines().filter(line).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}
