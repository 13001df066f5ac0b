//! Reads the digests that backends report.

use crate::types::Checksum;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An ETag without its quotes and without a weak one's prefix.
pub fn unquote(etag: &str) -> &str {
    let etag = etag.trim();
    let etag = etag.strip_prefix("W/").unwrap_or(etag);
    etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag)
}

/// An ETag in quotes, for a condition.
pub fn quote(etag: &str) -> String {
    format!("\"{}\"", unquote(etag))
}

/// The MD5 that an ETag is, when it looks like one.
///
/// Looks deceive: with SSE-KMS, S3's ETags are 32 hexadecimal digits of something else. The
/// caller knows whether its backend's ETags are digests.
pub fn md5_of_etag(etag: &str) -> Option<Checksum> {
    let etag = unquote(etag);
    (etag.len() == 32).then(|| hex::decode(etag).ok()).flatten().map(|value| checksum("md5", value))
}

/// A digest from the base64 of a header such as `content-md5` or `x-amz-checksum-crc32`.
///
/// `None` when it is not base64, or has the wrong length for the algorithm: the checksum of a
/// multipart upload, `AAAA==-3`, is no digest of the object's bytes.
pub fn from_base64(algorithm: &str, text: &str) -> Option<Checksum> {
    let value = STANDARD.decode(text.trim()).ok()?;
    (Some(value.len()) == length(algorithm)).then(|| checksum(algorithm, value))
}

/// A digest as the base64 of a header.
pub fn to_base64(checksum: &Checksum) -> String {
    STANDARD.encode(&checksum.value)
}

/// The digest of one algorithm, among those that are known.
pub fn find<'a>(checksums: &'a [Checksum], algorithm: &str) -> Option<&'a Checksum> {
    checksums.iter().find(|checksum| checksum.algorithm == algorithm)
}

fn checksum(algorithm: &str, value: Vec<u8>) -> Checksum {
    Checksum { algorithm: algorithm.to_owned(), value }
}

fn length(algorithm: &str) -> Option<usize> {
    match algorithm {
        "crc32" | "crc32c" => Some(4),
        "crc64nvme" => Some(8),
        "md5" => Some(16),
        "sha1" => Some(20),
        "sha256" => Some(32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn quotes_and_weakness_come_off() {
        assert_eq!(unquote("W/\"x\""), "x");
        assert_eq!(unquote("\"x\""), "x");
        assert_eq!(unquote("x"), "x");
        assert_eq!(quote("x"), "\"x\"");
        assert_eq!(quote("\"x\""), "\"x\"");
    }

    #[test]
    fn an_etag_of_32_digits_is_an_md5_and_that_of_an_upload_is_not() {
        let md5 = md5_of_etag(&quote(EMPTY)).unwrap();
        assert_eq!(hex::encode(md5.value), EMPTY);
        assert_eq!(md5_of_etag(&format!("{EMPTY}-3")), None);
        assert_eq!(md5_of_etag("0x8DD00000000000"), None);
    }

    #[test]
    fn a_base64_digest_has_its_algorithms_length() {
        let md5 = from_base64("md5", "1B2M2Y8AsgTpgAmY7PhCfg==").unwrap();
        assert_eq!(to_base64(&md5), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(from_base64("crc32", "1B2M2Y8AsgTpgAmY7PhCfg=="), None);
        assert_eq!(from_base64("crc32", "AAAAAA==-3"), None);
    }
}
