//! Paths that a plugin may name.

use super::failure;
use crate::bindings::base::sallyport::plugin::types::Failure;

/// Files that are being written have this in front; no plugin sees or names them.
pub(super) const TEMPORARY: &str = ".sallyport-tmp-";

/// Folders from the location's own to the last one, then the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FilePath<'a> {
    /// All of it.
    pub(super) whole: &'a str,
    pub(super) folders: Vec<&'a str>,
    pub(super) name: &'a str,
}

impl<'a> FilePath<'a> {
    pub(super) fn parse(path: &'a str) -> Result<Self, Failure> {
        let mut folders = segments(path)?;
        let name = folders.pop().ok_or_else(|| failure("denied", "the path is empty"))?;
        Ok(Self { whole: path, folders, name })
    }
}

/// The segments of a path, none for the empty one.
pub(super) fn segments(path: &str) -> Result<Vec<&str>, Failure> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

fn segment(segment: &str) -> Result<&str, Failure> {
    let legal = (1..=255).contains(&segment.len())
        && segment != "."
        && segment != ".."
        && !segment.contains('\0')
        && !segment.starts_with(TEMPORARY);
    if legal { Ok(segment) } else { Err(failure("denied", "the path has a segment that is not allowed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for path in ["", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a\0b", ".sallyport-tmp-1"] {
            assert!(FilePath::parse(path).is_err(), "{path:?}");
        }
        assert!(FilePath::parse(&"x".repeat(256)).is_err());
        let expected = FilePath { whole: "a/b/...", folders: vec!["a", "b"], name: "..." };
        assert_eq!(FilePath::parse("a/b/...").ok(), Some(expected));
    }
}
