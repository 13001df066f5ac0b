//! Finds and reads the files that CloudServer's variables name.

use std::fs::File;
use std::io::{Error, Read, Result as IoResult};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde_json::{Map, Value};

use crate::config::json;
use crate::config::problem::{Problem, Problems};

/// Bytes of an operator's file: some ten thousand accounts.
const MOST: u64 = 16 << 20;
/// Bytes of a tenant's file.
const TENANTS_MOST: u64 = 1 << 20;

/// Whose words a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    Operator,
    /// Whoever may write into the folder of tenants' files, and lead a link anywhere.
    Tenant,
}

/// A file and who chose it.
pub(super) struct Chosen {
    pub(super) path: PathBuf,
    /// Shown in reports.
    pub(super) name: String,
    /// What to set to choose another one.
    pub(super) setting: &'static str,
    pub(super) author: Author,
}

/// The three ways by which a file is chosen, the strongest first.
pub(super) struct Choice<'a> {
    /// From the command line: relative to the working directory, as for any command.
    pub(super) argument: Option<&'a Path>,
    /// From CloudServer's variable: looked for in `<root>/conf`, then in `<root>`.
    pub(super) variable: Option<String>,
    /// Its place below the root otherwise.
    pub(super) default: &'a str,
    /// How an operator chooses another one.
    pub(super) setting: &'static str,
}

impl Choice<'_> {
    pub(super) fn resolve(self, root: &Path) -> Chosen {
        let path = match (self.argument, self.variable) {
            (Some(argument), _) => argument.to_owned(),
            (None, Some(variable)) => search(root, Path::new(&variable)),
            (None, None) => root.join(self.default),
        };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        Chosen { path, name, setting: self.setting, author: Author::Operator }
    }
}

/// Absolute: as it is. Relative: in `<root>/conf`, then in `<root>`.
fn search(root: &Path, wanted: &Path) -> PathBuf {
    let in_conf = root.join("conf").join(wanted);
    if in_conf.is_file() { in_conf } else { root.join(wanted) }
}

/// Reads a JSON object; anything else is fatal, and so is a key that is given twice: which
/// of the two counts would decide where data goes.
pub(super) fn read_object(file: &Chosen, problems: &mut Problems) -> Option<Map<String, Value>> {
    let text = match read_text(file) {
        Ok(text) => text,
        Err(error) => {
            let fix = match file.author {
                Author::Operator => format!("start where the file is, or name another one with {}", file.setting),
                Author::Tenant => format!("write a file of at most {TENANTS_MOST} bytes there, and no link"),
            };
            let what = format!("cannot be read: {error} ({})", file.path.display());
            problems.push(Problem::fatal(&file.name, what, fix));
            return None;
        }
    };
    let document = match json::read(&text) {
        Ok(document) => document,
        Err(error) => {
            let what = format!("is not JSON: {error}");
            problems.push(Problem::fatal(&file.name, what, "correct that line and column"));
            return None;
        }
    };
    problems.extend(
        document
            .repeated
            .into_iter()
            .map(|path| Problem::fatal(&file.name, "is given twice", "keep one of them, or rename one").at(path)),
    );
    match document.value {
        Value::Object(map) => Some(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            problems.push(Problem::fatal(&file.name, "is not an object", "begin it with {"));
            None
        }
    }
}

/// A file's text, whatever is in its place: neither a pipe that nobody writes to nor a file
/// without an end holds up the start, or a reload of what all others have.
fn read_text(file: &Chosen) -> IoResult<String> {
    let (links, most) = match file.author {
        Author::Operator => (OFlags::empty(), MOST),
        Author::Tenant => (OFlags::NOFOLLOW, TENANTS_MOST),
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | links;
    let opened = match rustix::fs::open(&file.path, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(Errno::LOOP) => return Err(Error::other("it is a symbolic link, which is not followed")),
        Err(error) => return Err(error.into()),
    };
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    // The bound holds for what is read, too: the file may grow meanwhile.
    opened.take(most + 1).read_to_end(&mut bytes)?;
    if metadata.len() > most || bytes.len() as u64 > most {
        return Err(Error::other(format!("it has more than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(Error::other)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests {
    use super::*;

    #[test]
    fn a_relative_name_is_looked_for_in_conf_then_in_the_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("conf")).unwrap();
        std::fs::write(root.path().join("conf/both.json"), "{}").unwrap();
        std::fs::write(root.path().join("both.json"), "{}").unwrap();
        let cases = [
            ("both.json", root.path().join("conf/both.json")),
            ("conf/both.json", root.path().join("conf/both.json")),
            ("only-root.json", root.path().join("only-root.json")),
            ("/etc/x.json", PathBuf::from("/etc/x.json")),
        ];
        for (wanted, expected) in cases {
            let choice = Choice {
                argument: None,
                variable: Some(wanted.to_owned()),
                default: "default.json",
                setting: "S3_CONFIG_FILE",
            };
            assert_eq!(choice.resolve(root.path()).path, expected, "{wanted}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_variable() {
        let choice = Choice {
            argument: Some(Path::new("mine.json")),
            variable: Some("theirs.json".to_owned()),
            default: "default.json",
            setting: "S3_CONFIG_FILE",
        };
        assert_eq!(choice.resolve(Path::new("/root")).path, Path::new("mine.json"));
    }
}
