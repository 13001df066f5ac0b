//! Real backends behind proxies that can misbehave, with the locations that use them.

use crate::chaos::Chaos;
use crate::client::{Answer, Call, Client};
use crate::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Moto};
use anyhow::{Result, bail, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// The bucket of the location `aws`, and the container of `azure`.
pub const CLOUD: &str = "cloud";
/// The bucket of the location `plain-aws`, which has no versions.
pub const PLAIN: &str = "plain";

/// How often a listing that met a change is asked for again.
const LISTINGS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// An S3 server and an Azure one, each with a proxy in front.
#[derive(Debug)]
pub struct Stage {
    /// Serves `aws` and `plain-aws`.
    pub moto: Moto,
    /// Serves `azure`.
    pub azurite: Azurite,
    /// What `aws` and `plain-aws` see of Moto.
    pub before_moto: Chaos,
    /// What `azure` sees of Azurite.
    pub before_azurite: Chaos,
}

impl Stage {
    /// Starts all of it, with the buckets that the locations want.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn start() -> Result<Self> {
        let (moto, azurite) = tokio::try_join!(Moto::start(), Azurite::start())?;
        let (before_moto, before_azurite) =
            tokio::try_join!(Chaos::before(moto.port()), Chaos::before(azurite.port()))?;
        let client = moto.client()?;
        for bucket in [CLOUD, PLAIN] {
            ensure!(client.create_bucket(bucket, "").await?.status == 200, "{bucket} was not created");
        }
        ensure!(set_versioning(&client, CLOUD, "Enabled").await? == 200, "Moto has no versioning");
        Ok(Self { moto, azurite, before_moto, before_azurite })
    }

    /// `aws` on a versioned bucket, `plain-aws` on one without versions, `azure`.
    #[must_use]
    pub fn locations(&self) -> Value {
        let endpoint = format!("127.0.0.1:{}", self.before_moto.port());
        let aws = |bucket: &str, versions: bool| {
            json!({ "type": "aws_s3", "legacyAwsBehavior": true, "details": {
                "awsEndpoint": endpoint, "bucketName": bucket, "bucketMatch": false, "supportsVersioning": versions,
                "credentials": { "accessKey": "testing", "secretKey": "testing" }, "https": false, "pathStyle": true
            } })
        };
        let azure = json!({ "type": "azure", "legacyAwsBehavior": true, "details": {
            "azureStorageEndpoint": format!("http://127.0.0.1:{}/{AZURITE_ACCOUNT}", self.before_azurite.port()),
            "azureContainerName": CLOUD, "bucketMatch": false,
            "azureStorageAccountName": AZURITE_ACCOUNT, "azureStorageAccessKey": AZURITE_KEY
        } });
        json!({ "aws": aws(CLOUD, true), "plain-aws": aws(PLAIN, false), "azure": azure })
    }

    /// All that a location keeps on its backend: objects in every version, delete markers,
    /// open uploads, blobs with nothing but uncommitted blocks.
    ///
    /// # Errors
    /// When the backend does not answer.
    pub async fn kept(&self, location: &str) -> Result<Vec<String>> {
        let bucket = match location {
            "azure" => return self.azurite.reader()?.names_with_uncommitted(CLOUD).await,
            "plain-aws" => PLAIN,
            _ => CLOUD,
        };
        let versions = self.list(bucket, "versions").await?;
        let uploads = self.list(bucket, "uploads").await?;
        ensure!(versions.elements("IsTruncated").first().is_none_or(|it| it == "false"), "more than a page");
        let mut kept = versions.elements("Key");
        kept.extend(uploads.elements("UploadId").into_iter().map(|id| format!("upload {id}")));
        Ok(kept)
    }

    /// Moto answers 500 to a listing while something changes under it, or closes the connection.
    async fn list(&self, bucket: &str, what: &str) -> Result<Answer> {
        let client = self.moto.client()?;
        for _ in 0..LISTINGS {
            if let Ok(answer) = client.send(Call::new(Method::GET, bucket).query(what, "")).await {
                if answer.status == 200 {
                    return Ok(answer);
                }
                ensure!(answer.status == 500, "{}", answer.text());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("Moto lists no {what} of {bucket}")
    }
}

/// Sets the versioning of a bucket; answers the status.
///
/// # Errors
/// When no whole answer arrives.
pub async fn set_versioning(client: &Client, bucket: &str, status: &str) -> Result<u16> {
    let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    let call = Call::new(Method::PUT, bucket).query("versioning", "").body(body);
    Ok(client.send(call).await?.status.as_u16())
}
