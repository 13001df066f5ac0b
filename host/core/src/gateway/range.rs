//! Which bytes of an object a request is about.

use super::request::ByteRange;
use crate::backend::Span;
use crate::error::{Error, Result};

impl ByteRange {
    /// The span of an object of `size` bytes, by [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-byte-ranges).
    ///
    /// # Errors
    /// `InvalidRange` when no byte is touched.
    pub fn resolve(self, size: u64) -> Result<Span> {
        let unsatisfiable = Err(Error::InvalidRange { size });
        let (offset, end) = match self {
            Self::FromTo(first, last) if first <= last => (first, last.saturating_add(1).min(size)),
            Self::FromTo(..) => return unsatisfiable,
            Self::From(first) => (first, size),
            Self::Last(length) => (size.saturating_sub(length), size),
        };
        if offset >= end {
            return unsatisfiable;
        }
        Ok(Span { offset, length: end - offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolved(range: ByteRange, size: u64) -> Option<(u64, u64)> {
        range.resolve(size).ok().map(|span| (span.offset, span.length))
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        assert_eq!(resolved(ByteRange::FromTo(0, 0), 10), Some((0, 1)));
        assert_eq!(resolved(ByteRange::FromTo(4, 99), 10), Some((4, 6)));
        assert_eq!(resolved(ByteRange::From(9), 10), Some((9, 1)));
        assert_eq!(resolved(ByteRange::Last(3), 10), Some((7, 3)));
        assert_eq!(resolved(ByteRange::Last(99), 10), Some((0, 10)));
    }

    #[test]
    fn a_range_without_a_byte_is_refused() {
        assert_eq!(resolved(ByteRange::From(10), 10), None);
        assert_eq!(resolved(ByteRange::Last(0), 10), None);
        assert_eq!(resolved(ByteRange::FromTo(0, 0), 0), None);
        assert_eq!(resolved(ByteRange::Last(5), 0), None);
    }

    /// Small numbers and the largest, where sums overflow.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..20_u64, (u64::MAX - 3)..=u64::MAX, any::<u64>()]
    }

    proptest! {
        #[test]
        fn a_span_is_what_the_range_and_the_object_share(first in number(), last in number(), size in number()) {
            for range in [ByteRange::FromTo(first, last), ByteRange::From(first), ByteRange::Last(first)] {
                let has = |byte: u64| byte < size && match range {
                    ByteRange::FromTo(first, last) => first <= byte && byte <= last,
                    ByteRange::From(first) => first <= byte,
                    ByteRange::Last(length) => size - byte <= length,
                };
                let Some((offset, length)) = resolved(range, size) else {
                    // No byte at any end of either is in both.
                    for byte in [0, first, last, size.saturating_sub(1), size.saturating_sub(first)] {
                        prop_assert!(!has(byte), "{:?} of {}: {}", range, size, byte);
                    }
                    continue;
                };
                let end = offset + (length - 1);
                prop_assert!(has(offset) && has(end), "{:?} of {}", range, size);
                prop_assert!(offset == 0 || !has(offset - 1), "{:?} of {}", range, size);
                prop_assert!(end == u64::MAX || !has(end + 1), "{:?} of {}", range, size);
            }
        }
    }
}
