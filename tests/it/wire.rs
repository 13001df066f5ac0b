//! Errors as S3 words them, read from the wire: framing, headers, documents.

use hyper::Method;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, byte by byte as it was framed.
struct Raw {
    status: u16,
    head: String,
    body: String,
}

impl Raw {
    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn element(&self, name: &str) -> &str {
        let rest = self.body.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
        rest.split_once(&format!("</{name}>")).map_or("", |(text, _)| text)
    }
}

struct Wire(TcpStream);

impl Wire {
    async fn to(gateway: &Gateway) -> Self {
        let host = gateway.endpoint().strip_prefix("http://").unwrap();
        Self(TcpStream::connect(host).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        // A server that refuses early may have closed its end: what it said is read all the same.
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    /// Reads one answer; `bodiless` where the method forbids a body, whatever the length says.
    async fn answer(&mut self, bodiless: bool) -> Raw {
        tokio::time::timeout(Duration::from_secs(20), self.read(bodiless)).await.expect("an answer")
    }

    async fn read(&mut self, bodiless: bool) -> Raw {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a whole head"));
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut raw = Raw { status, head, body: String::new() };
        if bodiless || status == 304 || status == 204 {
            return raw;
        }
        let mut body = Vec::new();
        if raw.header("transfer-encoding") == "chunked" {
            self.chunks(&mut body).await;
        } else {
            body.resize(raw.header("content-length").parse().expect("a length"), 0);
            self.0.read_exact(&mut body).await.unwrap();
        }
        raw.body = String::from_utf8(body).unwrap();
        raw
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.0.read_u8().await.unwrap());
            }
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).await.unwrap();
            if size == 0 {
                return;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read(&mut byte)).await.expect("an end");
        matches!(read, Ok(0) | Err(_))
    }
}

async fn start() -> (Gateway, Client) {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bucket", "").await.unwrap().status, 200);
    let acl = Call::new(Method::PUT, "bucket").query("acl", "").header("x-amz-acl", "public-read-write");
    assert_eq!(client.send(acl).await.unwrap().status, 200);
    let put = Call::new(Method::PUT, "bucket/key").header("x-amz-acl", "public-read").body("bytes");
    assert_eq!(client.send(put).await.unwrap().status, 200);
    (gateway, client)
}

#[tokio::test]
async fn an_error_names_resource_request_and_host_and_a_head_has_no_body() {
    let (gateway, _client) = start().await;
    let mut wire = Wire::to(&gateway).await;
    for (path, status, code) in [
        ("/bucket/a%20b%3C", 404, "NoSuchKey"),
        ("/bucket?policy", 403, "AccessDenied"),
        ("/absent-bucket/key", 404, "NoSuchBucket"),
        ("/B_D/key", 400, "InvalidBucketName"),
        ("/bucket/key?versionId=absent", 404, "NoSuchVersion"),
        ("/bucket/key?torrent", 501, "NotImplemented"),
        ("/bucket?unheard-of", 501, "NotImplemented"),
    ] {
        wire.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = wire.answer(false).await;
        assert_eq!((answer.status, answer.element("Code")), (status, code), "{path}: {}", answer.body);
        assert!(answer.body.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>"), "{path}");
        assert!(!answer.element("Message").is_empty(), "{path}");
        assert_eq!(answer.element("Resource"), path.split('?').next().unwrap());
        assert_eq!(answer.element("RequestId"), answer.header("x-amz-request-id"), "{path}");
        assert_eq!(answer.element("HostId"), answer.header("x-amz-id-2"), "{path}");
        assert!(!answer.element("RequestId").is_empty() && !answer.element("HostId").is_empty(), "{path}");
        assert_eq!(answer.header("content-type"), "application/xml", "{path}");
        assert!(!answer.header("date").is_empty() && !answer.header("server").is_empty(), "{path}");

        // A byte too many would be the beginning of the next answer on this connection.
        wire.send(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let head = wire.answer(true).await;
        let bodiless = [404, 403, 400, 405, 501];
        assert!(bodiless.contains(&head.status), "{path}: {}", head.head);
        assert!(!head.header("x-amz-request-id").is_empty(), "{path}");
    }
    wire.send("GET /bucket/key HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\r\n").await;
    assert_eq!(wire.answer(false).await.status, 304);
    wire.send("GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let whole = wire.answer(false).await;
    assert_eq!((whole.status, whole.body.as_str()), (200, "bytes"), "the connection is in step");
}

#[tokio::test]
async fn a_document_that_is_none_is_malformed() {
    let (gateway, client) = start().await;
    let entity = "<!DOCTYPE a [<!ENTITY b \"cccccccccc\">]><Delete><Object><Key>&b;</Key></Object></Delete>";
    let many = format!("<Delete>{}</Delete>", "<a/>".repeat(300_000));
    let nested = format!("{}{}", "<Delete>".repeat(100), "</Delete>".repeat(100));
    let open = "<Delete><Object><Key>k</Key></Object>";
    for document in [entity, &many, &nested, open, "", "{}", "<Delete xmlns=\"a\"><Object/></Delete>", "<Other/>"] {
        let call = Call::new(Method::POST, "bucket").query("delete", "").body(document.to_owned());
        let answer = client.send(call).await.unwrap();
        let shown = &document[..document.len().min(40)];
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "MalformedXML"), "{shown}");
    }
    // Nobody has to sign to be read: what is read costs no more for that.
    let call = Call::new(Method::POST, "bucket/key").query("uploadId", "x").body("<a/>".repeat(1_000_000));
    let answer = client.send_unsigned(call).await.unwrap();
    assert_eq!(answer.code(), "MalformedXML");
    for subresource in ["versioning", "lifecycle", "cors", "website", "acl", "encryption", "object-lock", "logging"] {
        let call = Call::new(Method::PUT, "bucket").query(subresource, "").body("<Wrong><Root/></Wrong>");
        let answer = client.send(call).await.unwrap();
        let code = if subresource == "acl" { "MalformedACLError" } else { "MalformedXML" };
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{subresource}");
    }
    assert_eq!(gateway.client().unwrap().get("bucket/key").await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_and_nobody_else_notices() {
    let (gateway, client) = start().await;
    let large = |size: usize| format!("x-large: {}\r\n", "a".repeat(size));
    for start in ["PUT /bucket/new", "GET /bucket/key", "OPTIONS /bucket/key"] {
        let mut wire = Wire::to(&gateway).await;
        wire.send(&format!("{start} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 0\r\n\r\n", large(9000))).await;
        let answer = wire.answer(false).await;
        assert_eq!((answer.status, answer.element("Code")), (400, "RequestHeaderSectionTooLarge"), "{start}");
        assert_eq!(answer.element("MaxSizeAllowed"), "8192");
        assert!(wire.is_closed().await, "{start}");
    }
    let mut wire = Wire::to(&gateway).await;
    // Nobody reads so much to its end: the answer may be lost with the rest, the connection is.
    wire.send(&format!("GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n{}\r\n", large(4 << 20))).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), wire.0.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && (rest.is_empty() || rest.starts_with(b"HTTP/1.1 431 ")), "{:?}", rest.len());
    let mut wire = Wire::to(&gateway).await;
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: a\r\n")).collect::<String>();
    wire.send(&format!("GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n{}\r\n", many(200))).await;
    assert_eq!(wire.answer(false).await.status, 200, "many are not large");
    wire.send(&format!("GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n{}\r\n", many(1000))).await;
    assert_eq!(wire.answer(false).await.status, 431);
    assert_eq!(client.get("bucket/key").await.unwrap().text(), "bytes");
}

#[tokio::test]
async fn a_range_is_sent_of_the_object_that_it_was_asked_of_and_no_other() {
    let (_gateway, client) = start().await;
    let head = client.head("bucket/key").await.unwrap();
    let (etag, modified) = (head.header("etag"), head.header("last-modified"));
    let weak = format!("W/{etag}");
    let (all, part) = ((200, "bytes".to_owned()), (206, "yte".to_owned()));
    for (condition, expected) in [
        (etag, &part),
        (modified, &part),
        ("\"0123456789abcdef0123456789abcdef\"", &all),
        (weak.as_str(), &all),
        ("Mon, 12 Oct 2009 17:50:30 GMT", &all),
    ] {
        let call = Call::new(Method::GET, "bucket/key").header("range", "bytes=1-3").header("if-range", condition);
        let answer = client.send(call).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text()), *expected, "{condition}");
    }
}

