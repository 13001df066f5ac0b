//! How far a location's requests may go, decided before they are signed: a signature is good
//! for whatever its key can reach.

use super::policy::{Policy, default_port};
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode;

/// Headers by which some upstreams take another method than the request's.
const OTHER_METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// Headers by which some upstreams take another path than the request's.
const OTHER_PATHS: [&str; 3] = ["x-original-url", "x-original-uri", "x-rewrite-url"];

/// What requests are held to; absent parts hold them to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Narrowing {
    pub(crate) methods: Option<Vec<Method>>,
    /// Beginnings of paths, before encoding.
    pub(crate) paths: Option<Vec<String>>,
    pub(crate) copy_sources: Option<Vec<String>>,
}

impl Narrowing {
    /// Which of its parts a request oversteps. `policy` says which hosts its headers may name.
    pub(crate) fn oversteps(&self, request: &Parts, policy: &Policy) -> Option<&'static str> {
        // A tunnel carries what nobody can look at, and TRACE repeats what was signed.
        if matches!(request.method, Method::CONNECT | Method::TRACE) {
            return Some("method");
        }
        if self.methods.as_ref().is_some_and(|methods| !methods.contains(&request.method)) {
            return Some("method");
        }
        if self.paths.as_ref().is_some_and(|paths| !begins(request.uri.path(), paths)) {
            return Some("path");
        }
        let is_held = self.methods.is_some() || self.paths.is_some();
        let names_other = |names: &[&str]| is_held && names.iter().any(|name| request.headers.contains_key(*name));
        if names_other(&OTHER_METHODS) {
            return Some("method");
        }
        if names_other(&OTHER_PATHS) {
            return Some("path");
        }
        if self.paths.is_none() && self.copy_sources.is_none() {
            return None;
        }
        let exceeds = |value: &http::HeaderValue, granted: &Option<Vec<String>>| {
            let fits = |granted: &Vec<String>| path_of(value, policy).is_some_and(|path| begins(&path, granted));
            granted.as_ref().is_some_and(|granted| !fits(granted))
        };
        for (name, value) in &request.headers {
            if is_changed(name.as_str()) && exceeds(value, &self.paths) {
                return Some("path");
            }
            if is_read(name.as_str()) && exceeds(value, &self.copy_sources) {
                return Some("copy-source");
            }
        }
        None
    }
}

/// Whether a header names what a request writes or removes beside its own path: `Destination` of
/// WebDAV, and the sources of renames.
fn is_changed(header: &str) -> bool {
    header == "destination" || header.ends_with("-rename-source")
}

/// Whether a header names what a request reads from.
fn is_read(header: &str) -> bool {
    header.ends_with("-copy-source") || header.ends_with("-rename-source") || header == "x-copy-from"
}

