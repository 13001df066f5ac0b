//! How far a location's requests may go, decided before they are signed: a signature is good
//! for whatever its key can reach.

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode;

/// Headers that name what a request copies from.
const COPY_SOURCES: [&str; 2] = ["x-amz-copy-source", "x-ms-copy-source"];

/// What requests are held to; absent parts hold them to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Narrowing {
    pub(crate) methods: Option<Vec<Method>>,
    /// Beginnings of paths, before encoding.
    pub(crate) paths: Option<Vec<String>>,
    pub(crate) copy_sources: Option<Vec<String>>,
}

impl Narrowing {
    /// Which of its parts a request oversteps.
    pub(crate) fn oversteps(&self, request: &Parts) -> Option<&'static str> {
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
        if let Some(sources) = &self.copy_sources {
            let named = COPY_SOURCES.iter().flat_map(|name| request.headers.get_all(*name));
            let fits = |value: &http::HeaderValue| source_path(value).is_some_and(|path| begins(&path, sources));
            if named.into_iter().any(|value| !fits(value)) {
                return Some("copy-source");
            }
        }
        None
    }
}

/// The path of `bucket/key?versionId=…`, `/bucket/key` or a URL.
fn source_path(value: &http::HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    if text.contains("://") {
        return Some(text.parse::<http::Uri>().ok()?.path().to_owned());
    }
    let path = text.split('?').next()?;
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
    use super::*;

    fn narrowing(methods: &[Method], paths: &[&str], sources: &[&str]) -> Narrowing {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        Narrowing { methods: Some(methods.to_vec()), paths: texts(paths), copy_sources: texts(sources) }
    }

    fn ask(narrowing: &Narrowing, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = http::Request::builder().method(method).uri(format!("https://h{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        narrowing.oversteps(&request.body(()).expect("a request").into_parts().0)
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
        ] {
            for name in COPY_SOURCES {
                assert_eq!(ask(&narrow, "PUT", "/x", &[(name, source)]), Some("copy-source"), "{name}: {source}");
            }
        }
        // One good source does not carry a bad one through.
        let both = [("x-amz-copy-source", "bucket/a"), ("x-ms-copy-source", "https://h/other")];
        assert_eq!(ask(&narrow, "PUT", "/x", &both), Some("copy-source"));
    }

    #[test]
    fn nothing_is_narrowed_by_nothing_but_tunnels_and_echoes() {
        let open = Narrowing::default();
        assert_eq!(ask(&open, "PATCH", "/a/../b", &[("x-amz-copy-source", "x/y")]), None);
        assert_eq!(ask(&open, "TRACE", "/", &[]), Some("method"));
        let tunnel = http::Request::builder().method("CONNECT").uri("h:443").body(()).expect("a request");
        assert_eq!(open.oversteps(&tunnel.into_parts().0), Some("method"));
    }
}
