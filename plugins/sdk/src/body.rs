//! Bodies that the plugin reads or writes itself, to encrypt, to compress: the slow path.
//!
//! A body that is handed on unread needs none of this, and none of its bytes enter the plugin.

use crate::bindings::{wit_future, wit_stream};
use crate::storage::{Body, Complete};
use wit_bindgen::rt::async_support::{StreamResult, StreamWriter};

/// Takes a body in pieces of the caller's size.
///
/// A stream has no error end: one that breaks off just ends. Who reads a client's body commits only after as many bytes
/// as were announced, and after its [`Complete`] resolved to ok.
#[derive(Debug)]
pub struct Reader {
    /// Absent once it ended.
    body: Option<Body>,
    rest: Vec<u8>,
}

impl Reader {
    /// Begins with the body's first byte.
    pub fn new(body: Body) -> Self {
        Self { body: Some(body), rest: Vec::new() }
    }

    /// The next `length` bytes: fewer when the body ends before, none at its end.
    pub async fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.reserve_exact(length.saturating_sub(bytes.len()));
        while bytes.len() < length {
            let Some(body) = &mut self.body else { break };
            let (result, filled) = body.read(bytes).await;
            bytes = filled;
            match result {
                StreamResult::Complete(_) => {}
                StreamResult::Dropped | StreamResult::Cancelled => self.body = None,
            }
        }
        // An allocation may be larger than what was asked for.
        if bytes.len() > length {
            self.rest = bytes.split_off(length);
        }
        bytes
    }
}

/// Writes a body.
#[derive(Debug)]
pub struct Writer(StreamWriter<u8>);

impl Writer {
    /// Writes all of the bytes, as fast as they are read. `false` when nobody reads any more: then there is nothing
    /// left to do but to stop.
    pub async fn write(&mut self, bytes: Vec<u8>) -> bool {
        self.0.write_all(bytes).await.is_empty()
    }
}

/// A body that `write` makes while it is read, also after the call that answered it has ended.
///
/// It ends when `write` does. A stream has no error end: who cannot go on stops short of the length that was announced,
/// which whoever reads takes as an error.
pub fn written<F>(write: impl FnOnce(Writer) -> F) -> Body
where
    F: Future<Output = ()> + 'static,
{
    let (writer, reader) = wit_stream::new();
    wit_bindgen::spawn_local(write(Writer(writer)));
    reader
}

/// Resolves to ok at once: for a body that the plugin made, where one is asked for.
pub fn complete() -> Complete {
    let (_, complete) = wit_future::new(|| Ok(()));
    complete
}
