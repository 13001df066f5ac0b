//! The command line, end to end: help, versions, starts, ends, and the admin port.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use sallyport_tests::gateway::{Ran, Setup};
use sallyport_tests::signing::{Signer, Subject, sha256};
use sallyport_tests::tools;
use sallyport_tests::wait::until;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

async fn sallyport(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(tools::sallyport().unwrap());
    Ran::of(command.args(arguments).current_dir(folder.path())).await.unwrap()
}

#[tokio::test]
async fn help_teaches_each_command_and_its_settings() {
    let help = sallyport(&["--help"]).await;
    assert_eq!((help.code, help.errors.as_str()), (Some(0), ""));
    for command in ["serve", "check", "backup", "restore", "fsck", "rebind"] {
        assert!(help.output.contains(&format!("\n  {command} ")), "{}", help.output);
        let help = sallyport(&[command, "--help"]).await;
        assert_eq!(help.code, Some(0), "{command}");
        for setting in [
            "config",
            "locations",
            "auth",
            "plugins",
            "data-dir",
            "metadata-dir",
            "cache-dir",
            "listen",
            "metrics-listen",
        ] {
            assert!(help.output.contains(&format!("--{setting} <")), "{command} lacks --{setting}:\n{}", help.output);
            let variable = format!("SALLYPORT_{}", setting.replace('-', "_").to_uppercase());
            assert!(help.output.contains(&variable), "{command} lacks {variable}:\n{}", help.output);
        }
    }
    assert!(help.output.contains("s3cmd -c conf/s3cfg"), "{}", help.output);
    let version = sallyport(&["--version"]).await;
    assert_eq!((version.code, version.output.trim()), (Some(0), concat!("sallyport ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_a_hint() {
    for (arguments, hint) in [
        (&["serv"][..], "serve"),
        (&["serve", "--listen", "everywhere"][..], "--listen"),
        (&["serve", "--colour"][..], "--colour"),
        (&["rebind"][..], "<LOCATION>"),
        (&[][..], "Usage"),
    ] {
        let ran = sallyport(arguments).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.errors);
        assert!(ran.errors.contains(hint), "{arguments:?}: {}", ran.errors);
    }
    let nowhere = sallyport(&["check"]).await;
    assert_eq!(nowhere.code, Some(2));
    for file in ["config.json", "locationConfig.json", "conf/authdata.json"] {
        let line = nowhere.errors.lines().find(|line| line.starts_with(&format!("error: {file}: ")));
        assert!(line.is_some_and(|line| line.contains("cannot be read") && line.contains('→')), "{}", nowhere.errors);
    }
}

#[tokio::test]
async fn each_setting_works_as_a_variable_and_an_argument_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Setup::with_locations(json!({})).subcommand(folder.path(), &["check"]).unwrap();
    command.env("SALLYPORT_LOCATIONS", "/absent/by-variable.json");
    let ran = Ran::of(&mut command).await.unwrap();
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""), "the argument wins");
    let mut command = Command::new(tools::sallyport().unwrap());
    command.arg("check").env_clear().current_dir(folder.path());
    for (name, file) in [("CONFIG", "config.json"), ("LOCATIONS", "locationConfig.json")] {
        command.env(format!("SALLYPORT_{name}"), folder.path().join(file));
    }
    command.env("SALLYPORT_AUTH", tools::root().join("conf/authdata.json"));
    command.env("SALLYPORT_PLUGINS", tools::plugins().unwrap()).env("SALLYPORT_METADATA_DIR", folder.path().join("m"));
    command.env("SALLYPORT_CACHE_DIR", folder.path().join("compiled"));
    let ran = Ran::of(&mut command).await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    assert!(ran.output.contains("us-east-1  local       ok"), "{}", ran.output);
    assert!(folder.path().join("compiled").read_dir().unwrap().count() > 0, "nothing was compiled there");
}

#[tokio::test]
async fn a_variable_of_ours_that_makes_no_sense_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, hint) in [
        ("SALLYPORT_RESOLVE", "nonsense", "has no ="),
        ("SALLYPORT_RESOLVE", "s3.amazonaws.com=127.0.0.1", "no address:port"),
        ("SALLYPORT_SWEEP_INTERVAL_MS", "soon", "not a number of milliseconds"),
        ("SALLYPORT_DELETION_DELAY_MS", "-1", "not a number of milliseconds"),
        ("SALLYPORT_HEAL_INTERVAL_MS", "1s", "not a number of milliseconds"),
        ("SALLYPORT_LISTEN", "8000", "invalid socket address"),
    ] {
        let mut command = Setup::with_locations(json!({})).subcommand(folder.path(), &["serve"]).unwrap();
        command.env("SALLYPORT_METRICS_LISTEN", "127.0.0.1:0");
        if name != "SALLYPORT_LISTEN" {
            command.env("SALLYPORT_LISTEN", "127.0.0.1:0");
        }
        let ran = Ran::of(command.env(name, value)).await.unwrap();
        assert_eq!(ran.code, Some(2), "{name}={value}: {}", ran.errors);
        assert!(ran.errors.contains(hint), "{name}={value}: {}", ran.errors);
    }
}

#[tokio::test]
async fn a_second_start_on_the_same_metadata_is_refused_by_name() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let second = gateway.run(&["serve", "--listen", "127.0.0.1:0"]).await.unwrap();
    assert_eq!(second.code, Some(2), "{}", second.errors);
    let process = format!("process {}", gateway.process_id().unwrap());
    assert!(second.errors.contains(&process), "{}", second.errors);
    assert_eq!(gateway.run(&["check"]).await.unwrap().code, Some(0), "check goes beside a running server");
}

