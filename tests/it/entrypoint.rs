//! The container's entry point, run without a container engine.

use sallyport_tests::client::Client;
use sallyport_tests::gateway::{ACCESS_KEY, Ran, SECRET_KEY, compiled_plugins};
use sallyport_tests::process::{Process, write};
use sallyport_tests::tools;
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// What the image has at `/usr/src/app`, with the documentation's mounts over it.
struct Container {
    root: TempDir,
}

impl Container {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // The unprivileged user has to come in, as into an image.
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (app, project) = (root.path().join("app"), tools::root());
        for file in ["config.json", "conf/authdata.json"] {
            write(&app, file, &std::fs::read_to_string(project.join(file)).unwrap()).unwrap();
        }
        let config = std::fs::read_to_string(project.join("config.json")).unwrap();
        // Where the image publishes port 8000 a test takes free ones.
        let config =
            config.replace("\"port\": 8000", "\"port\": 0").replace("\"metricsPort\": 8002", "\"metricsPort\": 0");
        write(&app, "config.json", &config).unwrap();
        let locations = json!({
            "us-east-1": { "type": "file", "objectId": "us-east-1", "legacyAwsBehavior": true, "details": {} },
            "cloud": { "type": "aws_s3", "legacyAwsBehavior": true, "details": {
                "awsEndpoint": "127.0.0.1:9", "bucketName": "b", "bucketMatch": true, "https": false,
                "credentialsProfile": "zenko"
            } }
        });
        write(&app, "locationConfig.json", &locations.to_string()).unwrap();
        std::fs::create_dir_all(app.join("plugins")).unwrap();
        for plugin in ["local.wasm", "aws_s3.wasm", "SHA256SUMS"] {
            std::fs::copy(tools::plugins().unwrap().join(plugin), app.join("plugins").join(plugin)).unwrap();
        }
        std::fs::create_dir(root.path().join("bin")).unwrap();
        let (built, installed) = (tools::sallyport().unwrap(), root.path().join("bin/sallyport"));
        if std::fs::hard_link(&built, &installed).is_err() {
            std::fs::copy(&built, &installed).unwrap();
        }
        Self { root }
    }

    fn app(&self) -> PathBuf {
        self.root.path().join("app")
    }

    /// `docker run` with these variables and this command.
    fn run(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
        // By its first line, as an engine starts it.
        let mut command = Command::new(tools::root().join("conf/docker-entrypoint.sh"));
        command.args(arguments).current_dir("/");
        let path = format!("{}:{}", self.root.path().join("bin").display(), std::env::var("PATH").unwrap());
        command.env_clear().env("PATH", path).env("HOME", self.root.path().join("home"));
        command.env("SALLYPORT_ROOT", self.app()).env("SALLYPORT_PLUGINS", self.app().join("plugins"));
        command.envs(variables.iter().copied());
        command
    }

    async fn output(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        Ran::of(&mut self.run(variables, arguments)).await.unwrap()
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn variable<'a>(output: &'a str, name: &str) -> Option<&'a str> {
    output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[tokio::test]
async fn the_documentations_docker_run_starts_a_server_that_keeps_its_files_in_the_mounts() {
    let container = Container::new();
    let (data, metadata) = (container.app().join("localData"), container.app().join("localMetadata"));
    write(container.root.path(), "home/.aws/credentials", "[zenko]\naws_access_key_id=a\naws_secret_access_key=b\n")
        .unwrap();
    // LISTEN_ADDR alone differs from the documentation: tests stay on loopback.
    let compiled = compiled_plugins();
    let variables = [
        ("S3DATA", "multiple"),
        ("ENDPOINT", "http://my.host:8000"),
        ("LISTEN_ADDR", "127.0.0.1"),
        ("SALLYPORT_CACHE_DIR", compiled.to_str().unwrap()),
    ];
    let mut process = Process::start(&mut container.run(&variables, &[])).unwrap();
    let endpoint = process
        .line(|line| line.split_once("sallyport listening on ").map(|(_, rest)| rest.to_owned()))
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    let client = Client::new(&endpoint, ACCESS_KEY, SECRET_KEY).unwrap().at_host("my.host");
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    assert_eq!(client.put("bucket/key", "bytes").await.unwrap().status, 200);
    assert_eq!(client.get("bucket/key").await.unwrap().text(), "bytes");
    assert!(data.join("us-east-1").is_dir() && metadata.read_dir().unwrap().count() > 0);
    // The mounted profile was found: only the endpoint is wrong.
    let log = process.output();
    assert!(log.contains("location cloud, details: bucket 'b'"), "{log}");
    assert!(process.stop().await.unwrap().success(), "SIGTERM reaches the server:\n{}", process.output());
}

