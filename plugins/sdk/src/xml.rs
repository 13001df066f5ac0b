//! Reads and writes the XML of backends, by `quick-xml` and `serde`.
//!
//! Elements and attributes are matched by their local names, whatever prefix a server gives their namespace. What a type
//! does not name is skipped.

use crate::failure;
use crate::types::Failure;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Reads a document in UTF-8, with or without a byte order mark.
///
/// What cannot be read as `T` is `unavailable`: it is hardly the backend's own answer, but what something between says
/// while the backend is away. The document should have come through
/// [`Response::read_to_limit`](crate::http::Response::read_to_limit).
pub fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, Failure> {
    let document = document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document);
    quick_xml::de::from_reader(document)
        .map_err(|error| failure::unavailable(format!("the backend's XML cannot be read: {error}")))
}

/// A text as it stands between tags or quotes.
pub fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, Deserialize, PartialEq)]
    struct Named {
        #[serde(rename = "name", default)]
        names: Vec<String>,
    }

    #[test]
    fn prefixes_and_a_byte_order_mark_do_not_matter() {
        let expected = Named { names: vec!["a & b".to_owned(), String::new()] };
        for document in [
            "\u{feff}<?xml version=\"1.0\"?><D:all xmlns:D=\"DAV:\"><D:name>a &amp; b</D:name><D:name/></D:all>",
            "<all><other><name>no</name></other><name>a &amp; b</name><name></name></all>",
        ] {
            assert_eq!(read::<Named>(document.as_bytes()), Ok(expected.clone()), "{document}");
        }
    }

    #[test]
    fn what_is_no_xml_may_pass() {
        for garbage in [&b""[..], b"<html>", b"\xff\xfe", b"{}"] {
            assert_eq!(read::<Named>(garbage).map_err(|failure| failure.code), Err("unavailable".to_owned()));
        }
    }

    #[test]
    fn escaped_text_reads_as_it_was() {
        let text = "<a href=\"x\">'&'</a>";
        let document = format!("<all><name>{}</name></all>", escape(text));
        assert_eq!(read::<Named>(document.as_bytes()), Ok(Named { names: vec![text.to_owned()] }));
    }
}
