//! Who is measured: Sallyport, its native twin, and what people use today, each started on a free port.

use anyhow::{Context, Result};
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{ACCESS_KEY, Gateway, SECRET_KEY, Setup};
use sallyport_tests::guests;
use sallyport_tests::process::{Process, accepting, free_port, write};
use sallyport_tests::tools;
use sallyport_tests::upstream::{CEPH_ACCESS_KEY, CEPH_SECRET_KEY, Ceph};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

use crate::load::{Content, Prepared};

/// The bucket that every server has.
pub(crate) const BUCKET: &str = "bench";
/// How long presigned requests last, in seconds.
const SIGNED_FOR: u32 = 86_400;

/// A running server with a bucket in it.
pub(crate) struct Server {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whose processor time and memory count; `None` where several processes share the work.
    pub(crate) process: Option<u32>,
    client: Client,
    kept: Kept,
}

enum Kept {
    Process { _process: Process, _folder: TempDir },
    Gateway(Box<Gateway>),
    Ceph(Ceph),
}

impl Server {
    fn new(
        name: &'static str,
        keys: (&str, &str),
        address: SocketAddr,
        process: Option<u32>,
        kept: Kept,
    ) -> Result<Self> {
        let client = Client::new(&format!("http://{address}"), keys.0, keys.1)?;
        Ok(Self { name, address, process, client, kept })
    }

    fn of_process(
        name: &'static str,
        keys: (&str, &str),
        port: u16,
        process: Process,
        folder: TempDir,
    ) -> Result<Self> {
        let id = process.id();
        Self::new(name, keys, local(port), id, Kept::Process { _process: process, _folder: folder })
    }

    /// A client that signs with a key that the server knows.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The gateway behind it, when it is one.
    pub(crate) fn gateway(&mut self) -> Option<&mut Gateway> {
        match &mut self.kept {
            Kept::Gateway(gateway) => Some(gateway),
            Kept::Process { .. } | Kept::Ceph(_) => None,
        }
    }

    /// The same server after a restart took another port.
    ///
    /// # Errors
    /// Never for an address.
    pub(crate) fn moved_to(self, address: SocketAddr) -> Result<Self> {
        let client = Client::new(&format!("http://{address}"), ACCESS_KEY, SECRET_KEY)?;
        let process = match &self.kept {
            Kept::Gateway(gateway) => gateway.process_id(),
            Kept::Process { .. } | Kept::Ceph(_) => self.process,
        };
        Ok(Self { address, client, process, ..self })
    }

    /// A presigned request.
    pub(crate) fn prepare(&self, call: &Call, method: http::Method, content: Content) -> Prepared {
        let url = self.client.presign(call, SIGNED_FOR);
        let target = url.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
        Prepared { method, target: target.unwrap_or("/").to_owned(), content }
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) async fn stop(self) -> Result<()> {
        match self.kept {
            Kept::Ceph(ceph) => ceph.stop().await,
            Kept::Process { .. } | Kept::Gateway(_) => Ok(()),
        }
    }

