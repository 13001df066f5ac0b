//! Times as S3's documents and headers have them.

use time::format_description::well_known::Iso8601;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

/// What comes after the last day that can be written is that day.
fn moment(milliseconds: i64) -> OffsetDateTime {
    let last = if milliseconds < 0 { OffsetDateTime::UNIX_EPOCH } else { PrimitiveDateTime::MAX.assume_utc() };
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).unwrap_or(last)
}

/// `2009-10-12T17:50:30.000Z`, for documents.
pub(crate) fn document(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    moment(milliseconds).format(format).unwrap_or_default()
}

/// Any form of ISO 8601 with a zone, or a day, in milliseconds since 1970.
pub(crate) fn parse_document(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok().or_else(|| {
        let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
        Some(day.midnight().assume_utc())
    })?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
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
        assert_eq!(header(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT", "not a day that is over");
        assert_eq!(parse_header("Mon, 12 Oct 2009 17:50:30 GMT"), Some(1_255_369_830_000));
        assert_eq!(parse_header("yesterday"), None);
        assert_eq!(parse_document("2009-10-12T17:50:30.123Z"), Some(1_255_369_830_123));
        assert_eq!(parse_document("2009-10-12T19:50:30+02:00"), Some(1_255_369_830_000));
        assert_eq!(parse_document("2009-10-12"), Some(1_255_305_600_000));
        assert_eq!(parse_document("20091012"), None);
    }
}
