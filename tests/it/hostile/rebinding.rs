//! E3: names that mean another place each time they are looked up.

use super::repetitions;
use super::upstream::Upstream;
use async_trait::async_trait;
use sallyport_core::backend::{Backend, BackendError, Expectation, Name, Place, Projection, Put};
use sallyport_core::body;
use sallyport_core::names::{BucketName, LocationName, ObjectKey, WriteId};
use sallyport_plugin::{Diversion, HostOptions, Limits, LocationGrants, LocationSpec, PluginHost, Resolver, Trust};
use sallyport_tests::gateway::compiled_plugins;
use sallyport_tests::guests;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const NAME: &str = "rebinding.example.com";
const PUBLIC: &str = "8.8.8.8:80";

/// Answers with each of these in turn, over and over.
#[derive(Debug)]
struct Fickle {
    answers: Vec<Vec<SocketAddr>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Resolver for Fickle {
    async fn resolve(&self, name: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        assert_eq!(name, NAME);
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        Ok(self.answers[(*asked - 1) % self.answers.len()].clone())
    }
}

/// Leads what was checked to an upstream of this machine, and remembers what that was.
#[derive(Debug)]
struct Recorded {
    upstream: SocketAddr,
    checked: Mutex<Vec<SocketAddr>>,
}

impl Diversion for Recorded {
    fn divert(&self, checked: SocketAddr) -> std::io::Result<SocketAddr> {
        self.checked.lock().unwrap().push(checked);
        Ok(self.upstream)
    }
}

struct Rebinding {
    host: PluginHost,
    resolver: Arc<Fickle>,
    diversion: Arc<Recorded>,
    _folder: TempDir,
    _upstream: Upstream,
}

impl Rebinding {
    /// With a name that is answered so; addresses have ports.
    async fn between(answers: &[&[&str]]) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("hostile.wasm"), guests::hostile().await.unwrap()).unwrap();
        let upstream = Upstream::start().await;
        let answer = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        let resolver = Arc::new(Fickle { answers: answers.iter().map(answer).collect(), asked: Mutex::default() });
        let address = SocketAddr::from(([127, 0, 0, 1], upstream.port));
        let diversion = Arc::new(Recorded { upstream: address, checked: Mutex::default() });
        let host = PluginHost::new(HostOptions {
            plugin_folders: vec![folder.path().to_owned()],
            cache_folder: compiled_plugins(),
            data_folder: folder.path().join("data"),
            limits: Limits { handles: 10_000, resources: 10_000, ..Limits::default() },
            resolver: Some(resolver.clone()),
            diversion: Some(diversion.clone()),
            ..HostOptions::default()
        });
        Self { host: host.unwrap(), resolver, diversion, _folder: folder, _upstream: upstream }
    }

    /// A location of somebody who is not the operator, with connections of its own.
    async fn open(&self) -> Arc<dyn Backend> {
        let spec = LocationSpec {
            name: LocationName::parse("hostile").unwrap(),
            kind: "hostile".to_owned(),
            tenant: "t".to_owned(),
            is_trusted: false,
            details: json!({ "endpoint": format!("http://{NAME}") }),
            grants: LocationGrants::default(),
            limits: BTreeMap::new(),
            trust: Trust::default(),
        };
        self.host.open(spec).await.unwrap_or_else(|error| panic!("{error}")).backend
    }

    fn asked(&self) -> usize {
        *self.resolver.asked.lock().unwrap()
    }

    fn checked(&self) -> Vec<String> {
        let checked = self.diversion.checked.lock().unwrap();
        checked.iter().map(ToString::to_string).collect()
    }
}

/// What the plugin tells of a request, through its error.
async fn says(backend: &Arc<dyn Backend>, key: &str) -> String {
    let name =
        Name { bucket: BucketName::parse("bucket").unwrap(), key: ObjectKey::parse(key).unwrap(), place: Place::Plain };
    let put = Put {
        name,
        write_id: WriteId::random(),
        size: 1,
        expect: Expectation::Anything,
        object: Projection::default(),
        checksums: Vec::new(),
    };
    match backend.put(put, body::full("x")).await {
        Err(BackendError::Answered { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_a_name_is_looked_up_once_and_what_was_checked_is_connected_to() {
    let rebinding = Rebinding::between(&[&[PUBLIC], &["127.0.0.1:80"], &["169.254.169.254:80"]]).await;
    for round in 0..(repetitions() / 20).max(2) {
        for outcome in ["status 200", "DestinationIpProhibited", "DestinationIpProhibited"] {
            let asked = rebinding.asked();
            let said = says(&rebinding.open().await, &format!("ask/GET;http://{NAME}/fine")).await;
            assert!(said.contains(outcome), "{said}");
            assert_eq!(rebinding.asked(), asked + 1, "one look-up for one connection");
        }
        assert_eq!(rebinding.checked(), vec![PUBLIC; round + 1], "nothing but what was checked is connected to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_each_connection_is_checked_by_itself() {
    let rebinding = Rebinding::between(&[&[PUBLIC], &["10.0.0.1:80"]]).await;
    let backend = rebinding.open().await;
    let said = says(&backend, "flood/40").await;
    let refused: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(refused > 0 && rebinding.asked() > 1, "{said}");
    let checked = rebinding.checked();
    assert!(!checked.is_empty() && checked.iter().all(|address| address == PUBLIC), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_of_several_addresses_only_those_that_may_be_are_tried() {
    for (answer, connects) in [
        (["127.0.0.1:80", PUBLIC], true),
        ([PUBLIC, "127.0.0.1:80"], true),
        (["192.168.0.1:80", "[fd00:ec2::254]:80"], false),
        (["[::ffff:127.0.0.1]:80", "[64:ff9b::7f00:1]:80"], false),
    ] {
        let rebinding = Rebinding::between(&[&answer]).await;
        let said = says(&rebinding.open().await, &format!("ask/GET;http://{NAME}/fine")).await;
        assert_eq!(said.contains("status 200"), connects, "{answer:?}: {said}");
        assert_eq!(rebinding.checked(), if connects { vec![PUBLIC] } else { Vec::new() }, "{answer:?}");
    }
}