    async fn with_bucket(self, location: &str) -> Result<Self> {
        let answer = self.client.create_bucket(BUCKET, location).await?;
        anyhow::ensure!(answer.status.is_success(), "{}: {}: {}", self.name, answer.status, answer.text());
        Ok(self)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn role(name: &'static str, arguments: &[String]) -> Result<Server> {
    started_role(name, Command::new(std::env::current_exe()?), arguments).await
}

async fn started_role(name: &'static str, mut command: Command, arguments: &[String]) -> Result<Server> {
    let folder = tempfile::tempdir()?;
    command.arg("role").args(arguments).current_dir(folder.path());
    let mut process = Process::start(&mut command)?;
    let address: SocketAddr = process.line(|line| line.strip_prefix("listening on ")?.parse().ok()).await?;
    Server::of_process(name, (ACCESS_KEY, SECRET_KEY), address.port(), process, folder)
}

/// The upstream in memory.
pub(crate) async fn upstream() -> Result<Server> {
    role("upstream", &["upstream".to_owned()]).await
}

/// The same as if it were on another machine: it takes no processor from those who are measured.
pub(crate) async fn distant_upstream() -> Result<Server> {
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(std::env::current_exe()?);
    started_role("distant upstream", command, &["upstream".to_owned()]).await
}

/// A bare pipe to an upstream.
pub(crate) async fn pipe(upstream: &Server) -> Result<Server> {
    role("bare pipe", &["pipe".to_owned(), upstream.address.to_string()]).await
}

/// Sallyport with native code in the plugin's place.
pub(crate) async fn native(upstream: &Server) -> Result<Server> {
    role("native", &["native".to_owned(), upstream.address.to_string()]).await?.with_bucket("").await
}

/// A location on an upstream, through the plugin.
pub(crate) fn aws_s3_location(upstream: &Server) -> Value {
    json!({
        "type": "aws_s3",
        "legacyAwsBehavior": true,
        "details": {
            "awsEndpoint": upstream.address.to_string(),
            "bucketName": "backend",
            "bucketMatch": false,
            "https": false,
            "pathStyle": true,
            "credentials": { "accessKey": "key", "secretKey": "secret" }
        }
    })
}

async fn gateway(name: &'static str, setup: Setup, location: &str) -> Result<Server> {
    // What the peers do not do either by default.
    let setup = setup.config("log", json!({ "logLevel": "warn", "dumpLevel": "error" }));
    let gateway = setup.start().await?;
    let address = gateway.endpoint().strip_prefix("http://").context("an endpoint without http")?.parse()?;
    let process = gateway.process_id();
    let kept = Kept::Gateway(Box::new(gateway));
    Server::new(name, (ACCESS_KEY, SECRET_KEY), address, process, kept)?.with_bucket(location).await
}

/// Sallyport with its bucket on an upstream.
pub(crate) async fn sallyport(upstream: &Server) -> Result<Server> {
    gateway("sallyport", Setup::with_locations(json!({ "up": aws_s3_location(upstream) })), "up").await
}

/// Sallyport with its bucket in a location of somebody else's plugin.
pub(crate) async fn on_plugin(name: &'static str, plugins: &Path, location: Value) -> Result<Server> {
    gateway(name, Setup::with_locations(json!({ "up": location })).plugins(plugins), "up").await
}

/// Sallyport with two tenants, one of whom has a hostile plugin.
pub(crate) struct Siege {
    /// As the other one sees it.
    pub(crate) quiet: Server,
    /// Stores in the hostile location.
    pub(crate) attacker: Client,
    _plugins: TempDir,
}

/// The bucket of the hostile tenant.
pub(crate) const HOSTILE: &str = "hostile";

/// Two tenants, each with an upstream of their own.
pub(crate) async fn besieged(quiet: &Server, hostile: &Server) -> Result<Siege> {
    let plugins = tempfile::tempdir()?;
    tokio::fs::write(plugins.path().join("hostile.wasm"), guests::hostile().await?).await?;
    let with_accounts = |mut location: Value, account: &str| {
        if let Some(location) = location.as_object_mut() {
            location.insert("accounts".to_owned(), json!([account]));
        }
        location
    };
    let theirs = json!({
        "type": "hostile",
        "legacyAwsBehavior": false,
        "details": { "endpoint": format!("http://{}", hostile.address) },
    });
    let locations = json!({
        "up": with_accounts(aws_s3_location(quiet), "Bart"),
        "hostile": with_accounts(theirs, "Lisa"),
    });
    // Each attack is to reach the plugin.
    let setup = Setup::with_locations(locations).environment("SALLYPORT_BREAKER_CALLS", "0").plugins(plugins.path());
    let quiet = gateway("sallyport", setup, "up").await?;
    let attacker = Client::new(&format!("http://{}", quiet.address), "accessKey2", "verySecretKey2")?;
    let created = attacker.create_bucket(HOSTILE, "hostile").await?;
    anyhow::ensure!(created.status.is_success(), "{}: {}", created.status, created.text());
    Ok(Siege { quiet, attacker, _plugins: plugins })
}

/// Sallyport with its bucket in a folder.
pub(crate) async fn sallyport_local() -> Result<Server> {
    gateway("sallyport", Setup::with_locations(json!({})), "us-east-1").await
}

fn installed(path: &str) -> Result<PathBuf> {
    let path = tools::root().join("tests/.tools").join(path);
    anyhow::ensure!(path.exists(), "{} is not there: make bench installs it", path.display());
    Ok(path)
}

async fn started(
    name: &'static str,
    mut command: Command,
    keys: (&str, &str),
    port: u16,
    folder: TempDir,
) -> Result<Server> {
    let mut process = Process::start(&mut command)?;
    accepting(&mut process, port).await?;
    Server::of_process(name, keys, port, process, folder)
}

/// nginx as a reverse proxy, streaming, with kept connections.
pub(crate) async fn nginx(upstream: &Server) -> Result<Server> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let configuration = format!(
        "daemon off; worker_processes 2; pid {root}/pid; error_log {root}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_max_body_size 0; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;\n\
         fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; keepalive_requests 1000000;\n\
         upstream up {{ server {up}; keepalive 128; keepalive_requests 1000000; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_request_buffering off; proxy_buffering off; }} }} }}\n",
        root = folder.path().display(),
        up = upstream.address,
    );
    let file = write(folder.path(), "nginx.conf", &configuration)?;
    let mut command = Command::new(installed("nginx/root/usr/sbin/nginx")?);
    command.arg("-p").arg(folder.path()).arg("-c").arg(file).arg("-e").arg(folder.path().join("error.log"));
    // Its workers do the work, under a process that does none.
    let mut server = started("nginx", command, (ACCESS_KEY, SECRET_KEY), port, folder).await?;
    server.process = None;
    Ok(server)
}

/// s3s-proxy: aws-sdk-s3 behind a Rust front, without a sandbox.
pub(crate) async fn s3s_proxy(upstream: &Server) -> Result<Server> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let mut command = Command::new(installed("bin/s3s-proxy")?);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--endpoint-url", &format!("http://{}", upstream.address)]);
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "us-east-1");
    command.env("RUST_LOG", "error");
    started("s3s-proxy", command, (ACCESS_KEY, SECRET_KEY), port, folder).await
}

