//! Dates as HTTP headers have them.

use std::time::UNIX_EPOCH;

/// Milliseconds since 1970 of a date such as `Thu, 01 Jan 1970 00:00:01 GMT`, in any of the three forms that HTTP knows;
/// `None` when it is none of them.
pub fn milliseconds(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date.trim()).ok()?;
    u64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_milliseconds_since_1970() {
        assert_eq!(milliseconds("Thu, 01 Jan 1970 00:00:01 GMT"), Some(1_000));
        assert_eq!(milliseconds("Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777_000));
        for date in ["", "yesterday", "2020-01-01T00:00:00Z", "Thu, 01 Jan 1960 00:00:00 GMT"] {
            assert_eq!(milliseconds(date), None, "{date}");
        }
    }
}
