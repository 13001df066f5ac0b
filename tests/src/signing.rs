//! SigV4 from the client's side, written apart from the server's so that both cannot share a mistake.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::SystemTime;

/// The digest that stands for "not signed".
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Whose key signs, for which scope.
#[derive(Clone)]
pub struct Signer {
    access_key: String,
    secret_key: String,
    region: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Signer").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What is signed. The query is in canonical form: encoded, sorted, `name=value`.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, encoded as it is sent.
    pub path: &'a str,
    /// The canonical query.
    pub query: &'a str,
    /// The Host header.
    pub host: &'a str,
}

impl Signer {
    /// A signer for `us-east-1`.
    #[must_use]
    pub fn new(access_key: &str, secret_key: &str) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into(), region: "us-east-1".into() }
    }

    /// The headers to add, `host` excluded. `headers` are lower case and become part of the signature.
    #[must_use]
    pub fn headers(&self, subject: Subject<'_>, headers: &[(String, String)], digest: &str) -> Vec<(String, String)> {
        let now = timestamp(SystemTime::now());
        let mut signed: Vec<(String, String)> = headers.to_vec();
        signed.push(("host".into(), subject.host.into()));
        signed.push(("x-amz-content-sha256".into(), digest.into()));
        signed.push(("x-amz-date".into(), now.clone()));
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let mut canonical = format!("{}\n{}\n{}\n", subject.method, subject.path, subject.query);
        for (name, value) in &signed {
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{digest}");
        let (scope, signature) = self.sign(&now, &canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        vec![
            ("x-amz-content-sha256".into(), digest.into()),
            ("x-amz-date".into(), now),
            ("authorization".into(), authorization),
        ]
    }

    /// The query of a presigned URL that lasts `seconds`.
    #[must_use]
    pub fn presigned(&self, subject: Subject<'_>, seconds: u32) -> String {
        let now = timestamp(SystemTime::now());
        let credential = encode(&format!("{}/{}", self.access_key, self.scope(&now)), true);
        let mut pairs: Vec<String> = subject.query.split('&').filter(|pair| !pair.is_empty()).map(Into::into).collect();
        pairs.extend([
            "X-Amz-Algorithm=AWS4-HMAC-SHA256".into(),
            format!("X-Amz-Credential={credential}"),
            format!("X-Amz-Date={now}"),
            format!("X-Amz-Expires={seconds}"),
            "X-Amz-SignedHeaders=host".into(),
        ]);
        pairs.sort();
        let query = pairs.join("&");
        let canonical =
            format!("{}\n{}\n{query}\nhost:{}\n\nhost\n{UNSIGNED}", subject.method, subject.path, subject.host);
        let (_, signature) = self.sign(&now, &canonical);
        format!("{query}&X-Amz-Signature={signature}")
    }

    fn scope(&self, now: &str) -> String {
        format!("{}/{}/s3/aws4_request", now.get(..8).unwrap_or_default(), self.region)
    }

    fn sign(&self, now: &str, canonical: &str) -> (String, String) {
        let scope = self.scope(now);
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for step in scope.split('/') {
            key = hmac(&key, step.as_bytes());
        }
        (scope, hex::encode(hmac(&key, text.as_bytes())))
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// HMAC-SHA256.
#[must_use]
pub fn hmac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mut mac| {
            mac.update(bytes);
            mac.finalize().into_bytes().to_vec()
        })
        .unwrap_or_default()
}

/// Percent-encoding as SigV4 wants it; a path keeps its slashes.
#[must_use]
pub fn encode(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if !slashes => out.push('/'),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// `YYYYMMDDTHHMMSSZ`.
fn timestamp(time: SystemTime) -> String {
    let (year, month, day, seconds) = civil(time);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `Mon, 02 Jan 2006 15:04:05 GMT`.
#[must_use]
pub fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, seconds) = civil(time);
    let week_day = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400 % 7);
    let week_day = usize::try_from(week_day).ok().and_then(|index| DAYS.get(index)).unwrap_or(&"Thu");
    let month = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"Jan");
    format!(
        "{week_day}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Year, month, day and second of the day (Hinnant's `civil_from_days`).
fn civil(time: SystemTime) -> (u64, u64, u64, u64) {
    let total = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = total / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day, total % 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_as_http_and_aws_write_them() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        assert_eq!(timestamp(time), "20130524T000000Z");
        assert_eq!(http_date(time), "Fri, 24 May 2013 00:00:00 GMT");
    }
}
