//! One kept HTTP/1.1 connection that sends what was put together before, and throws bodies away: a client that does
//! more would take the processor from the server that is measured.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is read at once, in bytes.
const READ: usize = 256 << 10;
/// Most headers of an answer.
const HEADERS: usize = 64;
/// What is kept of a refusal, in bytes.
const KEPT: usize = 4 << 10;

/// A connection between two requests.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer came and was not looked at.
    from: usize,
    to: usize,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of the body.
    pub(super) received: u64,
    /// The beginning of the body, unless the answer is a success.
    pub(super) text: Vec<u8>,
    /// The connection can be used again.
    pub(super) is_kept: bool,
}

/// An answer's head.
struct Head {
    status: u16,
    body: Length,
    is_kept: bool,
}

enum Length {
    Bytes(u64),
    Chunks,
}

impl Connection {
    /// # Errors
    /// When nobody listens there.
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; READ], from: 0, to: 0 })
    }

    /// Sends a request, whose body comes from `content` after `head`, and reads the answer to its end.
    ///
    /// # Errors
    /// A connection that breaks, or what is no HTTP.
    pub(super) async fn exchange(&mut self, head: &[u8], content: impl Iterator<Item = Bytes>) -> Result<Answer> {
        let mut content = content.fuse();
        let first = content.next().unwrap_or_default();
        let mut is_sent = self.stream.write_all_buf(&mut Buf::chain(head, first)).await.is_ok();
        // Who refuses a large body answers before it is through.
        while let (true, Some(bytes)) = (is_sent, content.next()) {
            is_sent = self.stream.write_all(&bytes).await.is_ok();
        }
        let head = self.head().await?;
        let mut text = Vec::new();
        let mut keep = |bytes: &[u8]| {
            let room = KEPT - text.len();
            text.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        };
        let is_success = (200..300).contains(&head.status);
        let received = self
            .body(&head.body, |bytes| {
                if !is_success {
                    keep(bytes)
                }
            })
            .await?;
        Ok(Answer { status: head.status, received, text, is_kept: head.is_kept && is_sent })
    }

    /// More of what comes, behind what came and was not looked at.
    async fn fill(&mut self) -> Result<()> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.buffer.len() {
            ensure!(self.from > 0, "a head of more than {READ} bytes");
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let read = self.stream.read(self.buffer.get_mut(self.to..).unwrap_or_default()).await?;
        ensure!(read > 0, "the server closed the connection");
        self.to += read;
        Ok(())
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    async fn head(&mut self) -> Result<Head> {
        loop {
            if let Some((head, length)) = parsed(self.unread())? {
                self.from += length;
                // What is only on the way to an answer.
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            self.fill().await?;
        }
    }

    async fn body(&mut self, length: &Length, mut look: impl FnMut(&[u8])) -> Result<u64> {
        match length {
            Length::Bytes(length) => self.bytes(*length, &mut look).await,
            Length::Chunks => {
                let mut received = 0;
                loop {
                    let (header, size) = loop {
                        match httparse::parse_chunk_size(self.unread()) {
                            Ok(httparse::Status::Complete(chunk)) => break chunk,
                            Ok(httparse::Status::Partial) => self.fill().await?,
                            Err(_) => bail!("a chunk without a size"),
                        }
                    };
                    self.from += header;
                    received += self.bytes(size, &mut look).await?;
                    // No server of these sends trailers.
                    self.bytes(2, &mut |_| ()).await?;
                    if size == 0 {
                        return Ok(received);
                    }
                }
            }
        }
    }

    async fn bytes(&mut self, length: u64, look: &mut impl FnMut(&[u8])) -> Result<u64> {
        let mut left = length;
        while left > 0 {
            if self.from == self.to {
                self.fill().await?;
            }
            let taken = left.min((self.to - self.from) as u64);
            look(self.unread().get(..taken as usize).unwrap_or_default());
            self.from += taken as usize;
            left -= taken;
        }
        Ok(length)
    }
}

/// A head and its length, once it is there whole.
fn parsed(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes)? else { return Ok(None) };
    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let is_chunked = value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = match value("content-length") {
        _ if is_chunked => Length::Chunks,
        Some(length) => Length::Bytes(length.parse().context("content-length")?),
        None => Length::Bytes(0),
    };
    let is_kept = !value("connection").is_some_and(|connection| connection.eq_ignore_ascii_case("close"));
    Ok(Some((Head { status: response.code.unwrap_or_default(), body, is_kept }, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// What is made of an answer that comes in pieces.
    async fn answered(pieces: &'static [&'static str]) -> Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 64];
            let read = stream.read(&mut request).await?;
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await?;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            std::io::Result::Ok(request[..read].to_vec())
        });
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(b"PUT / HTTP/1.1\r\n\r\n", [Bytes::from("body")].into_iter()).await;
        assert_eq!(server.await??, b"PUT / HTTP/1.1\r\n\r\nbody");
        answer
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end_however_it_comes() {
        let whole = answered(&["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 5\r\n\r\nab", "cde"]).await.expect("an answer");
        assert_eq!((whole.status, whole.received, whole.is_kept), (200, 5, true));
        let chunks = [
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r",
            "\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ];
        let chunked = answered(Box::leak(Box::new(chunks))).await.expect("an answer");
        assert_eq!((chunked.status, chunked.received), (200, 5));
    }

    #[tokio::test]
    async fn a_refusal_brings_its_text() {
        let refused = answered(&["HTTP/1.1 403 No\r\nconnection: close\r\ncontent-length: 4\r\n\r\nno!\n"]).await;
        let refused = refused.expect("an answer");
        assert_eq!((refused.status, refused.text.as_slice(), refused.is_kept), (403, &b"no!\n"[..], false));
    }

    #[tokio::test]
    async fn what_breaks_off_is_an_error() {
        assert!(answered(&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"]).await.is_err());
        assert!(answered(&["SSH-2.0\r\n"]).await.is_err());
    }
}
