//! Checksums beside other implementations of them, and the bodies that carry them.

use super::frames::{block_on, cut, pieces};
use crate::auth::{EMPTY_SHA256, SeedSignature, example, sha256_hex};
use crate::payload::fuzz::{Outcome, decode};
use sallyport_core::checksum::{self, Algorithm, Hasher, Hashers};

/// Takes a line with numbers, which cut everything below it into pieces, and bytes.
pub fn checksum(input: &[u8]) {
    // What is longer says nothing that a shorter one does not, and takes long.
    let input = input.get(..2048).unwrap_or(input);
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (line, body) = input.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let sizes: Vec<usize> = line.split_whitespace().filter_map(|size| size.parse().ok()).take(8).collect();
    digests(body, &sizes);
    chunks_that_we_make(body, &sizes);
    chunks_that_came(body, &sizes);
    texts(&line);
}

/// However bytes come, their digest is the one that another implementation has.
fn digests(body: &[u8], sizes: &[usize]) {
    let mut together = Hashers::new(&Algorithm::ALL);
    for piece in pieces(body, sizes) {
        together.update(piece);
    }
    let together = together.finish();
    assert_eq!(together.md5, md5(body));
    for (algorithm, digest) in together.others {
        let mut hasher = Hasher::new(algorithm);
        pieces(body, sizes).into_iter().for_each(|piece| hasher.update(piece));
        let expected = reference(algorithm, body);
        assert_eq!(hasher.finish(), expected, "{algorithm:?} piece by piece");
        assert_eq!(digest, expected, "{algorithm:?} among others");
        assert_eq!(algorithm.digest(body), expected, "{algorithm:?} at once");
        assert_eq!(algorithm.decode(&checksum::encode(&expected)).as_ref(), Some(&expected));
        // Of parts that were uploaded apart.
        let parts: Vec<(Vec<u8>, u64)> =
            pieces(body, sizes).into_iter().map(|piece| (algorithm.digest(piece), piece.len() as u64)).collect();
        let is_crc = !matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
        assert_eq!(algorithm.combine(&parts), (is_crc && !parts.is_empty()).then_some(expected), "{algorithm:?}");
    }
}

/// What a client would send for these bytes is these bytes again, and nothing else is.
fn chunks_that_we_make(body: &[u8], sizes: &[usize]) {
    // Each chunk costs a signature.
    let least = body.len() / 6 + 1;
    let sizes: Vec<usize> = sizes.iter().map(|size| (*size).max(least)).collect();
    let chunks = pieces(body, &sizes);
    let trailer = checksum::encode(&Algorithm::Crc32c.digest(body));
    let expected = |trailer: Option<&String>| Outcome::Whole { data: body.to_vec(), trailer: trailer.cloned() };
    let mut plain = Vec::new();
    for chunk in &chunks {
        plain.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        plain.extend_from_slice(chunk);
        plain.extend_from_slice(b"\r\n");
    }
    plain.extend_from_slice(format!("0\r\nx-amz-checksum-crc32c:{trailer}\r\n\r\n").as_bytes());
    let size = Some(body.len() as u64);
    assert_eq!(read(&plain, &sizes, None, true, size), expected(Some(&trailer)));
    for trailers in [false, true] {
        let seed = example::seed("20130524T000000Z", EMPTY_SHA256);
        let mut signed = sign(&seed, &chunks, trailers.then_some(trailer.as_str()));
        let whole = expected(trailers.then_some(&trailer));
        assert_eq!(read(&signed, &sizes, Some(seed.clone()), trailers, size), whole);
        // One bit of one byte: of a signature, a length, the data, the trailer. Where the case
        // of a letter says nothing, a chunk is the same with another one.
        let at = body.first().map_or(0, |byte| usize::from(*byte) * 31) % signed.len();
        let changed = signed.get_mut(at);
        let (before, is_last) = changed.map_or((0, true), |byte| (std::mem::replace(byte, *byte ^ 1), false));
        let is_framing = is_last || !before.is_ascii_alphanumeric();
        let outcome = read(&signed, &sizes, Some(seed), trailers, size);
        assert!(is_framing || !matches!(outcome, Outcome::Whole { .. }) || outcome == whole, "{at}");
    }
}

