//! What an operator grants a location beyond its details, and how far the location's requests may go.

use crate::description::Description;
use crate::egress::narrow::Narrowing;
use crate::egress::policy::Pattern;
use crate::error::{Problem, Section};
use std::path::{Path, PathBuf};

/// `grants` of a location, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocationGrants {
    /// Hosts beyond those that `details` names, as `scheme://host:port` with `*.` before a
    /// host for its subdomains; they may have private addresses.
    pub egress: Vec<String>,
    /// Folders in which the location's own has to be; any when absent.
    pub folders: Option<Vec<PathBuf>>,
    /// Secret fields of `details` that the plugin sees, for schemes that the host does not know.
    pub reveal: Vec<String>,
    /// Methods that its requests may have; any when absent.
    pub methods: Option<Vec<String>>,
    /// What the paths of its requests begin with, segment by segment; anything when absent.
    pub paths: Option<Vec<String>>,
    /// The same for what its requests copy from; what `paths` says when absent.
    pub copy_sources: Option<Vec<String>>,
}

impl LocationGrants {
    /// The hosts that are granted.
    pub(crate) fn patterns(&self, problems: &mut Vec<Problem>) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (index, text) in self.egress.iter().enumerate() {
            let is_bare = text.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#', '@']));
            match Pattern::parse(text, true).filter(|_| is_bare) {
                Some(pattern) => patterns.push(pattern.granted()),
                None => {
                    let fix = "Write scheme://host:port, such as https://*.example.com:443; paths go into `paths`.";
                    problems.push(problem(&format!("egress.{index}"), format!("{text:?} is no host"), fix));
                }
            }
        }
        patterns
    }

    /// How far requests may go.
    pub(crate) fn narrowing(&self, problems: &mut Vec<Problem>) -> Narrowing {
        let methods = self.methods.as_ref().map(|texts| {
            let mut methods = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                match http::Method::from_bytes(text.as_bytes()) {
                    Ok(method) if *text == text.to_ascii_uppercase() => methods.push(method),
                    Ok(_) | Err(_) => {
                        let fix = "Write methods of HTTP in capitals, such as GET.";
                        problems.push(problem(&format!("methods.{index}"), format!("{text:?} is no method"), fix));
                    }
                }
            }
            methods
        });
        let mut prefixes = |field: &str, texts: &Option<Vec<String>>| {
            texts.as_ref().map(|texts| {
                for (index, text) in texts.iter().enumerate() {
                    if !text.starts_with('/') || text.contains(['?', '#', '%', '\\']) || has_dots(text) {
                        let fix = "Write how a path begins, such as /bucket/folder, as it is before encoding.";
                        let what = format!("{text:?} is no beginning of a path");
                        problems.push(problem(&format!("{field}.{index}"), what, fix));
                    }
                }
                texts.clone()
            })
        };
        let paths = prefixes("paths", &self.paths);
        let copy_sources = prefixes("copySources", &self.copy_sources).or_else(|| paths.clone());
        Narrowing { methods, paths, copy_sources }
    }

    /// Complains of what is to be revealed and is no secret of this type.
    pub(crate) fn check_reveal(&self, description: &Description, problems: &mut Vec<Problem>) {
        let secrets = description.fields.iter().filter(|field| field.role == "secret");
        let secrets: Vec<&str> = secrets.map(|field| field.path.as_str()).collect();
        for (index, path) in self.reveal.iter().enumerate() {
            if !secrets.contains(&path.as_str()) {
                let what = format!("{path:?} is no secret field of this type");
                let fix = format!("Name one of: {}.", secrets.join(", "));
                problems.push(problem(&format!("reveal.{index}"), what, &fix));
            }
        }
    }

    /// Complains of a folder that is in none of those that are granted.
    pub(crate) fn check_folder(&self, folder: &Path, problems: &mut Vec<Problem>) {
        let Some(granted) = &self.folders else { return };
        let is_plain = !folder.components().any(|part| part == std::path::Component::ParentDir);
        if !(is_plain && granted.iter().any(|root| folder.starts_with(root))) {
            let what = format!("the location's folder {} is in none of them", folder.display());
            problems.push(problem("folders", what, "Add its folder, or name another one in `details`."));
        }
    }
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| segment == "." || segment == "..")
}

fn problem(path: &str, message: String, fix: &str) -> Problem {
    Problem { section: Section::Grants, path: path.to_owned(), message, fix: fix.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(grants: &LocationGrants) -> Vec<String> {
        let mut problems = Vec::new();
        grants.patterns(&mut problems);
        grants.narrowing(&mut problems);
        grants.check_folder(Path::new("/srv/objects/../../etc"), &mut problems);
        assert!(problems.iter().all(|problem| problem.section == Section::Grants && !problem.fix.is_empty()));
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn every_mistake_names_its_field() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let grants = LocationGrants {
            egress: texts(&[
                "https://a.example.com",
                "example.com",
                "https://a.example.com/x",
                "https://u@h",
                "ftp://h",
            ]),
            folders: Some(vec![PathBuf::from("/srv/objects")]),
            reveal: Vec::new(),
            methods: Some(texts(&["GET", "get", "G T"])),
            paths: Some(texts(&["/ok", "bucket", "/a/../b", "/a%2fb"])),
            copy_sources: Some(texts(&["", "/fine"])),
        };
        assert_eq!(
            fields(&grants),
            [
                "egress.1",
                "egress.2",
                "egress.3",
                "egress.4",
                "methods.1",
                "methods.2",
                "paths.1",
                "paths.2",
                "paths.3",
                "copySources.0",
                "folders"
            ]
        );
        assert_eq!(fields(&LocationGrants::default()), Vec::<String>::new());
    }
}
