//! Bodies that are not what their headers and trailers say.

use super::{LARGE, create_upload, part_call, setup, until};
use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::stage::Stage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SIZES: [usize; 2] = [10, LARGE];
const LOCATIONS: [&str; 4] = ["us-east-1", "aws", "plain-aws", "azure"];

#[tokio::test]
async fn wrong_digests_store_nothing_and_destroy_nothing() {
    let stage = Stage::start().await.unwrap();
    let gateway = setup(stage.locations()).start().await.unwrap();
    let client = gateway.client().unwrap();
    for location in LOCATIONS {
        let bucket = format!("load-{location}");
        assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200);
        let (kept, new) = (format!("{bucket}/kept"), format!("{bucket}/new"));
        assert_eq!(client.put(&kept, "before").await.unwrap().status, 200);
        let upload = create_upload(&client, &format!("{bucket}/parts")).await;
        for size in SIZES {
            for path in [&kept, &new] {
                let call = Call::new(Method::PUT, path).body(vec![7; size]);
                refuses(&client, call, path, size).await;
            }
            let path = format!("{bucket}/parts");
            refuses(&client, part_call(&path, &upload, 1, vec![7; size]), &path, size).await;
        }
        let parts = Call::new(Method::GET, &format!("{bucket}/parts")).query("uploadId", &upload);
        assert!(client.send(parts).await.unwrap().elements("PartNumber").is_empty(), "{location}");
        let abort = Call::new(Method::DELETE, &format!("{bucket}/parts")).query("uploadId", &upload);
        assert_eq!(client.send(abort).await.unwrap().status, 204);
        assert_eq!(client.get(&kept).await.unwrap().text(), "before", "{location}");
        assert_eq!(client.get(&new).await.unwrap().status, 404, "{location}");
        assert_eq!(client.keys(&bucket).await.unwrap(), ["kept"], "{location}");
        until("one object is left", async || match location {
            "us-east-1" => super::files(&gateway).len() == 1,
            cloud => stage.kept(cloud).await.unwrap().len() == 1,
        })
        .await;
    }
}

/// All ways to be wrong about a body.
async fn refuses(client: &Client, call: Call, path: &str, size: usize) {
    let headers = [
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc32c", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "BadDigest"),
        ("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "BadDigest"),
        ("x-amz-checksum-sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "BadDigest"),
        ("content-md5", "not base64!", "InvalidDigest"),
    ];
    for (name, value, code) in headers {
        let answer = client.send(call.clone().header(name, value)).await.unwrap();
        let context = format!("{name} of {size} bytes for {path}");
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{context}");
    }
    let answer = client.send(call.clone().digest(&"0".repeat(64))).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "XAmzContentSHA256Mismatch"), "{path} {size}");
    let trailer = Chunks { trailer: Some("AAAAAA=="), ..Chunks::of(size) };
    assert_eq!(trailer.send(client, &call).await.code(), "BadDigest", "a trailer for {path} {size}");
    let missing = Chunks { trailer: None, ..Chunks::of(size) };
    assert_eq!(missing.send(client, &call).await.status, 400, "no trailer for {path} {size}");
    let short = Chunks { decoded: size + 1, ..Chunks::of(size) };
    assert_eq!(short.send(client, &call).await.status, 400, "a short body for {path} {size}");
    let signed = Chunks { signature: true, ..Chunks::of(size) };
    let answer = signed.send(client, &call).await;
    assert_eq!(answer.code(), "SignatureDoesNotMatch", "a chunk's signature for {path} {size}: {}", answer.text());
}

/// An aws-chunked body, wrong in one way.
struct Chunks {
    size: usize,
    /// What x-amz-decoded-content-length says.
    decoded: usize,
    trailer: Option<&'static str>,
    /// Signs chunks, wrongly, and has no trailer.
    signature: bool,
}

impl Chunks {
    fn of(size: usize) -> Self {
        Self { size, decoded: size, trailer: Some("AAAAAA=="), signature: false }
    }

    async fn send(&self, client: &Client, call: &Call) -> Answer {
        let mut body = Vec::new();
        let extension = if self.signature { format!(";chunk-signature={}", "0".repeat(64)) } else { String::new() };
        for chunk in vec![7_u8; self.size].chunks(64 << 10) {
            body.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("0{extension}\r\n").as_bytes());
        if let (Some(value), false) = (self.trailer, self.signature) {
            body.extend_from_slice(format!("x-amz-checksum-crc32:{value}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        let mut call = call.clone().header("x-amz-decoded-content-length", &self.decoded.to_string());
        call = call.header("content-encoding", "aws-chunked").body(body);
        call = if self.signature {
            call.digest("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        } else {
            call.header("x-amz-trailer", "x-amz-checksum-crc32").digest("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        };
        client.send(call).await.unwrap()
    }
}

/// A refusal must not cost a client the connection that it still writes to.
#[tokio::test]
async fn a_body_that_ends_early_is_refused_and_stores_nothing() {
    let gateway = setup(serde_json::json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("load", "").await.unwrap().status, 200);
    let host = gateway.endpoint().trim_start_matches("http://");
    for size in SIZES {
        let mut socket = TcpStream::connect(host).await.unwrap();
        let url = client.presign(&Call::new(Method::PUT, "load/short"), 60);
        let target = url.strip_prefix(gateway.endpoint()).unwrap();
        let head = format!("PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {size}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![7; size - 1]).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Whether it still hears of it or not, nothing is stored.
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(client.get("load/short").await.unwrap().status, 404);
    until("nothing is left", async || super::files(&gateway).is_empty()).await;
}
