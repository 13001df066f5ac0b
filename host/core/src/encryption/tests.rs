//! Laws of the chunk format: what was sealed reads back, and nothing else does.

use super::*;
use crate::backend::Span;
use crate::body::{self, Body, BodyError};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body_util::BodyExt;
use proptest::prelude::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Sizes around the borders of chunks.
fn sizes() -> impl Strategy<Value = u64> {
    let border = (0..4_u64, -2..3_i64).prop_map(|(chunks, off)| (chunks * CHUNK).saturating_add_signed(off));
    prop_oneof![border, 0..3 * CHUNK, Just(0), Just(1)]
}

fn plain(size: u64) -> Bytes {
    (0..size).map(|index| (index.wrapping_mul(31) ^ (index >> 8)) as u8).collect::<Vec<u8>>().into()
}

fn pieces(bytes: &Bytes, each: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(each.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    body::from_stream(stream::iter(pieces))
}

fn collect(body: Body) -> Result<Bytes, BodyError> {
    block_on(body.collect()).map(|collected| collected.to_bytes())
}

/// Seals runs of these sizes; answers the stored stream and the plain one.
fn sealed(key: &DataKey, sizes: &[u64], each: usize) -> (Vec<SealedRun>, Bytes, Bytes) {
    let (mut runs, mut stored, mut all) = (Vec::new(), BytesMut::new(), BytesMut::new());
    for size in sizes {
        let (run, bytes) = (SealedRun::new(*size).unwrap(), plain(*size));
        let streamed = collect(seal(pieces(&bytes, each), key.cipher(&run).unwrap(), *size)).unwrap();
        assert_eq!(streamed, seal_whole(&bytes, &key.cipher(&run).unwrap()).unwrap());
        assert_eq!(streamed.len() as u64, sealed_size(*size));
        stored.extend_from_slice(&streamed);
        all.extend_from_slice(&bytes);
        runs.push(run);
    }
    (runs, stored.freeze(), all.freeze())
}

fn read(key: &DataKey, runs: &[SealedRun], stored: &Bytes, span: Span, each: usize) -> Result<Bytes, BodyError> {
    let plan = Plan::new(runs, span);
    let Some(taken) = plan.stored else { return Ok(Bytes::new()) };
    let (from, to) = (taken.offset as usize, (taken.offset + taken.length) as usize);
    let bytes = stored.slice(from.min(stored.len())..to.min(stored.len()));
    collect(open(pieces(&bytes, each), key.clone(), plan))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_range_of_any_runs_is_the_plain_range(
        sizes in proptest::collection::vec(sizes(), 1..4),
        ends in (any::<proptest::sample::Index>(), any::<proptest::sample::Index>()),
        each in 1_000..200_000_usize,
    ) {
        let key = DataKey::random().unwrap();
        let (runs, stored, all) = sealed(&key, &sizes, each);
        let (one, other) = (ends.0.index(all.len() + 1), ends.1.index(all.len() + 1));
        let (from, to) = (one.min(other), one.max(other));
        let span = Span { offset: from as u64, length: (to - from) as u64 };
        let read = read(&key, &runs, &stored, span, each).unwrap();
        prop_assert!(read == all.slice(from..to));
        // No more is read than the chunks that the span touches, in each of the runs.
        if let Some(taken) = Plan::new(&runs, span).stored {
            let tags = span.length / CHUNK + 2 + 2 * runs.len() as u64;
            prop_assert!(taken.length <= span.length + tags * TAG + 2 * CHUNK);
        }
    }

    #[test]
    fn a_flipped_bit_is_refused(size in sizes(), at in any::<proptest::sample::Index>(), bit in 0..8_u8) {
        let key = DataKey::random().unwrap();
        let (runs, stored, all) = sealed(&key, &[size], 50_000);
        prop_assume!(!all.is_empty());
        let mut damaged = BytesMut::from(&stored[..]);
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let span = Span { offset: 0, length: size };
        prop_assert!(read(&key, &runs, &damaged.freeze(), span, 50_000).is_err());
    }

    #[test]
    fn a_dropped_end_is_refused(size in 1..3 * CHUNK, cut in 1..100_000_u64) {
        let key = DataKey::random().unwrap();
        let (runs, stored, _) = sealed(&key, &[size], 50_000);
        let kept = stored.slice(..(stored.len() as u64).saturating_sub(cut) as usize);
        let span = Span { offset: 0, length: size };
        prop_assert!(read(&key, &runs, &kept, span, 50_000).is_err());
    }
}

#[test]
fn a_run_that_ends_at_a_chunk_does_not_pass_for_a_longer_one() {
    let key = DataKey::random().unwrap();
    let (runs, stored, _) = sealed(&key, &[3 * CHUNK], 50_000);
    // Whoever holds the bytes drops the last chunk, and the row is made to agree.
    let shorter = vec![SealedRun { size: 2 * CHUNK, ..runs[0].clone() }];
    let kept = stored.slice(..sealed_size(2 * CHUNK) as usize);
    assert!(read(&key, &shorter, &kept, Span { offset: 0, length: 2 * CHUNK }, 50_000).is_err());
}

#[test]
fn chunks_cannot_be_swapped_within_or_between_runs_and_objects() {
    let (key, other) = (DataKey::random().unwrap(), DataKey::random().unwrap());
    let (runs, stored, _) = sealed(&key, &[3 * CHUNK, 3 * CHUNK], 50_000);
    let (_, foreign, _) = sealed(&other, &[3 * CHUNK], 50_000);
    let chunk = (CHUNK + TAG) as usize;
    let span = Span { offset: 0, length: 6 * CHUNK };
    let swapped = |from: usize, to: usize| {
        let mut bytes = BytesMut::from(&stored[..]);
        bytes[to * chunk..(to + 1) * chunk].copy_from_slice(&stored[from * chunk..(from + 1) * chunk]);
        bytes.freeze()
    };
    assert!(read(&key, &runs, &stored, span, 50_000).is_ok());
    assert!(read(&key, &runs, &swapped(0, 1), span, 50_000).is_err(), "within a run");
    assert!(read(&key, &runs, &swapped(0, 3), span, 50_000).is_err(), "between runs");
    let mut bytes = BytesMut::from(&stored[..]);
    bytes[..chunk].copy_from_slice(&foreign[..chunk]);
    assert!(read(&key, &runs, &bytes.freeze(), span, 50_000).is_err(), "between objects");
    let turned: Vec<_> = runs.iter().rev().cloned().collect();
    assert!(read(&key, &turned, &stored, span, 50_000).is_err(), "whole runs");
}

#[test]
fn nothing_is_passed_on_of_a_chunk_that_does_not_open() {
    let key = DataKey::random().unwrap();
    let (runs, stored, _) = sealed(&key, &[2 * CHUNK], 50_000);
    let mut damaged = BytesMut::from(&stored[..]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let plan = Plan::new(&runs, Span { offset: 0, length: 2 * CHUNK });
    let mut body = open(body::full(damaged.freeze()), key, plan);
    let first = block_on(body.frame()).unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.len() as u64, CHUNK);
    assert!(block_on(body.frame()).unwrap().is_err());
    assert!(block_on(body.frame()).is_none());
}

#[test]
fn a_body_that_breaks_off_or_overruns_is_never_whole() {
    let key = DataKey::random().unwrap();
    let run = SealedRun::new(100).unwrap();
    for sent in [99, 101] {
        let body = seal(pieces(&plain(sent), 40), key.cipher(&run).unwrap(), 100);
        assert!(matches!(collect(body), Err(BodyError::Length { expected: 100, .. })), "{sent}");
    }
    let broken = stream::iter([Ok(plain(100)), Err(BodyError::Client("gone".to_owned()))]);
    let body = seal(body::from_stream(broken), key.cipher(&run).unwrap(), 100);
    assert_eq!(collect(body), Err(BodyError::Client("gone".to_owned())));
}