/// A proxy in front may read the same bytes as other requests than the server does.
#[tokio::test]
async fn a_request_with_two_ends_is_not_believed() {
    let (gateway, client) = start().await;
    let smuggled = "DELETE /bucket/key HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", smuggled.len());
    for (framing, status) in [
        (format!("Content-Length: 0\r\nContent-Length: {}\r\n", smuggled.len()), 400),
        // HTTP lets a server take the chunks and forget the length, if it then hangs up.
        (both, 200),
        ("Content-Length: -1\r\n".to_owned(), 400),
        ("Content-Length: 1x\r\n".to_owned(), 400),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), 400),
        ("Transfer-Encoding : chunked\r\n".to_owned(), 400),
    ] {
        let mut wire = Wire::to(&gateway).await;
        wire.send(&format!("GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n{smuggled}")).await;
        let answer = wire.answer(false).await;
        assert!(answer.status == status && wire.is_closed().await, "{framing:?}: {}", answer.head);
    }
    assert_eq!(client.get("bucket/key").await.unwrap().text(), "bytes", "nothing was smuggled in");
    for head in ["GET /bucket/key HTTP/1.1\r\n\r\n", "GET bucket HTTP/1.1\r\nHost: a b\r\n\r\n", "\u{1}\u{2}\r\n\r\n"] {
        let mut wire = Wire::to(&gateway).await;
        wire.send(head).await;
        assert_eq!(wire.answer(false).await.status, 400, "{head:?}");
    }
}

#[tokio::test]
async fn no_name_makes_a_line_of_its_own_in_the_log() {
    let setup = Setup::with_locations(json!({})).environment("SALLYPORT_LOG_FORMAT", "text");
    let mut gateway = setup.start().await.unwrap();
    let mut wire = Wire::to(&gateway).await;
    wire.send("GET /x%0aFAKE/%0aFAKE HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(wire.answer(false).await.status >= 400);
    // The line is written once the answer is over.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !gateway.log().contains("FAKE") {
        assert!(tokio::time::Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = gateway.log();
    assert!(!log.lines().any(|line| line.starts_with("FAKE")), "{log}");
}

#[tokio::test]
async fn a_refused_body_that_was_announced_ends_the_connection_and_says_so() {
    let (gateway, _client) = start().await;
    let mut wire = Wire::to(&gateway).await;
    let head = "PUT /absent/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    wire.send(head).await;
    let answer = wire.answer(false).await;
    assert!(answer.status >= 400, "{}", answer.head);
    assert_eq!(answer.header("connection"), "close", "{}", answer.head);
    assert!(wire.is_closed().await);
}
