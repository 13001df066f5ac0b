//! Copies of objects that lie in several pieces: the bytes of the next piece are fetched while another location takes them.

use bytes::Bytes;
use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::Setup;
use sallyport_tests::stage::Stage;

/// The smallest part that may have others behind it.
const PART: usize = 5 << 20;

async fn upload(client: &Client, path: &str, parts: impl IntoIterator<Item = Call>) {
    let begun = client.send(Call::new(Method::POST, path).query("uploads", "")).await.unwrap();
    let upload = begun.elements("UploadId").remove(0);
    let mut list = String::new();
    for (number, call) in (1..).zip(parts) {
        let call = call.query("uploadId", &upload).query("partNumber", &number.to_string());
        let stored = client.send(call).await.unwrap();
        assert_eq!(stored.status, 200, "{path}, part {number}: {}", stored.text());
        let etag = stored.elements("ETag").pop().unwrap_or_else(|| stored.header("etag").to_owned());
        list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let completed = client.send(Call::new(Method::POST, path).query("uploadId", &upload).body(body)).await.unwrap();
    assert!(completed.text().contains("<CompleteMultipartUploadResult"), "{path}: {}", completed.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_parts_is_copied_to_every_location() {
    let stage = Stage::start().await.unwrap();
    let gateway = Setup::with_locations(stage.locations()).start().await.unwrap();
    let client = gateway.client().unwrap();
    for (bucket, location) in [("here", ""), ("aws", "aws"), ("azure", "azure")] {
        assert_eq!(client.create_bucket(bucket, location).await.unwrap().status, 200);
    }
    let whole: Bytes = (0..2 * PART + 1000).map(|index| (index % 251) as u8).collect::<Vec<_>>().into();
    let parts = [0..PART, PART..2 * PART, 2 * PART..whole.len()].map(|range| whole.slice(range));
    upload(&client, "here/source", parts.map(|part| Call::new(Method::PUT, "here/source").body(part))).await;

    let copy = |path: &str| Call::new(Method::PUT, path).header("x-amz-copy-source", "/here/source");
    for path in ["aws/copy", "azure/copy", "here/sealed"] {
        let call = copy(path);
        let sealed = path.ends_with("sealed");
        let call = if sealed { call.header("x-amz-server-side-encryption", "AES256") } else { call };
        let answer = client.send(call).await.unwrap();
        assert!(answer.text().contains("<CopyObjectResult"), "{path}: {}", answer.text());
        assert!(client.get(path).await.unwrap().body == whole, "{path} has other bytes");
    }
    // A range across the parts' edges, as a part of another object.
    let (first, last) = (PART - 100, 2 * PART + 99);
    for path in ["here/part", "aws/part", "azure/part"] {
        let range = format!("bytes={first}-{last}");
        upload(&client, path, [copy(path).header("x-amz-copy-source-range", &range)]).await;
        assert!(client.get(path).await.unwrap().body == whole.slice(first..=last), "{path} has other bytes");
    }
}
