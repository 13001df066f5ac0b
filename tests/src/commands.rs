//! The clients that people use, run as they run them.

use crate::gateway::{ACCESS_KEY, Gateway, SECRET_KEY};
use crate::process::write;
use crate::tools;
use anyhow::{Result, bail};
use tokio::process::Command;

/// Runs s3cmd with the shipped template, pointed at the gateway.
///
/// # Errors
/// When it exits with an error; the message has its output.
pub async fn s3cmd(gateway: &Gateway, arguments: &[&str]) -> Result<String> {
    let template = std::fs::read_to_string(tools::root().join("conf/s3cfg"))?;
    let host = gateway.endpoint().trim_start_matches("http://").trim_start_matches("https://");
    let pointed: Vec<_> = template
        .lines()
        .map(|line| match line.split('=').next().map(str::trim) {
            Some("host_base") => format!("host_base = {host}"),
            Some("host_bucket") => format!("host_bucket = {host}"),
            _ => line.to_owned(),
        })
        .collect();
    let file = write(gateway.folder(), "s3cfg", &pointed.join("\n"))?;
    let mut command = Command::new(tools::python_program("s3cmd")?);
    command.arg("-c").arg(file).args(arguments);
    output(gateway, command).await
}

/// Runs aws-cli (`s3 cp …`, `s3api …`).
///
/// # Errors
/// When it exits with an error.
pub async fn aws(gateway: &Gateway, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tools::python_program("aws")?);
    command.args(["--endpoint-url", gateway.endpoint()]).args(arguments);
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
    output(gateway, command).await
}

/// Runs a Python script that finds `s3`, a boto3 client of the gateway.
///
/// # Errors
/// When it raises.
pub async fn boto3(gateway: &Gateway, script: &str) -> Result<String> {
    let head = format!(
        "import boto3\nfrom botocore.client import Config\ns3 = boto3.client('s3', endpoint_url='{}', \
         region_name='us-east-1', config=Config(s3={{'addressing_style': 'path'}}, retries={{'max_attempts': 1}}))\n",
        gateway.endpoint()
    );
    let mut command = Command::new(tools::python_program("python")?);
    command.arg("-c").arg(head + script);
    output(gateway, command).await
}

/// Runs rclone; its remote is `gateway:`.
///
/// # Errors
/// When it exits with an error.
pub async fn rclone(gateway: &Gateway, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tools::python_program("rclone")?);
    command.args(arguments).env("RCLONE_CONFIG", "/dev/null");
    for (name, value) in [
        ("TYPE", "s3"),
        ("PROVIDER", "Other"),
        ("ENDPOINT", gateway.endpoint()),
        ("ACCESS_KEY_ID", ACCESS_KEY),
        ("SECRET_ACCESS_KEY", SECRET_KEY),
        ("FORCE_PATH_STYLE", "true"),
    ] {
        command.env(format!("RCLONE_CONFIG_GATEWAY_{name}"), value);
    }
    output(gateway, command).await
}

/// Runs s5cmd.
///
/// # Errors
/// When it exits with an error.
pub async fn s5cmd(gateway: &Gateway, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tools::python_program("s5cmd")?);
    command.args(["--endpoint-url", gateway.endpoint()]).args(arguments).env("AWS_REGION", "us-east-1");
    output(gateway, command).await
}

/// Runs a JavaScript module that finds `s3`, a client of the gateway, and `sdk`, its package.
///
/// # Errors
/// When it throws.
pub async fn javascript(gateway: &Gateway, script: &str) -> Result<String> {
    let head = format!(
        "const sdk = require('@aws-sdk/client-s3');\nconst s3 = new sdk.S3Client({{ endpoint: '{}', \
         region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 }});\n",
        gateway.endpoint()
    );
    let text =
        format!("{head}(async () => {{\n{script}\n}})().catch(error => {{ console.error(error); process.exit(1); }});");
    let file = write(gateway.folder(), "script.cjs", &text)?;
    let mut command = Command::new("node");
    command.arg(file).env("NODE_PATH", tools::node_modules());
    output(gateway, command).await
}

/// Runs a program that is set up through its environment.
///
/// # Errors
/// When it exits with an error.
pub async fn program(gateway: &Gateway, mut command: Command, variables: &[(&str, &str)]) -> Result<String> {
    command.envs(variables.iter().copied());
    output(gateway, command).await
}

async fn output(gateway: &Gateway, mut command: Command) -> Result<String> {
    command.env("HOME", gateway.folder()).env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let output = command.kill_on_drop(true).current_dir(gateway.folder()).output().await?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{:?} failed:\n{text}", command.as_std());
    }
    Ok(text)
}
