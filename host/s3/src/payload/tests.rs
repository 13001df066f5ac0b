//! AWS's published chunks, cut in every way, and every way in which they can be wrong.

use super::*;
use crate::auth::SeedSignature;
use crate::auth::example;
use futures::StreamExt;
use http_body_util::StreamBody;
use proptest::prelude::*;
use sallyport_core::body::{BodyError, Refusal};

const IDLE: Duration = Duration::from_secs(5);

fn seed(signature: &str) -> SeedSignature {
    example::seed("20130524T000000Z", signature)
}

/// AWS's example of signed chunks: 64 KiB, 1 KiB, nothing.
fn signed_example() -> (SeedSignature, Vec<u8>) {
    let mut body =
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n".to_vec();
    body.extend(vec![b'a'; 65536]);
    body.extend(b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n");
    body.extend(vec![b'a'; 1024]);
    body.extend(b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n");
    (seed("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"), body)
}

/// The same with a signed trailer.
fn trailer_example() -> (SeedSignature, Vec<u8>) {
    let mut body =
        b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n".to_vec();
    body.extend(vec![b'a'; 65536]);
    body.extend(b"\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n");
    body.extend(vec![b'a'; 1024]);
    body.extend(b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n");
    body.extend(b"x-amz-checksum-crc32c:sOO8/Q==\r\n");
    body.extend(b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
    (seed("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"), body)
}

async fn read(decoder: Decoder, body: &[u8], size: u64, step: usize) -> Result<Vec<u8>, BodyError> {
    let pieces: Vec<_> = body
        .chunks(step)
        .map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let body = StreamBody::new(futures::stream::iter(pieces));
    let mut frames = Decoded::new(body, decoder, Some(size), IDLE).into_data_stream();
    let mut all = Vec::new();
    while let Some(frame) = frames.next().await {
        all.extend_from_slice(&frame?);
    }
    Ok(all)
}

fn chunked(seed: Option<SeedSignature>, trailer: Option<Trailer>) -> Decoder {
    Decoder::Chunked { chunks: Box::new(Chunks::new(seed, trailer.is_some())), trailer }
}

fn crc32c() -> Trailer {
    Trailer { algorithm: Algorithm::Crc32c, value: Arc::default() }
}

#[tokio::test]
async fn aws_signed_chunks_however_they_are_cut() {
    let (seed, body) = signed_example();
    for step in [1, 7, 64, 86, 4096, 100_000] {
        let data = read(chunked(Some(seed.clone()), None), &body, 66_560, step).await.expect("genuine");
        assert_eq!(data, vec![b'a'; 66_560], "{step}");
    }
}

#[tokio::test]
async fn aws_signed_trailer_reaches_the_gateway() {
    let (seed, body) = trailer_example();
    let trailer = crc32c();
    let data = read(chunked(Some(seed), Some(trailer.clone())), &body, 66_560, 1000).await.expect("genuine");
    assert_eq!(data.len(), 66_560);
    assert_eq!(trailer.value.get().map(String::as_str), Some("sOO8/Q=="));
    assert_eq!(Algorithm::Crc32c.decode("sOO8/Q=="), Some(Algorithm::Crc32c.digest(&data)));
}

#[tokio::test]
async fn any_changed_byte_of_signed_chunks_is_refused() {
    for position in [90, 65_700, 66_700, 66_790] {
        let (seed, mut body) = signed_example();
        body[position] ^= 1;
        assert!(read(chunked(Some(seed), None), &body, 66_560, 5000).await.is_err(), "{position}");
    }
    let (seed, mut body) = trailer_example();
    let position = body.windows(4).position(|window| window == b"sOO8").expect("there");
    body[position] ^= 1;
    let error = read(chunked(Some(seed), Some(crc32c())), &body, 66_560, 5000).await.expect_err("refused");
    assert_eq!(error, BodyError::Refused(Refusal::Signature));
}

#[tokio::test]
async fn unsigned_chunks_with_a_trailer_pass() {
    let body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32c:yZRlqg==\r\n\r\n";
    for step in [1, 3, 100] {
        let trailer = crc32c();
        let data = read(chunked(None, Some(trailer.clone())), body, 11, step).await.expect("legal");
        assert_eq!(data, b"hello world");
        assert_eq!(trailer.value.get().map(String::as_str), Some("yZRlqg=="));
    }
}

#[tokio::test]
async fn bodies_that_are_cut_or_too_long_are_refused() {
    let (seed, body) = signed_example();
    let error = read(chunked(Some(seed.clone()), None), &body[..70_00], 66_560, 500).await.expect_err("cut");
    assert!(matches!(error, BodyError::Length { expected: 66_560, .. }), "{error}");
    assert!(read(chunked(Some(seed.clone()), None), &body, 66_559, 500).await.is_err());
    assert!(read(chunked(Some(seed), None), &body, 66_561, 500).await.is_err());
    assert!(read(Decoder::Plain, b"abc", 2, 1).await.is_err());
    assert!(read(Decoder::Plain, b"abc", 4, 1).await.is_err());
    assert_eq!(read(Decoder::Plain, b"abc", 3, 1).await.expect("legal"), b"abc");
}

#[tokio::test]
async fn the_hash_of_a_plain_body_is_verified() {
    let decoder = |text: &[u8]| Decoder::Hashed { hash: Sha256::new(), expected: Sha256::digest(text).to_vec() };
    assert!(read(decoder(b"abc"), b"abc", 3, 1).await.is_ok());
    let error = read(decoder(b"abd"), b"abc", 3, 1).await.expect_err("differs");
    assert_eq!(error, BodyError::Refused(Refusal::ContentSha256));
    assert!(read(decoder(b""), b"", 0, 1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_cut() {
    let body = StreamBody::new(futures::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>());
    let mut frames = Decoded::new(body, Decoder::Plain, Some(10), IDLE).into_data_stream();
    assert_eq!(frames.next().await, Some(Err(BodyError::Idle)));
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_reads_is_not_the_clients() {
    // As a body of HTTP/1 does it: nothing is there before it is asked for.
    let late = async {
        tokio::time::sleep(IDLE / 2).await;
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(b"late")))
    };
    let body = StreamBody::new(Box::pin(futures::stream::once(late)));
    let mut frames = Decoded::new(body, Decoder::Plain, Some(4), IDLE).into_data_stream();
    tokio::time::sleep(IDLE * 3).await;
    assert_eq!(frames.next().await, Some(Ok(Bytes::from_static(b"late"))));
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..6),
        step in 1_usize..50,
    ) {
        let mut body = Vec::new();
        for piece in &pieces {
            body.extend(format!("{:x}\r\n", piece.len()).bytes());
            body.extend(piece);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\n\r\n");
        let plain: Vec<u8> = pieces.concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
        let read = runtime.block_on(async { read(chunked(None, Some(crc32c())), &body, plain.len() as u64, step).await });
        prop_assert_eq!(read.expect("legal"), plain);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut input = Bytes::from(body);
        let mut chunks = Chunks::new(None, true);
        while let Ok(Some(_)) = chunks.next(&mut input) {}
        let _ = chunks.finish();
    }
}
