//! Azure Storage's Shared Key.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>

use super::{authorize, header};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, HeaderName};
use percent_encoding::percent_decode_str;
use sha2::Sha256;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::macros::format_description;

const DATE: HeaderName = HeaderName::from_static("x-ms-date");
/// In the order of the string to sign; the date is always in `x-ms-date`.
const STANDARD_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

pub(crate) struct SharedKey {
    account: String,
    /// The key's inner and outer state, hashed once.
    key: Hmac<Sha256>,
}

impl SharedKey {
    pub(crate) fn new(account: &str, key: &Secret) -> Result<Self, String> {
        let key = STANDARD.decode(key.reveal().trim()).map_err(|_| "the account's key is not base64".to_owned())?;
        let key = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "the account's key cannot be used".to_owned())?;
        Ok(Self { account: account.to_owned(), key })
    }

    pub(crate) fn sign(&self, request: &mut http::request::Parts, now: OffsetDateTime) -> Result<(), String> {
        let date = now
            .format(format_description!(
                "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
            ))
            .map_err(|_| "the clock is out of range".to_owned())?;
        request.headers.remove(AUTHORIZATION);
        request.headers.insert(DATE, header(&date)?);
        let mut mac = self.key.clone();
        mac.update(string_to_sign(request, &self.account).as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        authorize(request, &format!("SharedKey {}:{signature}", self.account))
    }
}

fn string_to_sign(request: &http::request::Parts, account: &str) -> String {
    let value = |name: &str| {
        let values = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::trim).collect::<Vec<_>>().join(",")
    };
    let mut text = format!("{}\n", request.method);
    for name in STANDARD_HEADERS {
        match (name, value(name)) {
            ("", _) => {}
            // Since 2015-02-21 a length of zero is signed as nothing.
            ("content-length", length) if length == "0" => {}
            (_, value) => text.push_str(&value),
        }
        text.push('\n');
    }
    let names: BTreeMap<&str, ()> =
        request.headers.keys().map(|name| (name.as_str(), ())).filter(|(name, ())| name.starts_with("x-ms-")).collect();
    for (name, ()) in names {
        text.push_str(&format!("{name}:{}\n", value(name)));
    }
    text.push_str(&canonical_resource(&request.uri, account));
    text
}

fn canonical_resource(uri: &http::Uri, account: &str) -> String {
    let mut text = format!("/{account}{}", if uri.path().is_empty() { "/" } else { uri.path() });
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        parameters.entry(decode(name).to_lowercase()).or_default().push(decode(value));
    }
    for (name, mut values) in parameters {
        values.sort_unstable();
        text.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> http::request::Parts {
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request").into_parts().0
    }

    // The examples of the page above.
    #[test]
    fn the_published_strings_to_sign_agree() {
        let get = parts(
            "GET",
            "http://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20",
            &[("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("x-ms-version", "2015-02-21")],
        );
        assert_eq!(
            string_to_sign(&get, "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
        assert_eq!(
            canonical_resource(
                &"http://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=list&include=snapshots&include=metadata&include=uncommittedblobs"
                    .parse()
                    .expect("a URI"),
                "myaccount"
            ),
            "/myaccount/mycontainer\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nrestype:container"
        );
        assert_eq!(
            canonical_resource(
                &"https://myaccount-secondary.blob.core.windows.net/mycontainer/myblob".parse().expect("a URI"),
                "myaccount"
            ),
            "/myaccount/mycontainer/myblob"
        );
    }

    #[test]
    fn a_length_of_zero_is_signed_as_nothing() {
        let put = parts("PUT", "http://a.blob.core.windows.net/c/b", &[("content-length", "0")]);
        assert!(string_to_sign(&put, "a").starts_with("PUT\n\n\n\n\n"));
    }
}
