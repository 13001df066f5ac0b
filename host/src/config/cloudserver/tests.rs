//! Each line of CloudServer's configuration, read from files as operators write them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::{Configuration, LogLevel, Problems, Severity, TlsSource};

struct Files {
    root: tempfile::TempDir,
    config: Value,
    locations: Value,
    variables: BTreeMap<String, String>,
    overrides: Overrides,
}

impl Files {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            config: json!({ "restEndpoints": { "localhost": "us-east-1" } }),
            locations: json!({
                "us-east-1": { "type": "x", "details": {} },
                "custom-location": { "type": "x", "details": {} },
            }),
            variables: BTreeMap::new(),
            overrides: Overrides::default(),
        }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn config(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn load(&self) -> (Option<Configuration>, Problems) {
        let account = json!({ "accounts": [{
            "name": "Bart", "email": "b@example.com", "arn": "arn:aws:iam::123456789012:root",
            "canonicalID": "79a5", "keys": [{ "access": "accessKey1", "secret": "verySecretKey1" }],
        }] });
        self.write("config.json", &self.config.to_string());
        self.write("locationConfig.json", &self.locations.to_string());
        self.write("conf/authdata.json", &account.to_string());
        load(self.root.path(), &self.overrides, &self.variables)
    }

    fn good(&self) -> Configuration {
        let (configuration, problems) = self.load();
        configuration.unwrap_or_else(|| panic!("{problems}"))
    }
}

fn fatal_fields(problems: &Problems) -> Vec<String> {
    let fatal = problems.iter().filter(|it| it.severity == Severity::Fatal);
    fatal.map(|it| it.field.clone().unwrap_or_default()).collect()
}

fn warned(problems: &Problems, field: &str) -> bool {
    let mut problems = problems.iter();
    problems.any(|it| it.severity == Severity::Warning && it.field.as_deref() == Some(field))
}

#[test]
fn the_shipped_files_load_without_a_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (configuration, problems) = load(root, &Overrides::default(), &BTreeMap::<String, String>::new());
    assert!(problems.is_empty(), "{problems}");
    let configuration = configuration.unwrap();
    assert_eq!(configuration.locations.len(), 16);
    assert!(configuration.locations.iter().all(|it| it.kind == "local" && it.details.is_empty()));
    let legacy = configuration.locations.iter().filter(|it| it.legacy_aws_behavior);
    assert_eq!(legacy.map(|it| it.name.as_str()).collect::<Vec<_>>(), ["us-east-1"]);
    assert_eq!(configuration.listen, ["127.0.0.1:8000".parse().unwrap()]);
    assert_eq!(configuration.metrics_listen, ["127.0.0.1:8002".parse().unwrap()]);
    assert_eq!(configuration.accounts.len(), 2);
}

#[test]
fn the_documentations_locations_load() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let overrides =
        Overrides { locations: Some(root.join("conf/examples/locationConfig.json")), ..Overrides::default() };
    let (configuration, problems) = load(root, &overrides, &BTreeMap::<String, String>::new());
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(configuration.unwrap().locations.len(), 3);
}

#[test]
fn each_fatal_mistake_is_named() {
    let cases = [
        ("restEndpoints", json!(null), "restEndpoints"),
        ("restEndpoints", json!({ "custom": "nowhere" }), "restEndpoints.custom"),
        ("restEndpoints", json!({ "custom": 1 }), "restEndpoints.custom"),
        ("restEndpoints", json!({ "a": "us-east-1", "A:80": "custom-location" }), "restEndpoints.a"),
        ("port", json!(70000), "port"),
        ("listenOn", json!(["nonsense:1"]), "listenOn"),
        ("listenOn", json!("127.0.0.1:1"), "listenOn"),
        ("metricsListenOn", json!(["x"]), "metricsListenOn"),
        ("certFilePaths", json!({ "key": "k" }), "certFilePaths"),
        ("regions", json!({}), "regions"),
        ("usEastBehavior", json!(true), "usEastBehavior"),
        ("sproxyd", json!({}), "sproxyd"),
        ("outboundProxy", json!({ "url": "https://proxy:1" }), "outboundProxy.url"),
    ];
    for (key, value, field) in cases {
        let (configuration, problems) = Files::new().config(key, value.clone()).load();
        assert!(configuration.is_none(), "{key} {value}");
        assert_eq!(fatal_fields(&problems), [field], "{key} {value}: {problems}");
    }
    for (name, value) in
        [("S3DATA", "disk"), ("S3BACKEND", "multiple"), ("HTTP_PROXY", "host:1"), ("LISTEN_ADDR", "everywhere")]
    {
        let (configuration, problems) = Files::new().variable(name, value).load();
        assert!(configuration.is_none(), "{name}");
        assert_eq!(fatal_fields(&problems), [name], "{problems}");
    }
}