#[test]
fn the_image_is_made_of_files_that_are_there() {
    let text = std::fs::read_to_string(tools::root().join("Dockerfile")).unwrap();
    let own = text.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from="));
    let sources =
        own.flat_map(|line| line.split_whitespace().rev().skip(1)).filter(|source| ![".", "COPY"].contains(source));
    for source in sources {
        assert!(tools::root().join(source).exists(), "{source} is not there");
    }
    for built in ["/src/target/release/sallyport", "/src/target/plugins"] {
        assert!(text.contains(&format!("COPY --from=build {built} ")), "{built}");
    }
    let left_out = std::fs::read_to_string(tools::root().join(".dockerignore")).unwrap();
    for built in [".git", "**/target", "tests/.tools"] {
        assert!(left_out.lines().any(|line| line == built), "{built} would be copied into the build");
    }
    assert!(text.contains("ENTRYPOINT [\"/usr/src/app/conf/docker-entrypoint.sh\"]"));
    let script = std::fs::metadata(tools::root().join("conf/docker-entrypoint.sh")).unwrap();
    assert_eq!(script.mode() & 0o111, 0o111, "the entry point cannot be executed");
    // The documentation's mounts: volumes where the script looks for them.
    for mount in ["/usr/src/app/localData", "/usr/src/app/localMetadata"] {
        assert!(text.lines().any(|line| line.starts_with("VOLUME") && line.contains(mount)), "{mount}");
    }
    assert!(text.lines().any(|line| line.starts_with("EXPOSE 8000")));
}

#[tokio::test]
async fn the_script_prepares_what_the_image_promises_and_leaves_what_is_set() {
    let container = Container::new();
    let shown = container.output(&[], &["env"]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.errors);
    let app = container.app();
    for (name, value) in [
        ("LISTEN_ADDR", "0.0.0.0".to_owned()),
        ("S3DATAPATH", app.join("localData").display().to_string()),
        ("S3METADATAPATH", app.join("localMetadata").display().to_string()),
    ] {
        assert_eq!(variable(&shown.output, name), Some(value.as_str()), "{}", shown.output);
    }
    let elsewhere = container.root.path().join("elsewhere").display().to_string();
    let shown = container.output(&[("S3DATAPATH", elsewhere.as_str()), ("LISTEN_ADDR", "127.0.0.1")], &["env"]).await;
    assert_eq!(variable(&shown.output, "S3DATAPATH"), Some(elsewhere.as_str()));
    assert_eq!(variable(&shown.output, "LISTEN_ADDR"), Some("127.0.0.1"));
    assert!(Path::new(&elsewhere).is_dir(), "the folder is made");
    for arguments in
        [&["--version"][..], &["check", "--help"][..], &["rebind", "--help"][..], &["sallyport", "--version"][..]]
    {
        let ran = container.output(&[], arguments).await;
        assert!(
            ran.code == Some(0) && ran.output.contains("sallyport"),
            "{arguments:?}: {} {}",
            ran.output,
            ran.errors
        );
    }
}

#[tokio::test]
async fn a_variable_whose_name_no_shell_can_export_reaches_the_server() {
    let container = Container::new();
    let name = "azure-test_AZURE_STORAGE_ACCESS_KEY";
    for user in ["nobody", "none-of-that-name"] {
        let shown = container.output(&[(name, "a2V5"), ("SALLYPORT_USER", user)], &["env"]).await;
        assert_eq!(variable(&shown.output, name), Some("a2V5"), "{user}: {} {}", shown.output, shown.errors);
    }
}

#[tokio::test]
async fn each_command_that_help_lists_is_the_servers() {
    let container = Container::new();
    let help = container.output(&[], &["help"]).await;
    assert_eq!(help.code, Some(0), "{}", help.errors);
    let listed =
        help.output.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.contains(&"key") && commands.contains(&"import"), "{commands:?}");
    for command in commands.into_iter().filter(|command| !["", "help"].contains(command)) {
        let ran = container.output(&[], &[command, "--help"]).await;
        assert_eq!(ran.code, Some(0), "{command}: {}", ran.errors);
        assert!(ran.output.contains(&format!("sallyport {command}")), "{command}: {}", ran.output);
    }
}

