//! What CloudServer got wrong, confirmed by running it, and what happens here instead.
//! The letters are those of `docs/cloudserver-defects.md`.

mod backends;
mod names;
mod objects;
mod uploads;

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::stage::{CLOUD, PLAIN, Stage};
use std::time::Duration;
use tokio::time::Instant;

/// One of each kind: a folder, S3 with versions and without, Azure.
const LOCATIONS: [&str; 4] = ["us-east-1", "aws", "plain-aws", "azure"];
/// More than a gateway verifies before it sends the first byte on.
const LARGE: usize = 1_500_000;
const FREED_WITHIN: Duration = Duration::from_secs(60);

/// A gateway over real backends, with one bucket in each location that is named like it.
struct World {
    stage: Stage,
    gateway: Gateway,
    client: Client,
}

impl World {
    async fn start() -> Self {
        let stage = Stage::start().await.unwrap();
        let gateway = Setup::with_locations(stage.locations())
            .environment("SALLYPORT_SWEEP_INTERVAL_MS", "100")
            .environment("SALLYPORT_DELETION_DELAY_MS", "0")
            .environment("MPU_TESTING", "yes")
            .start()
            .await
            .unwrap();
        let client = gateway.client().unwrap();
        for location in LOCATIONS {
            let created = client.create_bucket(location, location).await.unwrap();
            assert_eq!(created.status, 200, "{}", created.text());
        }
        Self { stage, gateway, client }
    }

    async fn put(&self, path: &str, body: impl Into<bytes::Bytes>) -> Answer {
        let body = body.into();
        let call = Call::new(Method::PUT, path);
        // hyper says no length of nothing, which S3 wants said.
        let call = if body.is_empty() { call.header("content-length", "0") } else { call };
        let answer = self.send(call.body(body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.client.get(path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    async fn send(&self, call: Call) -> Answer {
        self.client.send(call).await.unwrap()
    }

    /// Everything that a location keeps on its backend, or in its folder.
    async fn kept(&self, location: &str) -> Vec<String> {
        if location != "us-east-1" {
            return self.stage.kept(location).await.unwrap();
        }
        let mut found = Vec::new();
        let mut folders = vec![self.gateway.folder().join("data")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
                if path.is_dir() { folders.push(path) } else { found.push(path.display().to_string()) }
            }
        }
        found
    }

    async fn keeps(&self, location: &str, objects: usize, why: &str) {
        let deadline = Instant::now() + FREED_WITHIN;
        loop {
            let kept = self.kept(location).await;
            if kept.len() == objects {
                return;
            }
            assert!(Instant::now() < deadline, "{location} {why}: {objects} expected, kept {kept:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An object as its backend shows it, by its name there.
    async fn shown(&self, location: &str, name: &str) -> Answer {
        let bucket = if location == "plain-aws" { PLAIN } else { CLOUD };
        match location {
            "azure" => self.stage.azurite.reader().unwrap().get(CLOUD, name).await.unwrap(),
            _ => self.stage.moto.client().unwrap().get(&format!("{bucket}/{name}")).await.unwrap(),
        }
    }
}

fn copy(to: &str, from: &str) -> Call {
    Call::new(Method::PUT, to).header("x-amz-copy-source", &sallyport_tests::signing::encode(from, false))
}

fn copy_of_version(to: &str, from: &str, version: &str) -> Call {
    let from = sallyport_tests::signing::encode(from, false);
    Call::new(Method::PUT, to).header("x-amz-copy-source", &format!("{from}?versionId={version}"))
}

fn version(call: Call, version: &str) -> Call {
    call.query("versionId", version)
}

async fn create_upload(world: &World, call: Call) -> String {
    let answer = world.send(call.query("uploads", "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.elements("UploadId").remove(0)
}

fn part(path: &str, upload: &str, number: usize) -> Call {
    Call::new(Method::PUT, path).query("uploadId", upload).query("partNumber", &number.to_string())
}

async fn complete(world: &World, path: &str, upload: &str, etags: &[String]) -> Answer {
    let mut list = String::new();
    for (index, etag) in etags.iter().enumerate() {
        list.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", index + 1));
    }
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let answer = world.send(Call::new(Method::POST, path).query("uploadId", upload).body(body)).await;
    assert!(answer.text().contains("<CompleteMultipartUploadResult"), "{}", answer.text());
    answer
}