async fn rclone(remote: &str, environment: &[(&str, String)], folder: TempDir) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(tools::python_program("rclone")?);
    command.args(["serve", "s3", "--addr", &format!("127.0.0.1:{port}"), "--vfs-cache-mode", "off"]);
    command.args(["--auth-key", &format!("{ACCESS_KEY},{SECRET_KEY}"), remote]).env("RCLONE_CONFIG", "/dev/null");
    command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    started("rclone", command, (ACCESS_KEY, SECRET_KEY), port, folder).await
}

/// rclone before the upstream.
pub(crate) async fn rclone_proxy(upstream: &Server) -> Result<Server> {
    let environment = [
        ("RCLONE_CONFIG_UP_TYPE", "s3".to_owned()),
        ("RCLONE_CONFIG_UP_PROVIDER", "Other".to_owned()),
        ("RCLONE_CONFIG_UP_ENDPOINT", format!("http://{}", upstream.address)),
        ("RCLONE_CONFIG_UP_ACCESS_KEY_ID", "key".to_owned()),
        ("RCLONE_CONFIG_UP_SECRET_ACCESS_KEY", "secret".to_owned()),
    ];
    // Its buckets are the folders below the remote's path.
    let server = rclone("up:rclone", &environment, tempfile::tempdir()?).await?;
    server.with_bucket("").await
}

/// rclone over a folder.
pub(crate) async fn rclone_local() -> Result<Server> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().display().to_string();
    rclone(&path, &[], folder).await?.with_bucket("").await
}

/// s3s-fs over a folder.
pub(crate) async fn s3s_fs() -> Result<Server> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let mut command = Command::new(installed("bin/s3s-fs")?);
    command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY, "--host", "127.0.0.1"]);
    command.args(["--port", &port.to_string()]).arg(folder.path()).env("RUST_LOG", "error");
    started("s3s-fs", command, (ACCESS_KEY, SECRET_KEY), port, folder).await?.with_bucket("").await
}

/// Ceph's gateway with its store in memory; absent where its packages cannot be had.
pub(crate) async fn ceph() -> Result<Option<Server>> {
    if !Ceph::is_installed() {
        return Ok(None);
    }
    let ceph = Ceph::start().await?;
    let address = local(ceph.port());
    let server = Server::new("Ceph RGW (memory)", (CEPH_ACCESS_KEY, CEPH_SECRET_KEY), address, None, Kept::Ceph(ceph))?;
    Ok(Some(server.with_bucket("").await?))
}

/// The server that is measured, and where it is.
pub(crate) fn measured_server() -> Result<PathBuf> {
    tools::sallyport()
}

/// The folder of the database of a gateway.
pub(crate) fn metadata_folder(folder: &Path) -> PathBuf {
    folder.join("metadata")
}
