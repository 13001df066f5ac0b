//! A real server on a free port, asked over plain sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use crate::config::{ConnectionLimits, TlsSource};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

fn answer(text: &'static str) -> Answer {
    Response::new(Full::new(Bytes::from(text)).boxed_unsync())
}

fn short_limits() -> ConnectionLimits {
    let short = Duration::from_millis(50);
    ConnectionLimits { connections: 8, header: short, idle_body: short, drain: short }
}

async fn listening() -> Listening {
    bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap()
}

#[tokio::test]
async fn a_request_is_answered_on_the_real_port() {
    let serving = listening().await.serve(
        ServeOptions { limits: ConnectionLimits::default(), tls: None },
        |_: Request<Incoming>, peer: Peer| async move {
            assert!(!peer.tls);
            answer("hello")
        },
    );
    assert_ne!(serving.addresses()[0].port(), 0);
    let mut client = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("hello"), "{text}");
    assert_eq!(serving.drain().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_client_that_sends_no_whole_head_is_let_go() {
    let serving = listening()
        .await
        .serve(ServeOptions { limits: short_limits(), tls: None }, |_: Request<Incoming>, _| async { answer("") });
    for head in ["", "P", "GET / HTTP/1.1\r\nhost: somewhere"] {
        let mut client = TcpStream::connect(serving.addresses()[0]).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn a_body_that_stands_still_fails() {
    let limit = Duration::from_millis(50);
    let serving = listening().await.serve(
        ServeOptions { limits: ConnectionLimits::default(), tls: None },
        move |request: Request<Incoming>, _| async move {
            match IdleBody::new(request.into_body(), limit).collect().await {
                Ok(_) => answer("whole"),
                Err(IdleError::Idle(_)) => answer("idle"),
                Err(IdleError::Body(_)) => answer("broken"),
            }
        },
    );
    for (sent, expected) in [("12345", "whole"), ("12", "idle")] {
        let mut client = TcpStream::connect(serving.addresses()[0]).await.unwrap();
        let head = "PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\n";
        client.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with(expected), "{text}");
    }
}

#[tokio::test]
async fn a_drain_waits_for_requests_and_cuts_them_at_the_deadline() {
    for (deadline, expected) in [(Duration::from_secs(30), 0), (Duration::from_millis(50), 1)] {
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (handler_begun, handler_release) = (Arc::clone(&begun), Arc::clone(&release));
        let limits = ConnectionLimits { drain: deadline, ..ConnectionLimits::default() };
        let serving = listening().await.serve(ServeOptions { limits, tls: None }, move |_: Request<Incoming>, _| {
            let (begun, release) = (Arc::clone(&handler_begun), Arc::clone(&handler_release));
            async move {
                begun.notify_one();
                release.notified().await;
                answer("done")
            }
        });
        let address = serving.addresses()[0];
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        let draining = tokio::spawn(serving.drain());
        if expected == 0 {
            release.notify_one();
        }
        let mut text = String::new();
        let _ = client.read_to_string(&mut text).await;
        drop(client);
        assert_eq!(text.ends_with("done"), expected == 0, "{text}");
        assert_eq!(draining.await.unwrap().cut, expected);
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = listening().await;
    let error = bind(&first.addresses()).await.unwrap_err().to_string();
    assert!(error.contains(&first.addresses()[0].to_string()), "{error}");
}

#[tokio::test]
async fn a_made_certificate_is_kept_and_trusted_through_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        TlsSource::Generated { hosts: vec!["localhost".into(), "127.0.0.1".into()], folder: folder.path().join("tls") };
    let acceptor = Certificate::read(&source).unwrap().acceptor().unwrap();
    let authority = std::fs::read(folder.path().join("tls/ca.crt")).unwrap();
    Certificate::read(&source).unwrap();
    assert_eq!(std::fs::read(folder.path().join("tls/ca.crt")).unwrap(), authority);

    let serving = listening().await.serve(
        ServeOptions { limits: ConnectionLimits::default(), tls: Some(acceptor) },
        |_: Request<Incoming>, peer: Peer| async move { answer(if peer.tls { "secret" } else { "open" }) },
    );
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    let mut client = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("secret"), "{text}");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_another_to_end() {
    let limits = ConnectionLimits { connections: 1, ..ConnectionLimits::default() };
    let options = ServeOptions { limits, tls: None };
    let serving = listening().await.serve(options, |_: Request<Incoming>, _| async { answer("done") });
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let first = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    let mut second = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut text = String::new();
    let early = tokio::time::timeout(Duration::from_millis(50), second.read_to_string(&mut text)).await;
    assert!(early.is_err(), "answered while the first was open");
    drop(first);
    let mut rest = Vec::new();
    second.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8(rest).unwrap().ends_with("done"));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let limits = ConnectionLimits { idle_body: Duration::from_millis(50), ..ConnectionLimits::default() };
    let serving = listening().await.serve(ServeOptions { limits, tls: None }, |_: Request<Incoming>, _| async {
        let large = Bytes::from(vec![0_u8; 64 * 1024 * 1024]);
        Response::new(Full::new(large).map_err(|never: Infallible| never).boxed_unsync())
    });
    let mut client = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // The connection ends by itself: the drain's deadline of 30 seconds is not reached.
    assert_eq!(serving.drain().await, Drained { cut: 0 });
    drop(client);
}

/// Reads a socket as over a thin line, so that much stays in the system's buffers.
fn slowly(socket: TcpStream) -> DuplexStream {
    let (near, far) = tokio::io::duplex(256 << 10);
    let (mut from, mut to) = socket.into_split();
    let (mut taken, mut given) = tokio::io::split(far);
    tokio::spawn(async move { tokio::io::copy(&mut taken, &mut to).await });
    tokio::spawn(async move {
        let mut bytes = vec![0_u8; 128 << 10];
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
            if given.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    });
    near
}

#[tokio::test]
async fn who_reads_http2_slowly_gets_the_whole_answer_through_a_stop() {
    const LENGTH: usize = 24 << 20;
    let options = ServeOptions { limits: ConnectionLimits::default(), tls: None };
    let serving = listening().await.serve(options, |_: Request<Incoming>, _| async {
        let large = Bytes::from(vec![7_u8; LENGTH]);
        Response::new(Full::new(large).map_err(|never: Infallible| never).boxed_unsync())
    });
    let socket = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(4 << 20).initial_connection_window_size(4 << 20);
    let handshake = builder.handshake::<_, Empty<Bytes>>(TokioIo::new(slowly(socket)));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://somewhere/").body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let draining = tokio::spawn(serving.drain());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    assert_eq!((body.len(), draining.await.unwrap().cut), (LENGTH, 0));
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_is_still_sending() {
    let options = ServeOptions { limits: ConnectionLimits::default(), tls: None };
    let serving = listening().await.serve(options, |_: Request<Incoming>, _| async { answer("refused") });
    let client = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    let (mut from, mut to) = client.into_split();
    let body = vec![0_u8; 16 << 20];
    let head = format!("PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    to.write_all(head.as_bytes()).await.unwrap();
    to.write_all(&body).await.unwrap();
    let mut text = String::new();
    from.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("refused"), "{text}");
}

#[tokio::test]
async fn a_client_that_is_silent_in_the_handshake_does_not_hold_up_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let source = TlsSource::Generated { hosts: vec!["localhost".into()], folder: folder.path().join("tls") };
    let acceptor = Certificate::read(&source).unwrap().acceptor().unwrap();
    let options = ServeOptions { limits: ConnectionLimits::default(), tls: Some(acceptor) };
    let serving = listening().await.serve(options, |_: Request<Incoming>, _| async { answer("") });
    let silent = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    // They are accepted in their order: when the second is refused, the first has begun.
    let mut second = TcpStream::connect(serving.addresses()[0]).await.unwrap();
    second.write_all(b"no greeting that TLS knows").await.unwrap();
    let _ = second.read_to_end(&mut Vec::new()).await;
    let drained = tokio::time::timeout(Duration::from_secs(10), serving.drain()).await.unwrap();
    assert_eq!(drained, Drained { cut: 0 });
    drop(silent);
}
