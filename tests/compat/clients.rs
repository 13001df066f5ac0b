//! The clients that people use, each at its real work. boto3 and aws-sdk-s3 are at theirs in the walkthroughs.

use sallyport_tests::commands::{aws, javascript, program, rclone, s3cmd, s5cmd};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::tools;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::process::Command;

/// Larger than what these clients upload in one piece.
const LARGE: usize = 20 << 20;

/// Names that are awkward on their way through URLs, XML and file systems.
const NAMES: [&str; 6] = [
    "plain.txt",
    "deep/er/and/deeper.txt",
    "with space & sign+plus.txt",
    "ünïcödé/ключ.txt",
    "empty",
    "percent%41.txt",
];

async fn gateway() -> Gateway {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    assert_eq!(gateway.client().unwrap().create_bucket("bucket", "").await.unwrap().status, 200);
    gateway
}

/// Makes a folder with files of every kind; answers what is in it.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = NAMES
        .iter()
        .map(|name| ((*name).to_owned(), if *name == "empty" { Vec::new() } else { name.repeat(100).into() }))
        .collect();
    let large = (0..LARGE).map(|index| (index * 31 / 7) as u8).collect();
    files.insert("large.bin".to_owned(), large);
    for (name, bytes) in &files {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    files
}

fn read(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_tree_goes_in_by_each_client_and_comes_out_by_the_next() {
    let gateway = gateway().await;
    let up = gateway.folder().join("up");
    let files = tree(&up);
    aws(&gateway, &["s3", "sync", "up", "s3://bucket/aws"]).await.unwrap();
    rclone(&gateway, &["sync", "up", "gateway:bucket/rclone"]).await.unwrap();
    s3cmd(&gateway, &["sync", "up/", "s3://bucket/s3cmd/"]).await.unwrap();
    s5cmd(&gateway, &["sync", "up/", "s3://bucket/s5cmd/"]).await.unwrap();
    rclone(&gateway, &["check", "--download", "up", "gateway:bucket/aws"]).await.unwrap();

    s5cmd(&gateway, &["sync", "s3://bucket/aws/*", "by-s5cmd/"]).await.unwrap();
    aws(&gateway, &["s3", "sync", "s3://bucket/rclone", "by-aws"]).await.unwrap();
    rclone(&gateway, &["copy", "gateway:bucket/s3cmd", "by-rclone"]).await.unwrap();
    std::fs::create_dir(gateway.folder().join("by-s3cmd")).unwrap();
    s3cmd(&gateway, &["sync", "s3://bucket/s5cmd/", "by-s3cmd/"]).await.unwrap();
    for by in ["by-s5cmd", "by-aws", "by-rclone", "by-s3cmd"] {
        let found = read(&gateway.folder().join(by));
        assert_eq!(found.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>(), "{by}");
        assert!(found == files, "{by} gave other bytes");
    }

    // What went away is taken away, and what did not change is not sent again.
    std::fs::remove_file(up.join("plain.txt")).unwrap();
    let again = aws(&gateway, &["s3", "sync", "--delete", "up", "s3://bucket/aws"]).await.unwrap();
    assert!(again.contains("delete: s3://bucket/aws/plain.txt") && !again.contains("upload:"), "{again}");
    rclone(&gateway, &["sync", "up", "gateway:bucket/rclone"]).await.unwrap();
    rclone(&gateway, &["check", "up", "gateway:bucket/rclone"]).await.unwrap();
    let middle = rclone(&gateway, &["cat", "--offset", "7340031", "--count", "5", "gateway:bucket/rclone/large.bin"]);
    assert_eq!(middle.await.unwrap().len(), String::from_utf8_lossy(&files["large.bin"][7_340_031..7_340_036]).len());
}

#[tokio::test]
async fn the_javascript_sdk_stores_lists_and_reads() {
    let gateway = gateway().await;
    let script = r#"
        const assert = require('node:assert');
        const { Upload } = require('@aws-sdk/lib-storage');
        const large = Buffer.alloc(12 << 20, 'sallyport');
        const upload = new Upload({ client: s3, params: { Bucket: 'bucket', Key: 'ключ/large', Body: large }, partSize: 5 << 20 });
        await upload.done();
        await s3.send(new sdk.PutObjectCommand({ Bucket: 'bucket', Key: 'small', Body: 'small', ChecksumAlgorithm: 'SHA256',
            Metadata: { colour: 'blue' }, Tagging: 'a=b' }));
        const listed = await s3.send(new sdk.ListObjectsV2Command({ Bucket: 'bucket' }));
        assert.deepStrictEqual(listed.Contents.map(one => one.Key), ['small', 'ключ/large']);
        const got = await s3.send(new sdk.GetObjectCommand({ Bucket: 'bucket', Key: 'ключ/large' }));
        assert.ok(large.equals(Buffer.from(await got.Body.transformToByteArray())));
        const small = await s3.send(new sdk.GetObjectCommand({ Bucket: 'bucket', Key: 'small', ChecksumMode: 'ENABLED' }));
        assert.strictEqual(await small.Body.transformToString(), 'small');
        assert.strictEqual(small.Metadata.colour, 'blue');
        await s3.send(new sdk.CopyObjectCommand({ Bucket: 'bucket', Key: 'copy', CopySource: encodeURI('bucket/ключ/large') }));
        const removed = await s3.send(new sdk.DeleteObjectsCommand({ Bucket: 'bucket', Delete: { Objects: [{ Key: 'small' }, { Key: 'copy' }] } }));
        assert.strictEqual(removed.Deleted.length, 2);
        await assert.rejects(s3.send(new sdk.HeadObjectCommand({ Bucket: 'bucket', Key: 'copy' })), { name: 'NotFound' });
        await assert.rejects(s3.send(new sdk.GetObjectCommand({ Bucket: 'bucket', Key: 'copy' })), { name: 'NoSuchKey' });
    "#;
    javascript(&gateway, script).await.unwrap();
}

#[tokio::test]
async fn restic_backs_up_and_restores() {
    let Some(restic) = tools::packaged("restic") else {
        eprintln!("skipped: restic's package is not installed");
        return;
    };
    let gateway = gateway().await;
    let files = tree(&gateway.folder().join("up"));
    let repository = format!("s3:{}/bucket/backups", gateway.endpoint());
    for arguments in [
        vec!["init"],
        vec!["backup", "up"],
        vec!["check", "--read-data"],
        vec!["restore", "latest", "--target", "restored"],
        vec!["forget", "--keep-last", "1", "--prune"],
    ] {
        let mut command = Command::new(&restic);
        command.arg("--no-cache").args(arguments);
        let variables = [("RESTIC_REPOSITORY", repository.as_str()), ("RESTIC_PASSWORD", "a password for tests")];
        program(&gateway, command, &variables).await.unwrap();
    }
    assert!(read(&gateway.folder().join("restored/up")) == files, "other bytes came back");
}

/// Whether this process may mount: the device opens, and it has CAP_SYS_ADMIN (bit 21).
fn may_mount() -> bool {
    let opens = std::fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    opens && u64::from_str_radix(capabilities.trim(), 16).unwrap() & (1 << 21) != 0
}

#[tokio::test]
async fn s3fs_mounts_a_bucket_that_is_edited() {
    let Some(s3fs) = tools::packaged("s3fs") else {
        eprintln!("skipped: s3fs's package is not installed");
        return;
    };
    if !may_mount() {
        eprintln!("skipped: this machine lets nobody mount");
        return;
    }
    let gateway = gateway().await;
    let mount = gateway.folder().join("mounted");
    std::fs::create_dir(&mount).unwrap();
    let mut command = Command::new(&s3fs);
    command
        .args(["bucket", "mounted", "-f", "-o", "use_path_request_style", "-o"])
        .arg(format!("url={}", gateway.endpoint()));
    command.current_dir(gateway.folder()).kill_on_drop(true);
    command.env("AWSACCESSKEYID", "accessKey1").env("AWSSECRETACCESSKEY", "verySecretKey1");
    let mut mounted = command.spawn().unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while !std::fs::read_to_string("/proc/self/mounts").unwrap().contains(mount.to_str().unwrap()) {
        assert!(tokio::time::Instant::now() < deadline, "s3fs did not mount");
        assert!(mounted.try_wait().unwrap().is_none(), "s3fs ended");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let edited = {
        let mount = mount.clone();
        // A thread of its own: the mount waits for the server, and this for the mount.
        tokio::task::spawn_blocking(move || {
            std::fs::create_dir(mount.join("folder"))?;
            std::fs::write(mount.join("folder/file"), "first")?;
            let mut file = std::fs::File::options().append(true).open(mount.join("folder/file"))?;
            std::io::Write::write_all(&mut file, b" and second")?;
            drop(file);
            std::fs::rename(mount.join("folder/file"), mount.join("folder/renamed"))?;
            std::fs::read_to_string(mount.join("folder/renamed"))
        })
        .await
        .unwrap()
    };
    // The mount ends whatever became of it: s3fs unmounts when it is told to end.
    let pid = mounted.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    mounted.wait().await.unwrap();
    assert_eq!(edited.unwrap(), "first and second");
    assert_eq!(gateway.client().unwrap().get("bucket/folder/renamed").await.unwrap().text(), "first and second");
}
