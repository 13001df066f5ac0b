//! Backends that are down, lose bytes or are not as configured.

use super::{LARGE, LOCATIONS, World};
use hyper::Method;
use sallyport_tests::chaos::{Chaos, Mood};
use sallyport_tests::client::Call;
use sallyport_tests::gateway::Setup;
use sallyport_tests::stage::{CLOUD, PLAIN, Stage, set_versioning};
use std::time::Duration;

fn clouds(world: &World) -> [(&'static str, &Chaos); 3] {
    let stage = &world.stage;
    [("aws", &stage.before_moto), ("plain-aws", &stage.before_moto), ("azure", &stage.before_azurite)]
}

/// E: a delete while the backend was down answered 500, lost the metadata and left the bytes.
#[tokio::test]
async fn a_delete_while_the_backend_is_down_is_done_and_frees_the_bytes_later() {
    let world = World::start().await;
    for (location, chaos) in clouds(&world) {
        let path = format!("{location}/key");
        world.put(&path, vec![7; LARGE]).await;
        chaos.turn(Mood::Down);
        assert_eq!(world.client.delete(&path).await.unwrap().status, 204, "{location}");
        assert_eq!(world.client.get(&path).await.unwrap().code(), "NoSuchKey", "{location}");
        assert!(world.client.keys(location).await.unwrap().is_empty(), "{location}");
        assert_eq!(world.kept(location).await.len(), 1, "{location} cannot have freed it");
        chaos.turn(Mood::Honest);
        world.keeps(location, 0, "after a delete while it was down").await;
    }
}

/// F: tags that were set while the backend was down differed from then on.
#[tokio::test]
async fn tags_set_while_the_backend_is_down_show_there_later() {
    let world = World::start().await;
    for (location, chaos) in clouds(&world) {
        let path = format!("{location}/key");
        world.put(&path, "bytes").await;
        chaos.turn(Mood::Down);
        let tags = "<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>";
        let set = world.send(Call::new(Method::PUT, &path).query("tagging", "").body(tags)).await;
        assert_eq!(set.status, 200, "{location}: {}", set.text());
        let ours = world.send(Call::new(Method::GET, &path).query("tagging", "")).await;
        assert_eq!(ours.elements("Value"), ["red"], "{location}");
        chaos.turn(Mood::Honest);
        let name = format!("{location}/key");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let shown = match location {
                "azure" => world.stage.azurite.reader().unwrap().tags(CLOUD, &name).await.unwrap(),
                _ => {
                    let bucket = if location == "aws" { CLOUD } else { PLAIN };
                    let call = Call::new(Method::GET, &format!("{bucket}/{name}")).query("tagging", "");
                    world.stage.moto.client().unwrap().send(call).await.unwrap()
                }
            };
            if shown.elements("Value") == ["red"] {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{location}: {}", shown.text());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// G: where versions were expected and none came, the client got 503 and the bytes stayed.
#[tokio::test]
async fn a_write_to_a_bucket_whose_versions_were_suspended_fails_and_leaves_nothing() {
    let world = World::start().await;
    world.put("aws/before", "bytes").await;
    assert_eq!(set_versioning(&world.stage.moto.client().unwrap(), CLOUD, "Suspended").await.unwrap(), 200);
    for size in [10, LARGE] {
        let answer = world.client.put("aws/key", vec![7; size]).await.unwrap();
        assert!(answer.status.is_server_error() && !answer.code().is_empty(), "{} {}", answer.status, answer.text());
        assert_eq!(world.client.get("aws/key").await.unwrap().status, 404);
        world.keeps("aws", 1, "after a write without a version").await;
    }
    assert_eq!(world.text("aws/before").await, "bytes");
    assert_eq!(set_versioning(&world.stage.moto.client().unwrap(), CLOUD, "Enabled").await.unwrap(), 200);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while world.client.put("aws/key", "again").await.unwrap().status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "it does not heal");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// M: bytes that somebody removed from Azure looked like a backend that was down.
#[tokio::test]
async fn bytes_that_somebody_removed_answer_location_not_found() {
    let mut world = World::start().await;
    for location in LOCATIONS {
        let path = format!("{location}/key");
        world.put(&path, "bytes").await;
        match location {
            "us-east-1" => {
                for file in world.kept(location).await {
                    std::fs::remove_file(file).unwrap();
                }
            }
            "azure" => {
                let reader = world.stage.azurite.reader().unwrap();
                assert_eq!(reader.delete(CLOUD, "azure/key").await.unwrap().status, 202);
            }
            _ => {
                let bucket = if location == "aws" { CLOUD } else { PLAIN };
                let moto = world.stage.moto.client().unwrap();
                let versions = moto.send(Call::new(Method::GET, bucket).query("versions", "")).await.unwrap();
                let id = versions.elements("VersionId").remove(0);
                let call = Call::new(Method::DELETE, &format!("{bucket}/{location}/key"));
                let call = if location == "aws" { call.query("versionId", &id) } else { call };
                assert_eq!(moto.send(call).await.unwrap().status, 204);
            }
        }
        let answer = world.client.get(&path).await.unwrap();
        let told = (answer.status.as_u16(), answer.code());
        assert_eq!(told, (424, "LocationNotFound".to_owned()), "{location}\n{}", world.gateway.log());
        // A new write mends it.
        world.put(&path, "again").await;
        assert_eq!(world.text(&path).await, "again", "{location}");
    }
}

/// U: a location that could not work was not told of, and failed when it was used.
#[tokio::test]
async fn locations_that_cannot_work_are_told_at_the_start_and_stop_no_other() {
    let stage = Stage::start().await.unwrap();
    stage.before_azurite.turn(Mood::Down);
    let mut locations = stage.locations();
    let mut gone = locations["aws"].clone();
    gone["details"]["bucketName"] = "absent".into();
    let mut unversioned = locations["aws"].clone();
    unversioned["details"]["bucketName"] = PLAIN.into();
    locations["gone"] = gone;
    locations["unversioned"] = unversioned;
    let mut gateway = Setup::with_locations(locations).start().await.unwrap();
    let log = gateway.log();
    let client = gateway.client().unwrap();
    for (location, cause) in [("gone", "absent"), ("unversioned", "versioning"), ("azure", "azure")] {
        let told = log.lines().any(|line| line.contains(location) && line.contains(cause));
        assert!(told, "{location} is not in\n{log}");
        let bucket = format!("in-{location}");
        if client.create_bucket(&bucket, location).await.unwrap().status == 200 {
            let answer = client.put(&format!("{bucket}/key"), "bytes").await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "ServiceUnavailable"), "{location}");
            assert!(answer.text().contains(location), "{}", answer.text());
        }
    }
    for location in ["us-east-1", "aws", "plain-aws"] {
        let bucket = format!("in-{location}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        assert_eq!(client.put(&format!("{bucket}/key"), "bytes").await.unwrap().status, 200, "{location}");
    }
}
