//! Times as S3's documents and headers have them.

use time::OffsetDateTime;
use time::macros::format_description;

fn moment(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `2009-10-12T17:50:30.000Z`, for documents.
pub(crate) fn document(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    moment(milliseconds).format(format).unwrap_or_default()
}

/// `Mon, 12 Oct 2009 17:50:30 GMT`, for headers.
pub(crate) fn header(milliseconds: i64) -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    moment(milliseconds).format(format).unwrap_or_default()
}

/// A header's date in milliseconds since 1970; what is no date says nothing.
pub(crate) fn parse_header(text: &str) -> Option<i64> {
    crate::auth::parse_http(text).map(|time| time.unix_timestamp() * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_s3_writes_them() {
        assert_eq!(document(1_255_369_830_123), "2009-10-12T17:50:30.123Z");
        assert_eq!(header(1_255_369_830_123), "Mon, 12 Oct 2009 17:50:30 GMT");
        assert_eq!(parse_header("Mon, 12 Oct 2009 17:50:30 GMT"), Some(1_255_369_830_000));
        assert_eq!(parse_header("yesterday"), None);
    }
}