#[tokio::test]
async fn sigterm_lets_a_request_in_flight_come_to_its_end() {
    let mut gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let host = gateway.endpoint().trim_start_matches("http://").to_owned();
    let body = vec![5_u8; 300_000];
    let signer = Signer::new(sallyport_tests::gateway::ACCESS_KEY, sallyport_tests::gateway::SECRET_KEY);
    let subject = Subject { method: "PUT", path: "/bucket/key", query: "", host: &host };
    let headers: String = signer
        .headers(subject, &[], &sha256(&body))
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "PUT /bucket/key HTTP/1.1\r\nhost: {host}\r\n{headers}expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body, so the request is under way.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&asked));
    stream.write_all(&body[..100_000]).await.unwrap();
    gateway.terminate().await.unwrap();
    until("nobody new is accepted", async || TcpStream::connect(&host).await.is_err()).await;
    stream.write_all(&body[100_000..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(gateway.ended().await.unwrap().success(), "{}", gateway.log());
    gateway.restart().await.unwrap();
    assert_eq!(gateway.client().unwrap().get("bucket/key").await.unwrap().body, body);
}

#[tokio::test]
async fn the_admin_port_says_whether_it_lives_and_is_ready_and_counts() {
    let broken = json!({ "type": "ftp", "legacyAwsBehavior": false, "details": {} });
    let setup = Setup::with_locations(json!({ "broken": broken })).environment("HEALTHCHECKS_ALLOWFROM", "10.0.0.0/8");
    let mut gateway = setup.start().await.unwrap();
    let admin = gateway.admin().unwrap();
    assert_eq!(ask(&admin, "/live").await, (200, "live\n".to_owned()));
    assert_eq!(ask(&admin, "/ready").await, (200, "ready\n".to_owned()));
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    assert_eq!(client.get("bucket/absent").await.unwrap().status, 404);
    let (status, metrics) = ask(&admin, "/metrics").await;
    assert_eq!(status, 200);
    for line in ["sallyport_location_up{location=\"us-east-1\"} 1", "sallyport_location_up{location=\"broken\"} 0"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(metrics.lines().any(|line| line.starts_with("sallyport_plugin_calls_total{")), "{metrics}");
    // What is on the admin port is not on the other, and the other way round.
    assert_eq!(ask(gateway.endpoint(), "/metrics").await.0, 404, "a bucket that is not there");
    assert!(!ask(&admin, "/bucket").await.1.contains("ListBucketResult"));

    gateway.change(|setup| setup.location("us-east-1", broken_us_east()));
    gateway.stop_and_restart().await.unwrap();
    let (status, text) = ask(&gateway.admin().unwrap(), "/ready").await;
    assert_eq!((status, text.as_str()), (503, "no location works: broken, us-east-1\n"));
    assert_eq!(ask(&gateway.admin().unwrap(), "/live").await.0, 200);
}

#[tokio::test]
async fn a_server_that_can_write_no_metadata_any_more_is_not_ready() {
    let mut gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    // The nearest that one comes to a disk that fails: what is to be synced is not there any more.
    tokio::fs::remove_file(gateway.folder().join("metadata/metadata.sqlite-wal")).await.unwrap();
    assert_eq!(client.create_bucket("unheard", "").await.unwrap().status, 500);
    let (status, text) = ask(&gateway.admin().unwrap(), "/ready").await;
    let why = "the metadata's log could not be synced: see to the disk, then restart\n";
    assert_eq!((status, text.as_str()), (503, why));
    assert_eq!(client.head("bucket").await.unwrap().status, 200, "reads go on");
}

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the address is of TEST-NET-2.
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[tokio::test]
async fn the_admin_port_answers_only_who_is_allowed() {
    let Some(address) = own_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let mut gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let ask = async |admin: &str, path: &str| {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(address));
        let pool: Pool<HttpConnector, Empty<Bytes>> = Pool::builder(TokioExecutor::new()).build(connector);
        let answer = pool.get(format!("{admin}{path}").parse().unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned())
    };
    let admin = gateway.admin().unwrap();
    for path in ["/live", "/ready", "/status", "/metrics", "/_/healthcheck"] {
        let (status, text) = ask(&admin, path).await;
        assert_eq!(status, 403, "{path}");
        assert_eq!(text, format!("add {address} to healthChecks.allowFrom in config.json\n"));
    }
    // CloudServer 7 has its checks on the port of S3: they are no way around.
    let s3 = gateway.endpoint().to_owned();
    assert_eq!(ask(&s3, "/_/healthcheck").await.0, 403);

    gateway.change(|setup| setup.environment("HEALTHCHECKS_ALLOWFROM", &format!("198.51.100.0/24,{address}/32")));
    gateway.stop_and_restart().await.unwrap();
    let admin = gateway.admin().unwrap();
    assert_eq!(ask(&admin, "/live").await, (200, "live\n".to_owned()));
    assert_eq!(ask(&admin, "/status").await.0, 200);
    assert_eq!(ask(gateway.endpoint(), "/_/healthcheck").await.0, 200);
    // What changes something is for this machine alone, whoever may look.
    assert_eq!(ask(&admin, "/reload").await.0, 403);
}

fn broken_us_east() -> serde_json::Value {
    json!({ "type": "ftp", "legacyAwsBehavior": true, "details": {} })
}

pub(crate) async fn ask(endpoint: &str, path: &str) -> (u16, String) {
    let pool: Pool<HttpConnector, Empty<Bytes>> = Pool::builder(TokioExecutor::new()).build_http();
    let answer = pool.get(format!("{endpoint}{path}").parse().unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned())
}
