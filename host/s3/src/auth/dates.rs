//! The dates that signatures carry, and how far they may be off.

use crate::error::{Code, S3Error};
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// How far a client's clock may be off.
pub(crate) const SKEW: Duration = Duration::minutes(15);

/// `20130524T000000Z`.
pub(crate) fn parse_basic(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(text, format).ok().map(PrimitiveDateTime::assume_utc)
}

/// `20130524T000000Z`.
pub(crate) fn basic(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    time.format(format).unwrap_or_default()
}

/// `2013-05-24T00:00:00Z`.
pub(crate) fn extended(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.format(format).unwrap_or_default()
}

/// `2007-12-01T12:00:00.000Z`, with or without fractions, in any zone.
pub(crate) fn parse_iso(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok().filter(|_| text.contains('T'))
}

/// Any of the forms that a Date header comes in: the three of HTTP, and what clients send besides.
pub(crate) fn parse_http(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    if let Ok(time) = httpdate::parse_http_date(text) {
        return Some(time.into());
    }
    let zoned = text.replace("GMT", "+0000").replace("UTC", "+0000");
    OffsetDateTime::parse(&zoned, &Rfc2822)
        .ok()
        .or_else(|| parse_basic(text))
        .or_else(|| OffsetDateTime::parse(text, &time::format_description::well_known::Iso8601::DEFAULT).ok())
}

/// Refuses a request that was made too long ago, or that is yet to be made.
pub(crate) fn check_skew(request: OffsetDateTime, now: OffsetDateTime) -> Result<(), S3Error> {
    if (now - request).abs() <= SKEW {
        return Ok(());
    }
    Err(S3Error::new(Code::RequestTimeTooSkewed)
        .with("RequestTime", basic(request))
        .with("ServerTime", extended(now))
        .with("MaxAllowedSkewMilliseconds", SKEW.whole_milliseconds().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form_that_clients_send() {
        let expected = parse_basic("20070327T193642Z");
        assert!(expected.is_some());
        assert_eq!(parse_http("Tue, 27 Mar 2007 19:36:42 +0000"), expected);
        assert_eq!(parse_http("Tue, 27 Mar 2007 19:36:42 GMT"), expected);
        assert_eq!(parse_http("Tuesday, 27-Mar-07 19:36:42 GMT"), expected);
        assert_eq!(parse_http("Tue Mar 27 19:36:42 2007"), expected);
        assert_eq!(parse_http("2007-03-27T19:36:42Z"), expected);
        assert_eq!(parse_http("Bad Date"), None);
    }

    #[test]
    fn a_clock_may_be_off_by_a_quarter_of_an_hour() {
        let now = OffsetDateTime::UNIX_EPOCH;
        assert!(check_skew(now + Duration::minutes(15), now).is_ok());
        assert!(check_skew(now - Duration::minutes(15), now).is_ok());
        let error = check_skew(now - Duration::minutes(16), now).expect_err("too old");
        assert_eq!(error.code, Code::RequestTimeTooSkewed);
    }
}
