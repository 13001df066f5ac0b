//! Where the bytes of an object are in what is stored of it.
//!
//! A header, then one chunk after the other: 64 KiB sealed to 16 bytes more, the last one shorter, and of an empty object
//! one chunk of nothing. So the place of every byte follows from its offset alone.

use sallyport_plugin_sdk::types::Span;

/// Plain bytes in every chunk but the last.
pub(crate) const CHUNK: u64 = 64 * 1024;
/// What sealing adds to each chunk.
const TAG: u64 = 16;
const SEALED_CHUNK: u64 = CHUNK + TAG;
/// Bytes before the first chunk.
pub(crate) const HEADER: u64 = 35;

/// How many chunks an object of `size` bytes has: one at least.
pub(crate) fn chunks(size: u64) -> u64 {
    size.div_ceil(CHUNK).max(1)
}

/// The bytes that are stored of an object; `None` beyond what 64 bits hold.
pub(crate) fn sealed(size: u64) -> Option<u64> {
    size.checked_add(chunks(size).checked_mul(TAG)?)?.checked_add(HEADER)
}

/// The size of an object of which so many bytes are stored; `None` when no object has them.
pub(crate) fn plain(stored: u64) -> Option<u64> {
    let chunked = stored.checked_sub(HEADER)?;
    let size = chunked.checked_sub(chunked.div_ceil(SEALED_CHUNK).checked_mul(TAG)?)?;
    (sealed(size) == Some(stored)).then_some(size)
}

/// The largest object of which at most `stored` bytes are stored, to within one chunk.
pub(crate) fn largest(stored: u64) -> u64 {
    stored.saturating_sub(HEADER) / SEALED_CHUNK * CHUNK
}

/// The chunks that a read needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// The first one's index.
    pub(crate) first: u64,
    /// The last one's index.
    pub(crate) last: u64,
    /// Plain bytes of the first chunk before those that were asked for.
    pub(crate) skip: usize,
    /// Plain bytes that were asked for.
    pub(crate) length: u64,
    /// Where the chunks are in what is stored.
    pub(crate) stored: Span,
}

impl Run {
    /// For a span of an object of `size` bytes, or all of it; `None` for a span that does not lie within.
    pub(crate) fn of(size: u64, span: Option<Span>) -> Option<Self> {
        let (offset, length) = span.map_or((0, size), |span| (span.offset, span.length));
        let end = offset.checked_add(length).filter(|end| *end <= size)?;
        let first = offset / CHUNK;
        let last = end.max(1).checked_sub(1)? / CHUNK;
        let start = HEADER.checked_add(first.checked_mul(SEALED_CHUNK)?)?;
        let stop = HEADER.checked_add(last.checked_add(1)?.checked_mul(SEALED_CHUNK)?)?.min(sealed(size)?);
        Some(Self {
            first,
            last,
            skip: usize::try_from(offset % CHUNK).ok()?,
            length,
            stored: Span { offset: start, length: stop.checked_sub(start)? },
        })
    }

    /// Plain bytes of a chunk of an object of `size` bytes.
    pub(crate) fn chunk_length(size: u64, index: u64) -> usize {
        let rest = size.saturating_sub(index.saturating_mul(CHUNK)).min(CHUNK);
        usize::try_from(rest).unwrap_or(usize::MAX)
    }
}

/// Bytes that sealing a chunk adds, as a length in memory.
pub(crate) const TAG_LENGTH: usize = TAG as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_object_has_one_chunk_of_nothing() {
        assert_eq!((chunks(0), sealed(0), plain(HEADER + TAG)), (1, Some(HEADER + TAG), Some(0)));
        let run = Run::of(0, None).unwrap();
        assert_eq!((run.first, run.last, run.length), (0, 0, 0));
        assert_eq!(run.stored, Span { offset: HEADER, length: TAG });
    }

    #[test]
    fn what_no_object_can_be_stored_as_has_no_size() {
        for stored in [0, 1, HEADER, HEADER + TAG - 1, sealed(CHUNK).unwrap() + 1, sealed(CHUNK).unwrap() + TAG] {
            assert_eq!(plain(stored), None, "{stored}");
        }
    }

    #[test]
    fn a_span_beyond_the_end_is_none() {
        assert_eq!(Run::of(10, Some(Span { offset: 5, length: 6 })), None);
        assert_eq!(Run::of(10, Some(Span { offset: u64::MAX, length: 2 })), None);
    }

    #[test]
    fn the_largest_object_fits() {
        let largest = largest(5 << 30);
        assert!(sealed(largest).unwrap() <= 5 << 30);
        assert!(sealed(largest + 2 * CHUNK).unwrap() > 5 << 30);
    }

    proptest! {
        #[test]
        fn sizes_go_there_and_back(size in 0_u64..1 << 50) {
            prop_assert_eq!(plain(sealed(size).unwrap()), Some(size));
        }

        #[test]
        fn a_run_has_every_byte_that_was_asked_for(size in 1_u64..1_000_000, from: u64, length: u64) {
            let offset = from % size;
            let length = 1 + length % (size - offset);
            let run = Run::of(size, Some(Span { offset, length })).unwrap();
            prop_assert_eq!(run.first * CHUNK + run.skip as u64, offset);
            let held: u64 = (run.first..=run.last).map(|index| Run::chunk_length(size, index) as u64).sum();
            prop_assert!(held >= run.skip as u64 + length);
            prop_assert!(held - run.skip as u64 - length < CHUNK);
            prop_assert_eq!(run.stored.length, held + (run.last - run.first + 1) * TAG);
            prop_assert!(run.stored.offset + run.stored.length <= sealed(size).unwrap());
        }
    }
}
