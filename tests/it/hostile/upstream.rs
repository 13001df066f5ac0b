//! An upstream that answers by the path it is asked for, and remembers its connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends when dropped.
pub(super) struct Upstream {
    pub(super) port: u16,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// The heads of requests, one list for each connection.
    connections: Mutex<Vec<Vec<String>>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let seen = Arc::clone(&shared);
                serving.spawn(async move {
                    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most_open.fetch_max(open, Ordering::SeqCst);
                    let index = {
                        let mut connections = seen.connections.lock().unwrap();
                        connections.push(Vec::new());
                        connections.len() - 1
                    };
                    let _ = serve(socket, index, &seen).await;
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, seen, task }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of requests by connection.
    pub(super) fn connections(&self) -> Vec<Vec<String>> {
        self.seen.connections.lock().unwrap().clone()
    }

    pub(super) fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, index: usize, seen: &Seen) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = buffer.split_off(end + 4);
                break String::from_utf8_lossy(&std::mem::replace(&mut buffer, rest)).into_owned();
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        seen.connections.lock().unwrap()[index].push(head.clone());
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        match path.split('/').nth(1).unwrap_or_default().split('?').next().unwrap_or_default() {
            "silent" => std::future::pending().await,
            // As an upstream that gave the connection up a moment ago.
            "closes" if seen.connections.lock().unwrap()[index].len() > 1 => return Ok(()),
            "continue" => loop {
                socket.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await?;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            },
            "bomb" => {
                let lines: String = (0..90).map(|line| format!("x-{line}: {}\r\n", "b".repeat(1_000))).collect();
                socket.write_all(format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n").as_bytes()).await?;
            }
            "redirect" => {
                let target = path.split_once("to=").map(|(_, port)| format!("http://127.0.0.1:{port}/secret"));
                let line = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n", target.unwrap_or_default());
                socket.write_all(format!("{line}content-length: 0\r\n\r\n").as_bytes()).await?;
            }
            "mint" => {
                let body = "<R><Credentials><SecretAccessKey>freshly-minted</SecretAccessKey></Credentials></R>";
                socket.write_all(&answer("200 OK", "", body)).await?;
            }
            // Repeats all that it was asked with, as debugging servers do.
            "headers" => socket.write_all(&answer("200 OK", &repeated(&head), "fine")).await?,
            "echo" => socket.write_all(&answer("200 OK", &repeated(&head), &head)).await?,
            "refuse" => socket.write_all(&answer("403 Forbidden", &repeated(&head), &head)).await?,
            _ => socket.write_all(&answer("200 OK", "", "fine")).await?,
        }
    }
}

fn repeated(head: &str) -> String {
    let lines = head.trim_end().lines();
    lines.enumerate().map(|(index, line)| format!("x-echo-{index}: {}\r\n", line.replace('\r', ""))).collect()
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-type: application/xml\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
