//! The names that everything else is spoken of by; one that exists is legal.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a text is not the name it was offered as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` is not legal: {why}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    why: &'static str,
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_name! {
    /// A bucket's name, by
    /// [S3's rules](https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html)
    /// for general-purpose buckets.
    BucketName
}
text_name! {
    /// An object's key: 1 to 1,024 bytes of UTF-8.
    ObjectKey
}
text_name! {
    /// A location's name, as `locationConfig.json` has it.
    LocationName
}
text_name! {
    /// Who owns a bucket or an object: an account's canonical id.
    AccountId
}
text_name! {
    /// Names one write for ever: 32 characters of `0-9a-f`. Stored with the bytes.
    WriteId
}
text_name! {
    /// Names a multipart upload towards clients.
    UploadId
}
text_name! {
    /// Names a version towards clients; `null` for the null version.
    VersionId
}

impl BucketName {
    /// Accepts S3's rules for general-purpose buckets.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        let refuse = |why| Err(InvalidName { what: "the bucket name", text: name.to_owned(), why });
        if !(3..=63).contains(&name.len()) {
            return refuse("it has 3 to 63 characters");
        }
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !name.bytes().all(|byte| legal(byte) || byte == b'-' || byte == b'.') {
            return refuse("it has lower-case letters, digits, hyphens and dots only");
        }
        if !name.bytes().next().is_some_and(legal) || !name.bytes().last().is_some_and(legal) {
            return refuse("it starts and ends with a letter or a digit");
        }
        if name.contains("..") || name.contains(".-") || name.contains("-.") {
            return refuse("its labels are not empty and have no hyphen at their ends");
        }
        if name.parse::<std::net::Ipv4Addr>().is_ok() {
            return refuse("it is not an IP address");
        }
        if name.starts_with("xn--") || name.ends_with("-s3alias") || name.ends_with("--ol-s3") {
            return refuse("its prefix or suffix is reserved");
        }
        Ok(Self(name.to_owned()))
    }
}

impl ObjectKey {
    /// Accepts 1 to 1,024 bytes without NUL.
    pub fn parse(key: &str) -> Result<Self, InvalidName> {
        let refuse = |why| Err(InvalidName { what: "the key", text: key.chars().take(64).collect(), why });
        if key.is_empty() || key.len() > 1024 {
            return refuse("it has 1 to 1,024 bytes");
        }
        if key.contains('\0') {
            return refuse("it holds no NUL");
        }
        Ok(Self(key.to_owned()))
    }
}

impl LocationName {
    /// Accepts what can stand in a configuration file: 1 to 255 bytes, no control characters.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            let why = "it has 1 to 255 bytes and no control characters";
            return Err(InvalidName { what: "the location", text: name.chars().take(64).collect(), why });
        }
        Ok(Self(name.to_owned()))
    }
}

impl AccountId {
    /// Who did not sign: the id that S3 shows for it.
    pub fn anonymous() -> Self {
        Self("65a011a29cdf8ec533ec3d1ccaae921c".to_owned())
    }

    /// Whether nobody signed.
    pub fn is_anonymous(&self) -> bool {
        *self == Self::anonymous()
    }

    /// Takes a canonical id as `authdata.json` has it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }
}

impl WriteId {
    /// A new id: the milliseconds since 1970 in 48 bits, so that what begins together sorts
    /// together, on disks and in indexes; then 80 bits from the system's random numbers.
    pub fn random() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & 0xffff_ffff_ffff;
        Self(format!("{milliseconds:012x}{}", hex::encode(random::<10>())))
    }

    /// When its write began, in milliseconds since 1970.
    pub fn began(&self) -> u64 {
        self.0.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
    }

    /// Takes an id that was stored; anything else is refused.
    pub fn parse(id: &str) -> Result<Self, InvalidName> {
        if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Ok(Self(id.to_owned()));
        }
        Err(InvalidName { what: "the write id", text: id.chars().take(64).collect(), why: "it is 32 hex digits" })
    }
}

impl UploadId {
    /// A new id from the system's random numbers.
    pub fn random() -> Self {
        Self(random_hex())
    }

    /// Takes whatever a client sent: an id that was never given out is simply not found.
    pub fn from_client(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl VersionId {
    /// What clients call the null version.
    pub const NULL: &'static str = "null";

    /// The null version's id.
    pub fn null() -> Self {
        Self(Self::NULL.to_owned())
    }

    /// A new id from the system's random numbers.
    pub fn random() -> Self {
        Self(random_hex())
    }

    /// Takes whatever a client sent: an id that was never given out is simply not found.
    pub fn from_client(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// Whether this is the null version.
    pub fn is_null(&self) -> bool {
        self.0 == Self::NULL
    }
}

/// 128 random bits in hex.
fn random_hex() -> String {
    hex::encode(random::<16>())
}

/// Random bytes. Without random numbers nothing here is safe to go on, and the operating
/// system refuses them only before it is up.
fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0_u8; LENGTH];
    while getrandom::fill(&mut bytes).is_err() {
        std::thread::yield_now();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_s3() {
        for name in ["abc", "a.b.c", "my-bucket", "123", "a1-b2.c3"] {
            assert!(BucketName::parse(name).is_ok(), "{name}");
        }
        for name in ["ab", "Abc", "a_b_c", "-abc", "abc-", "a..b", "a.-b", "192.168.1.1", "xn--abc"] {
            assert!(BucketName::parse(name).is_err(), "{name}");
        }
        assert!(BucketName::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn keys_are_limited_in_bytes_not_characters() {
        assert!(ObjectKey::parse(&"ä".repeat(512)).is_ok());
        assert!(ObjectKey::parse(&"ä".repeat(513)).is_err());
        assert!(ObjectKey::parse("").is_err());
    }

    #[test]
    fn write_ids_parse_and_begin_with_the_time() {
        let milliseconds = || {
            let id = WriteId::random();
            assert_eq!(WriteId::parse(id.as_str()), Ok(id.clone()));
            u64::from_str_radix(&id.as_str()[..12], 16).unwrap()
        };
        let (first, second) = (milliseconds(), milliseconds());
        assert!(first <= second && second < first + 60_000, "{first} {second}");
        assert!(first > 1_700_000_000_000);
    }
}
