//! Seals and opens chunks.
//!
//! XChaCha20-Poly1305 in the STREAM construction: each chunk is authentic at its index, and as the last one or not. A
//! chunk that was changed, moved, left out or taken from another object does not open.

use crate::layout::HEADER;
use aead_stream::{NewStream, Nonce, StreamBE32, StreamPrimitive};
use chacha20poly1305::XChaCha20Poly1305;
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::types::Failure;
use std::fmt;

type Stream = StreamBE32<XChaCha20Poly1305>;

/// What an object's first bytes say: which format it has. A later format takes the next number.
const MAGIC: [u8; 8] = *b"sealed \x01";
/// The nonce, less what STREAM adds to it for each chunk.
pub(crate) const NONCE: usize = 19;
const KEY_ID: usize = 8;

/// The name of a key: 1 to 8 letters, digits, hyphens and underscores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyId([u8; KEY_ID]);

impl KeyId {
    pub(crate) fn new(text: &str) -> Option<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let mut id = [0; KEY_ID];
        if text.is_empty() || !text.bytes().all(legal) {
            return None;
        }
        id.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(id))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        Self::new(text.trim_end_matches('\0'))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(String::from_utf8_lossy(&self.0).trim_end_matches('\0'))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What opening an object takes beside the key. No secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    key: KeyId,
    nonce: [u8; NONCE],
}

impl Header {
    /// For a new object; `random` has [`NONCE`] bytes that were never used before.
    pub(crate) fn new(key: KeyId, random: &[u8]) -> Option<Self> {
        Some(Self { key, nonce: random.try_into().ok()? })
    }

    /// The key that it was sealed with.
    pub(crate) fn key(&self) -> KeyId {
        self.key
    }

    /// As it stands before the chunks.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&MAGIC[..], &self.key.0, &self.nonce].concat()
    }

    /// Reads what [`Header::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (key, nonce) = rest.split_at_checked(KEY_ID)?;
        Self::new(KeyId::read(key)?, nonce)
    }
}

const _: () = assert!(MAGIC.len() + KEY_ID + NONCE == HEADER as usize, "the layout knows how long a header is");

/// Seals and opens the chunks of one object.
pub(crate) struct Cipher {
    stream: Stream,
    header: Header,
    /// Authentic with each chunk.
    beside: Vec<u8>,
}

impl Cipher {
    pub(crate) fn new(key: XChaCha20Poly1305, header: Header) -> Self {
        let nonce = Nonce::<XChaCha20Poly1305, Stream>::from(header.nonce);
        Self { stream: Stream::from_aead(key, &nonce), header, beside: header.encode() }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Seals a chunk, which gets 16 bytes longer.
    pub(crate) fn seal(&self, index: u64, last: bool, mut chunk: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let sealed = self.stream.encrypt_in_place(counter(index)?, last, &self.beside, &mut chunk);
        sealed.map_err(|_| failure::internal("a chunk cannot be sealed"))?;
        Ok(chunk)
    }

    /// Opens a chunk. One that is not what was sealed at this place is `internal`: nothing is known of what was stored
    /// there, neither that it is gone nor that it was replaced.
    pub(crate) fn open(&self, index: u64, last: bool, mut chunk: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let opened = self.stream.decrypt_in_place(counter(index)?, last, &self.beside, &mut chunk);
        opened.map_err(|_| {
            failure::internal(format!(
                "chunk {index} is not what was sealed, or the key `{}` is another one",
                self.header.key
            ))
        })?;
        Ok(chunk)
    }
}

/// Neither key nor nonce.
impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cipher").field("key", &self.header.key).finish_non_exhaustive()
    }
}

/// 2^32 chunks are 256 TiB.
fn counter(index: u64) -> Result<u32, Failure> {
    u32::try_from(index).map_err(|_| failure::too_large("more chunks than an object can have"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CHUNK, Run, chunks, sealed};
    use chacha20poly1305::KeyInit;
    use proptest::prelude::*;
    use sallyport_plugin_sdk::types::Span;

    fn cipher(nonce: u8) -> Cipher {
        let key = XChaCha20Poly1305::new(&[1; 32].into());
        Cipher::new(key, Header::new(KeyId::new("k1").unwrap(), &[nonce; NONCE]).unwrap())
    }

    fn stored(plain: &[u8], cipher: &Cipher) -> Vec<u8> {
        let count = chunks(plain.len() as u64);
        let mut stored = cipher.header().encode();
        for index in 0..count {
            let from = (index * CHUNK) as usize;
            let chunk = &plain[from..from + Run::chunk_length(plain.len() as u64, index)];
            stored.extend(cipher.seal(index, index + 1 == count, chunk.to_vec()).unwrap());
        }
        stored
    }

    fn read(stored: &[u8], size: u64, span: Option<Span>, cipher: &Cipher) -> Vec<u8> {
        let run = Run::of(size, span).unwrap();
        let from = run.stored.offset as usize;
        let mut rest = &stored[from..from + run.stored.length as usize];
        let mut plain = Vec::new();
        for index in run.first..=run.last {
            let (chunk, behind) = rest.split_at(rest.len().min(CHUNK as usize + 16));
            plain.extend(cipher.open(index, index + 1 == chunks(size), chunk.to_vec()).unwrap());
            rest = behind;
        }
        plain[run.skip..run.skip + run.length as usize].to_vec()
    }

    #[test]
    fn a_header_reads_as_it_was_written() {
        let header = *cipher(3).header();
        assert_eq!(Header::decode(&header.encode()), Some(header));
        for broken in [&b""[..], b"sealed \x02", &header.encode()[1..], &[header.encode(), vec![0]].concat()] {
            assert_eq!(Header::decode(broken), None);
        }
    }

    #[test]
    fn a_chunk_opens_at_its_own_place_alone() {
        let (one, other) = (cipher(1), cipher(2));
        let chunk = one.seal(4, false, b"chunk".to_vec()).unwrap();
        assert_eq!(one.open(4, false, chunk.clone()).unwrap(), b"chunk");
        assert!(one.open(5, false, chunk.clone()).is_err());
        assert!(one.open(4, true, chunk.clone()).is_err());
        assert!(other.open(4, false, chunk.clone()).is_err());
        let mut changed = chunk;
        changed[0] ^= 1;
        assert!(one.open(4, false, changed).is_err());
        assert!(one.open(4, false, Vec::new()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn any_span_reads_as_it_was_written(size in 0_usize..300_000, from: u64, length: u64) {
            let plain: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            let cipher = cipher(9);
            let stored = stored(&plain, &cipher);
            let size = size as u64;
            prop_assert_eq!(stored.len() as u64, sealed(size).unwrap());
            prop_assert_eq!(&read(&stored, size, None, &cipher), &plain);
            if size > 0 {
                let offset = from % size;
                let length = 1 + length % (size - offset);
                let span = Span { offset, length };
                let expected = &plain[offset as usize..(offset + length) as usize];
                prop_assert_eq!(read(&stored, size, Some(span), &cipher), expected);
            }
        }
    }
}