#[tokio::test]
async fn what_variables_name_is_handed_over_as_well() {
    if !is_root() {
        eprintln!("skipped: the tests do not run as root, and only root can give it up");
        return;
    }
    let container = Container::new();
    let app = container.app();
    let place = |name: &str| app.join(name).display().to_string();
    let certificates =
        json!({ "port": 0, "certFilePaths": { "key": "tls/server.key", "cert": place("tls/server.crt") } }).to_string();
    for (name, text) in [
        ("conf/mine.json", "of-locations"),
        ("secrets/accounts.json", "of-accounts"),
        ("secrets/aws", "of-profiles"),
        ("tls/server.key", "of-the-key"),
        ("tls/server.crt", "of-the-certificate"),
        ("secrets/config.json", certificates.as_str()),
    ] {
        let file = write(&app, name, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    for name in ["data", "metadata"] {
        std::fs::create_dir(app.join(name)).unwrap();
    }
    let (accounts, profiles, config) =
        (place("secrets/accounts.json"), place("secrets/aws"), place("secrets/config.json"));
    let (data, metadata) = (place("data"), place("metadata"));
    let variables = [
        ("SALLYPORT_USER", "nobody"),
        ("S3_LOCATION_FILE", "mine.json"),
        ("S3AUTH_CONFIG", accounts.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", profiles.as_str()),
        ("S3_CONFIG_FILE", config.as_str()),
        ("SALLYPORT_DATA_DIR", data.as_str()),
        ("SALLYPORT_METADATA_DIR", metadata.as_str()),
    ];
    let script = "cat \"$S3_LOCATION_FILE\" \"$S3AUTH_CONFIG\" \"$AWS_SHARED_CREDENTIALS_FILE\"; echo; \
                  grep -o '\"/[^\"]*\"' \"$S3_CONFIG_FILE\" | xargs cat; echo; \
                  touch \"$SALLYPORT_DATA_DIR/mine\" \"$SALLYPORT_METADATA_DIR/mine\" && echo may-write";
    let ran = container.output(&variables, &["sh", "-c", script]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    for wanted in ["of-locations", "of-accounts", "of-profiles", "of-the-key", "of-the-certificate", "may-write"] {
        assert!(ran.output.contains(wanted), "{wanted}:\n{}", ran.output);
    }
    let kept = std::fs::metadata(app.join("tls/server.key")).unwrap();
    assert_eq!((kept.uid(), kept.mode() & 0o777), (0, 0o600), "the mount is the host's own file");
}

#[tokio::test]
async fn root_is_given_up_and_what_only_root_may_read_is_handed_over() {
    if !is_root() {
        eprintln!("skipped: the tests do not run as root, and only root can give it up");
        return;
    }
    let container = Container::new();
    let app = container.app();
    let secret = write(container.root.path(), "home/.aws/credentials", "[zenko]\nx = 1\n").unwrap();
    let mounted = app.join("localData");
    std::fs::create_dir(&mounted).unwrap();
    for (file, mode) in [(secret.as_path(), 0o600), (&app.join("locationConfig.json"), 0o600), (&mounted, 0o700)] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let variables = [("SALLYPORT_USER", "nobody")];
    let script = "id -un; grep NoNewPrivs /proc/self/status; env; \
                  cat \"$AWS_SHARED_CREDENTIALS_FILE\" \"$S3_LOCATION_FILE\"; echo; \
                  touch \"$S3DATAPATH/mine\" && echo may-write; \
                  test -w \"$SALLYPORT_ROOT/config.json\" || echo config-is-safe";
    let ran = container.output(&variables, &["sh", "-c", script]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    let lines: Vec<&str> = ran.output.lines().collect();
    assert_eq!(lines[0], "nobody");
    assert_eq!(lines[1].split_whitespace().last(), Some("1"), "privileges may come back: {}", lines[1]);
    for wanted in ["[zenko]", "may-write", "config-is-safe"] {
        assert!(lines.contains(&wanted), "{wanted}:\n{}", ran.output);
    }
    assert!(ran.output.contains("\"credentialsProfile\""), "{}", ran.output);
    // What anybody can read stays where it is, so that changes to it are seen.
    assert_eq!(variable(&ran.output, "S3AUTH_CONFIG"), None);
    // The mounts are the host's own files: they are neither changed nor given away.
    for file in [secret.as_path(), &app.join("locationConfig.json")] {
        let metadata = std::fs::metadata(file).unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (0, 0o600), "{}", file.display());
    }
    // Compiling one plugin is enough here.
    std::fs::remove_file(app.join("plugins/aws_s3.wasm")).unwrap();
    let listed = container.output(&variables, &["check"]).await;
    assert!(listed.output.contains("us-east-1  local       ok"), "{} {}", listed.output, listed.errors);
}