#[test]
fn a_url_that_names_no_proxy_stops_the_start_wherever_it_is() {
    for url in ["http://proxy:notaport", "http://127.0.0.1:99999", "http://user:pa/ss@proxy:3128", "http://:3128"] {
        let by_file = Files::new().config("outboundProxy", json!({ "url": url }));
        for (files, field) in [
            (Files::new().variable("HTTP_PROXY", url), "HTTP_PROXY"),
            (Files::new().variable("HTTPS_PROXY", url), "HTTPS_PROXY"),
            (by_file, "outboundProxy.url"),
        ] {
            let (configuration, problems) = files.load();
            assert!(configuration.is_none(), "{url}");
            assert_eq!(fatal_fields(&problems), [field], "{url}: {problems}");
            assert!(!problems.to_string().contains("pa/ss"), "{problems}");
        }
    }
}

#[test]
fn files_that_cannot_be_read_are_reported_together() {
    let files = Files::new()
        .variable("S3_CONFIG_FILE", "/absent/config.json")
        .variable("S3_LOCATION_FILE", "twice.json")
        .variable("S3AUTH_CONFIG", "broken.json");
    files.write("twice.json", r#"{"us-east-1":{"type":"x"},"us-east-1":{"type":"y"}}"#);
    files.write("conf/broken.json", "{");
    let (configuration, problems) = files.load();
    assert!(configuration.is_none());
    let mut named: Vec<_> = problems.iter().map(|it| it.file.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["/absent/config.json", "conf/broken.json", "twice.json"], "{problems}");
}

#[test]
fn one_file_that_cannot_be_read_hides_no_mistake_of_the_others() {
    for absent in ["S3_CONFIG_FILE", "S3_LOCATION_FILE", "S3AUTH_CONFIG"] {
        let mut files = Files::new().config("port", json!(70000)).config("restEndpoints", json!({ "a": "nowhere" }));
        files.locations["us-east-1"]["objectId"] = json!("same");
        files.locations["custom-location"]["objectId"] = json!("same");
        files.locations["custom-location"]["accounts"] = json!(["nobody"]);
        files.write("tenants/nobody.json", "{}");
        let files = files.config("tenantLocations", json!("tenants")).variable(absent, "/absent.json");
        let (configuration, problems) = files.load();
        assert!(configuration.is_none(), "{absent}");
        let told = problems.to_string();
        for (mistake, of) in [
            ("/absent.json: cannot be read", ""),
            ("config.json, port: ", "S3_CONFIG_FILE"),
            ("same is also that of", "S3_LOCATION_FILE"),
        ] {
            assert_eq!(told.contains(mistake), of != absent, "{absent}, {mistake}: {told}");
        }
        assert_eq!(told.contains("nowhere is not a location"), absent == "S3AUTH_CONFIG", "{absent}: {told}");
        let misses_accounts = told.contains("nobody");
        assert_eq!(misses_accounts, absent == "S3_CONFIG_FILE", "{absent}: {told}");
    }
}

#[test]
fn where_it_listens_follows_the_strongest_wish() {
    let cases = [
        (Files::new(), "127.0.0.1:8000", "127.0.0.1:8002"),
        (Files::new().config("port", json!(0)), "127.0.0.1:0", "127.0.0.1:8002"),
        (Files::new().config("listenOn", json!(["[::1]:9"])), "[::1]:9", "127.0.0.1:8002"),
        (Files::new().config("metricsPort", json!(7)), "127.0.0.1:8000", "127.0.0.1:7"),
        (Files::new().variable("LISTEN_ADDR", "0.0.0.0"), "0.0.0.0:8000", "0.0.0.0:8002"),
        (Files::new().variable("LISTEN_ADDR", "127.0.0.2:5"), "127.0.0.2:5", "127.0.0.2:8002"),
    ];
    for (files, listen, metrics) in cases {
        let configuration = files.good();
        assert_eq!(configuration.listen, [listen.parse().unwrap()]);
        assert_eq!(configuration.metrics_listen, [metrics.parse().unwrap()]);
    }
    let mut files = Files::new().variable("LISTEN_ADDR", "0.0.0.0");
    files.overrides.listen = vec!["127.0.0.1:1".parse().unwrap()];
    assert_eq!(files.good().listen, files.overrides.listen);
}

#[test]
fn known_keys_warn_only_beyond_loopback() {
    let (_, problems) = Files::new().variable("LISTEN_ADDR", "0.0.0.0").load();
    assert!(problems.to_string().contains("accessKey1"), "{problems}");
    let (_, problems) = Files::new().load();
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn keys_from_the_environment_replace_the_file() {
    let configuration = Files::new()
        .variable("SCALITY_ACCESS_KEY_ID", "mine")
        .variable("SCALITY_SECRET_ACCESS_KEY", "hush")
        .variable("S3AUTH_CONFIG", "absent.json")
        .good();
    assert_eq!(configuration.accounts.len(), 1);
    assert_eq!(configuration.accounts[0].name, "CustomAccount");
    assert_eq!(configuration.accounts[0].keys[0].access, "mine");
    assert!(!format!("{configuration:?}").contains("hush"));
    let (configuration, problems) = Files::new().variable("SCALITY_ACCESS_KEY_ID", "mine").load();
    assert_eq!(configuration.unwrap().accounts[0].name, "Bart");
    assert!(warned(&problems, "SCALITY_ACCESS_KEY_ID"), "{problems}");
}

#[test]
fn each_variable_reaches_its_setting() {
    let configuration = Files::new()
        .config("log", json!({ "logLevel": "error", "dumpLevel": "error" }))
        .config("healthChecks", json!({ "allowFrom": ["10.0.0.0/8"] }))
        .variable("ENDPOINT", "http://Localhost:8000/,other")
        .variable("LOG_LEVEL", "trace")
        .variable("SSL", "1")
        .variable("http_proxy", "http://u:hush@proxy:1")
        .variable("NO_PROXY", "a, *.b")
        .variable("PRE_SIGN_URL_EXPIRY", "60000")
        .variable("MPU_TESTING", "yes")
        .variable("HEALTHCHECKS_ALLOWFROM", "192.168.0.0/16")
        .variable("S3DATAPATH", "/d")
        .variable("S3METADATAPATH", "m")
        .good();
    assert_eq!(configuration.rest_endpoints["other"], "us-east-1");
    assert_eq!(configuration.rest_endpoints.len(), 2);
    assert_eq!(configuration.log.level, LogLevel::Trace);
    assert_eq!(configuration.proxies.http.as_ref().unwrap().reveal(), "http://u:hush@proxy:1");
    assert_eq!(configuration.proxies.no_proxy, ["a", "*.b"]);
    assert_eq!(configuration.presign_expiry, Some(Duration::from_secs(60)));
    assert!(configuration.mpu_testing);
    assert_eq!(configuration.health_allow.len(), 4);
    assert_eq!(configuration.data_dir, Path::new("/d"));
    assert_eq!(configuration.metadata_dir, configuration.root.join("m"));
    assert!(matches!(configuration.tls, Some(TlsSource::Generated { ref hosts, .. })
        if hosts == &["localhost", "other"]));
    assert!(!format!("{configuration:?}").contains("hush"));
}

#[test]
fn each_spelling_of_a_host_is_one_key() {
    for (written, host) in [
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
        ("http://[FD00::0A]:8000/", "fd00::a"),
        ("Localhost.:8000", "localhost"),
        ("s3.example.com.", "s3.example.com"),
        ("127.0.0.1:8000", "127.0.0.1"),
    ] {
        let configuration = Files::new().config("restEndpoints", json!({ written: "custom-location" })).good();
        let keys: Vec<_> = configuration.rest_endpoints.keys().collect();
        assert_eq!(keys, [host], "{written}");
    }
}

#[test]
fn certificates_are_found_from_the_root() {
    let files = Files::new().config("certFilePaths", json!({ "key": "./k", "cert": "/c" }));
    let Some(TlsSource::Files { key, certificate, authority }) = files.good().tls else {
        panic!("no certificate");
    };
    assert_eq!(key, files.root.path().join("./k"));
    assert_eq!((certificate.as_path(), authority), (Path::new("/c"), None));
}

#[test]
fn s3data_decides_whether_types_count() {
    for (variables, local) in [
        (vec![], false),
        (vec![("S3DATA", "multiple")], false),
        (vec![("S3DATA", "scality")], false),
        (vec![("S3DATA", "file")], true),
        (vec![("S3DATA", "mem")], true),
        (vec![("S3BACKEND", "file")], true),
        (vec![("S3BACKEND", "scality")], false),
        (vec![("S3BACKEND", "mem"), ("S3DATA", "multiple")], false),
    ] {
        let mut files = Files::new();
        for (name, value) in &variables {
            files = files.variable(name, value);
        }
        let configuration = files.good();
        assert_eq!(configuration.locations[0].kind == "local", local, "{variables:?}");
    }
}

#[test]
fn settings_without_effect_are_named_in_warnings() {
    let names = [
        "REMOTE_MANAGEMENT_DISABLE",
        "S3VAULT",
        "S3METADATA",
        "REDIS_HOST",
        "MONGODB_HOSTS",
        "S3DATA_NOSYNC",
        "QUOTA_X",
        "CI_CEPH",
        "AWS_S3_HTTPAGENT_KEEPALIVE",
        "nfs-one_PFSD_ENDPOINT",
    ];
    let keys = ["clusters", "replicationGroupId", "vaultd", "misspelt"];
    let mut files = Files::new();
    for name in names {
        files = files.variable(name, "1");
    }
    for key in keys {
        files = files.config(key, json!(1));
    }
    let (configuration, problems) = files.load();
    assert!(configuration.is_some(), "{problems}");
    for field in names.iter().chain(&keys) {
        assert!(warned(&problems, field), "{field}: {problems}");
    }
}
