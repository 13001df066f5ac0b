//! moto: starts quickly, has versions, accepts any signature. See `tools/moto_server.py` for how it keeps them.

use crate::client::{Call, Client};
use crate::process::{Process, accepting, free_port};
use crate::tools;
use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    _folder: TempDir,
    _process: Process,
}

impl Moto {
    /// Starts one with nothing in it.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new(tools::python_program("python")?);
        command.arg(tools::root().join("tests/tools/moto_server.py"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).current_dir(folder.path());
        // Clients of these tests upload small parts.
        command.env("S3_UPLOAD_PART_MIN_SIZE", "1").env("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", "5241856");
        let mut process = Process::start(&mut command)?;
        accepting(&mut process, port).await?;
        Ok(Self { port, _folder: folder, _process: process })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client that reads it directly.
    ///
    /// # Errors
    /// Never for a local endpoint.
    pub fn client(&self) -> Result<Client> {
        Client::new(&format!("http://127.0.0.1:{}", self.port), "testing", "testing")
    }

    /// Makes the bucket `cloud`, and answers its client and the location whose place it is.
    ///
    /// # Errors
    /// When the bucket cannot be made.
    pub async fn location(&self, bucket_match: bool, versioning: bool) -> Result<(Client, Value)> {
        let backend = self.client()?;
        ensure!(backend.create_bucket("cloud", "").await?.status == 200, "moto made no bucket");
        if versioning {
            let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            let call = Call::new(Method::PUT, "cloud").query("versioning", "").body(enabled);
            ensure!(backend.send(call).await?.status == 200, "moto keeps no versions");
        }
        let details = json!({
            "awsEndpoint": format!("127.0.0.1:{}", self.port), "bucketName": "cloud", "bucketMatch": bucket_match,
            "supportsVersioning": versioning, "https": false, "pathStyle": true,
            "credentials": { "accessKey": "testing", "secretKey": "testing" }
        });
        Ok((backend, json!({ "type": "aws_s3", "legacyAwsBehavior": true, "details": details })))
    }
}