/// A body whose chunks are signed one after the other, and their trailer.
fn sign(seed: &SeedSignature, chunks: &[&[u8]], trailer: Option<&str>) -> Vec<u8> {
    let SeedSignature { key, time, scope, signature } = seed;
    let mut before = signature.clone();
    let mut body = Vec::new();
    for chunk in chunks.iter().copied().chain([&b""[..]]) {
        let hash = sha256_hex(chunk);
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{before}\n{EMPTY_SHA256}\n{hash}");
        before = key.sign(&text);
        body.extend_from_slice(format!("{:x};chunk-signature={before}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() || trailer.is_none() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if let Some(trailer) = trailer {
        let hash = sha256_hex(format!("x-amz-checksum-crc32c:{trailer}\n").as_bytes());
        let signature = key.sign(&format!("AWS4-HMAC-SHA256-TRAILER\n{time}\n{scope}\n{before}\n{hash}"));
        let lines = format!("x-amz-checksum-crc32c:{trailer}\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
        body.extend_from_slice(lines.as_bytes());
    }
    body
}

/// What a client did send says the same however its frames are cut.
fn chunks_that_came(body: &[u8], sizes: &[usize]) {
    for (signed, trailers) in [(false, true), (false, false), (true, true), (true, false)] {
        for size in [None, Some(11)] {
            let seed = || signed.then(|| example::seed("20130524T000000Z", EMPTY_SHA256));
            let whole = read(body, &[], seed(), trailers, size);
            assert_eq!(read(body, sizes, seed(), trailers, size), whole);
            if body.len() < 200 {
                assert_eq!(read(body, &[1], seed(), trailers, size), whole, "byte by byte");
            }
            if let (Some(size), Outcome::Whole { data, .. }) = (size, whole) {
                assert_eq!(data.len() as u64, size);
            }
        }
    }
}

fn read(body: &[u8], sizes: &[usize], seed: Option<SeedSignature>, trailers: bool, size: Option<u64>) -> Outcome {
    block_on(decode(cut(body, sizes), seed, trailers, size))
}

/// Names and digests in headers.
fn texts(line: &str) {
    for word in line.split_whitespace() {
        for algorithm in Algorithm::ALL {
            if let Some(digest) = algorithm.decode(word) {
                assert_eq!(algorithm.decode(&checksum::encode(&digest)), Some(digest));
            }
        }
        let named = Algorithm::parse(word);
        assert_eq!(named.and_then(|algorithm| Algorithm::parse(algorithm.name())), named);
    }
}

/// Bit by bit, as the catalogue of CRCs defines them; the others by another library.
fn reference(algorithm: Algorithm, body: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Crc32 => crc(body, 0xedb8_8320, 4),
        Algorithm::Crc32c => crc(body, 0x82f6_3b78, 4),
        Algorithm::Crc64Nvme => crc(body, 0x9a6c_9329_ac4b_c9b5, 8),
        Algorithm::Sha1 => ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, body).as_ref().to_vec(),
        Algorithm::Sha256 => ring::digest::digest(&ring::digest::SHA256, body).as_ref().to_vec(),
    }
}

/// A reflected CRC of so many bytes, all ones before and after.
fn crc(body: &[u8], polynomial: u64, width: usize) -> Vec<u8> {
    let ones = if width == 8 { u64::MAX } else { u64::from(u32::MAX) };
    let mut register = ones;
    for byte in body {
        register ^= u64::from(*byte);
        for _ in 0..8 {
            register = if register & 1 == 1 { (register >> 1) ^ polynomial } else { register >> 1 };
        }
    }
    (register ^ ones).to_be_bytes().into_iter().skip(8 - width).collect()
}

/// MD5 word by word, as RFC 1321 defines it.
fn md5(body: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut padded = body.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(body.len() as u64).wrapping_mul(8).to_le_bytes());
    let (mut a0, mut b0, mut c0, mut d0) = (0x6745_2301_u32, 0xefcd_ab89_u32, 0x98ba_dcfe_u32, 0x1032_5476_u32);
    for block in padded.as_chunks::<64>().0 {
        let words: Vec<u32> = block.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (mut a, mut b, mut c, mut d) = (a0, b0, c0, d0);
        for step in 0..64_usize {
            let (mixed, at) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let constant = (f64::from(u32::MAX) + 1.0) * ((step + 1) as f64).sin().abs();
            let word = words.get(at % 16).copied().unwrap_or_default();
            let shift = SHIFTS.get(step / 16).and_then(|row| row.get(step % 4)).copied().unwrap_or_default();
            let sum = a.wrapping_add(mixed).wrapping_add(constant as u32).wrapping_add(word);
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(shift)));
        }
        (a0, b0, c0, d0) = (a0.wrapping_add(a), b0.wrapping_add(b), c0.wrapping_add(c), d0.wrapping_add(d));
    }
    let mut digest = [0; 16];
    for (slot, byte) in digest.iter_mut().zip([a0, b0, c0, d0].into_iter().flat_map(u32::to_le_bytes)) {
        *slot = byte;
    }
    digest
}
