//! Credentials files: sections of keys, as the AWS tools write them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Sections by name, each with its keys in lower case.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// A file of credentials, or of authorities, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFile {
    path: PathBuf,
    /// Absent when the file was.
    stamp: Option<(SystemTime, u64)>,
}

impl ProfileFile {
    /// A file that somebody else reads from now on.
    pub fn now(path: &Path) -> Self {
        Self { path: path.to_owned(), stamp: stamp(path) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was written, made or removed since.
    pub fn has_changed(&self) -> bool {
        stamp(&self.path) != self.stamp
    }
}

/// Reads a file. The stamp is taken first, so that a change in between is noticed.
#[expect(clippy::disallowed_methods, reason = "a few lines of text, read at start and when they changed")]
pub(super) fn read(path: &Path) -> (ProfileFile, io::Result<Sections>) {
    let file = ProfileFile::now(path);
    (file, std::fs::read_to_string(path).map(|text| parse(&text)))
}

#[expect(clippy::disallowed_methods, reason = "one system call on a file that was read before")]
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut current = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        // Indented lines belong to a nested property, which no credential is.
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let name = name.trim();
            let name = name.strip_prefix("profile ").map_or(name, str::trim).to_owned();
            sections.entry(name.clone()).or_default();
            current = Some(name);
            continue;
        }
        let section = current.as_ref().and_then(|name| sections.get_mut(name));
        if let (Some(section), Some((key, value))) = (section, line.split_once('=')) {
            section.insert(key.trim().to_ascii_lowercase(), without_comment(value));
        }
    }
    sections
}

/// A comment begins with a mark behind white space: a mark within a secret is the secret's.
fn without_comment(value: &str) -> String {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    end.and_then(|end| value.get(..end)).unwrap_or(value).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_read_as_the_aws_tools_read_them() {
        let text = "\u{feff}# c\nloose = 1\r\n[default]\r\naws_access_key_id=a\r\n\
                    [ profile zenko ] # c\nAWS_Secret_Access_Key = x+/=#; # c\n  nested = 1\n";
        let sections = parse(text);
        assert_eq!(sections["default"]["aws_access_key_id"], "a");
        assert_eq!(sections["zenko"]["aws_secret_access_key"], "x+/=#;");
        assert_eq!(sections["zenko"].len(), 1);
        assert_eq!(sections.len(), 2);
    }
}