/// The path of `bucket/key?versionId=…`, `/bucket/key` or a URL of a host that is granted.
fn path_of(value: &http::HeaderValue, policy: &Policy) -> Option<String> {
    let text = value.to_str().ok()?;
    if text.contains("://") {
        let uri = text.parse::<http::Uri>().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let scheme = uri.scheme_str()?;
        let port = authority.port_u16().or_else(|| default_port(scheme))?;
        policy.admit(scheme, authority.host(), port)?;
        return Some(uri.path().to_owned());
    }
    // Two slashes are followed by a host.
    let path = text.split('?').next().filter(|path| !path.starts_with("//"))?;
    Some(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// Whether an encoded path begins with one of these, segment by segment. One with dot segments
/// does not, whatever it begins with: upstreams resolve them after the signature was made.
fn begins(path: &str, prefixes: &[String]) -> bool {
    // Twice, since some upstreams do: what is fine is fine both times.
    let once: Vec<u8> = percent_decode(path.as_bytes()).collect();
    let twice: Vec<u8> = percent_decode(&once).collect();
    let has_dots =
        |path: &[u8]| path.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"." || part == b"..");
    if has_dots(&once) || has_dots(&twice) {
        return false;
    }
    prefixes.iter().any(|prefix| {
        let rest = once.strip_prefix(prefix.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::policy::Pattern;
    use super::*;

    fn narrowing(methods: &[Method], paths: &[&str], sources: &[&str]) -> Narrowing {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        Narrowing { methods: Some(methods.to_vec()), paths: texts(paths), copy_sources: texts(sources) }
    }

    fn policy() -> Policy {
        Policy::new(["https://h", "https://*.h.example.com"].iter().filter_map(|it| Pattern::parse(it, true)).collect())
    }

    fn ask(narrowing: &Narrowing, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = http::Request::builder().method(method).uri(format!("https://h{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        narrowing.oversteps(&request.body(()).expect("a request").into_parts().0, &policy())
    }

    #[test]
    fn paths_are_compared_segment_by_segment_as_upstreams_read_them() {
        let narrow = narrowing(&[Method::GET, Method::PUT], &["/bucket/folder", "/other/"], &["/bucket"]);
        for path in [
            "/bucket/folder",
            "/bucket/folder/a%2e%2eb",
            "/bucket/folder?list-type=2",
            "/other/x",
            "/%62ucket/folder/x",
        ] {
            assert_eq!(ask(&narrow, "GET", path, &[]), None, "{path}");
        }
        for path in [
            "/",
            "/bucket",
            "/bucket/folder2",
            "/bucket2/folder",
            "/bucket/folder/../../x",
            "/bucket/folder/%2e%2e/x",
            "/bucket/folder/%252e%252e/x",
            "/bucket/folder/..%2fx",
            "/bucket/folder/..%5cx",
            "/bucket/folder/./x",
            "/other",
        ] {
            assert_eq!(ask(&narrow, "GET", path, &[]), Some("path"), "{path}");
        }
    }

    #[test]
    fn methods_and_copy_sources_are_held_to_what_is_granted() {
        let narrow = narrowing(&[Method::GET, Method::PUT], &["/"], &["/bucket"]);
        assert_eq!(ask(&narrow, "DELETE", "/x", &[]), Some("method"));
        for source in ["bucket/key", "/bucket/key?versionId=1", "https://h/bucket/key", "bucket/a%20b"] {
            assert_eq!(ask(&narrow, "PUT", "/x", &[("x-amz-copy-source", source)]), None, "{source}");
        }
        for source in [
            "other/key",
            "/bucket/../other/key",
            "arn:aws:s3:::x",
            "https://h/other",
            "%2fother",
            "bucket%2f..%2fother",
            "https://else/bucket/key",
            "http://h/bucket/key",
            "https://h:8443/bucket/key",
            "https://h@else/bucket/key",
            "https://u@h/bucket/key",
            "//h/bucket/key",
        ] {
            for name in ["x-amz-copy-source", "x-ms-copy-source", "x-copy-from"] {
                assert_eq!(ask(&narrow, "PUT", "/x", &[(name, source)]), Some("copy-source"), "{name}: {source}");
            }
        }
        // One good source does not carry a bad one through.
        let both = [("x-amz-copy-source", "bucket/a"), ("x-ms-copy-source", "https://h/other")];
        assert_eq!(ask(&narrow, "PUT", "/x", &both), Some("copy-source"));
    }

    #[test]
    fn what_is_moved_lies_within_the_paths_at_both_ends() {
        let narrow = narrowing(&[Method::GET, Method::PUT], &["/bucket"], &["/"]);
        for to in ["/bucket/x", "https://h/bucket/x", "https://a.h.example.com/bucket/x"] {
            for name in ["Destination", "x-ms-rename-source", "x-amz-rename-source"] {
                assert_eq!(ask(&narrow, "PUT", "/bucket/y", &[(name, to)]), None, "{name}: {to}");
            }
        }
        for to in ["/other/x", "https://h/other", "https://else/bucket/x", "//else/bucket/x", "/bucket/%2e%2e/other"] {
            for name in ["Destination", "x-ms-rename-source", "x-amz-rename-source"] {
                assert_eq!(ask(&narrow, "PUT", "/bucket/y", &[(name, to)]), Some("path"), "{name}: {to}");
            }
        }
    }

    #[test]
    fn nothing_is_said_to_be_another_request_than_it_is() {
        let open = Narrowing::default();
        let methods = Narrowing { methods: Some(vec![Method::POST]), ..Narrowing::default() };
        let paths = Narrowing { paths: Some(vec!["/a".to_owned()]), ..Narrowing::default() };
        for narrow in [&methods, &paths] {
            assert_eq!(ask(narrow, "POST", "/a", &[]), None);
            for name in OTHER_METHODS {
                assert_eq!(ask(narrow, "POST", "/a", &[(name, "DELETE")]), Some("method"), "{name}");
                assert_eq!(ask(&open, "POST", "/a", &[(name, "DELETE")]), None, "{name}");
            }
            for name in OTHER_PATHS {
                assert_eq!(ask(narrow, "POST", "/a", &[(name, "/b")]), Some("path"), "{name}");
            }
        }
    }

    #[test]
    fn nothing_is_narrowed_by_nothing_but_tunnels_and_echoes() {
        let open = Narrowing::default();
        assert_eq!(ask(&open, "PATCH", "/a/../b", &[("x-amz-copy-source", "x/y")]), None);
        assert_eq!(ask(&open, "TRACE", "/", &[]), Some("method"));
        let tunnel = http::Request::builder().method("CONNECT").uri("h:443").body(()).expect("a request");
        assert_eq!(open.oversteps(&tunnel.into_parts().0, &policy()), Some("method"));
        assert_eq!(ask(&open, "MOVE", "/a", &[("destination", "https://else/x"), ("x-original-url", "/b")]), None);
    }
}
