//! Paths and queries: percent-decoding, and the strict encoding that signatures are made of.

use crate::error::{Code, S3Error};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// As `STRICT`, but slashes stay.
const PATH: &AsciiSet = &STRICT.remove(b'/');
/// What `encoding-type=url` leaves as it is: the form encoding, with slashes kept as S3 does.
const LISTING: &AsciiSet = &PATH.remove(b'*');

/// Encodes all but unreserved characters.
pub(crate) fn encode(text: &[u8]) -> String {
    percent_encode(text, STRICT).to_string()
}

/// Encodes all but unreserved characters and slashes.
pub(crate) fn encode_path(path: &[u8]) -> String {
    percent_encode(path, PATH).to_string()
}

/// Encodes a key as listings do under `encoding-type=url`.
pub(crate) fn encode_listed(key: &str) -> String {
    percent_encode(key.as_bytes(), LISTING).to_string()
}

/// Decodes a path or a header; what is not UTF-8 afterwards is refused.
pub(crate) fn decode(text: &str) -> Result<String, S3Error> {
    percent_decode(text.as_bytes())
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| S3Error::because(Code::InvalidURI, "The URI is not UTF-8 once decoded."))
}

/// The parameters of a query, decoded, in the order they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Takes a query apart; `+` is a space, as in forms.
    pub(crate) fn parse(raw: &str) -> Result<Self, S3Error> {
        let pairs = raw
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
            })
            .collect::<Result<_, S3Error>>()?;
        Ok(Self { pairs })
    }

    /// The first value of a parameter.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// Whether the parameter is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(candidate, _)| candidate == name)
    }

    /// All parameters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As SigV4 signs it: encoded, sorted, without the parameter `except`.
    pub(crate) fn canonical(&self, except: Option<&str>) -> String {
        let mut pairs: Vec<(String, String)> = self
            .pairs
            .iter()
            .filter(|(name, _)| Some(name.as_str()) != except)
            .map(|(name, value)| (encode(name.as_bytes()), encode(value.as_bytes())))
            .collect();
        pairs.sort();
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_keeps_order_and_decodes() {
        let query = Query::parse("prefix=a%2Fb+c&acl&x=").expect("legal");
        assert_eq!(query.value("prefix"), Some("a/b c"));
        assert_eq!(query.value("acl"), Some(""));
        assert!(query.has("x") && !query.has("y"));
        assert_eq!(query.canonical(None), "acl=&prefix=a%2Fb%20c&x=");
    }

    #[test]
    fn a_path_that_is_not_utf8_is_refused() {
        assert_eq!(decode("%ff").expect_err("refused").code, Code::InvalidURI);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in "\\PC{0,30}") {
            for encoded in [encode(text.as_bytes()), encode_path(text.as_bytes()), encode_listed(&text)] {
                prop_assert_eq!(decode(&encoded).expect("legal"), text.as_str());
                prop_assert!(encoded.is_ascii());
            }
        }

        #[test]
        fn a_canonical_query_says_the_same_and_is_its_own_canonical_form(raw in "[a-c=&+%2fé]{0,20}") {
            let Ok(query) = Query::parse(&raw) else { return Ok(()) };
            let canonical = query.canonical(None);
            let again = Query::parse(&canonical).expect("legal");
            prop_assert_eq!(again.canonical(None), canonical.as_str());
            let sorted = |query: &Query| {
                let mut pairs = query.pairs.clone();
                pairs.sort();
                pairs
            };
            prop_assert_eq!(sorted(&again), sorted(&query));
        }
    }
}
