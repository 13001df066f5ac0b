//! Whose locations are: the `accounts` that they name, and the files of tenants themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::files::{Author, Chosen};
use super::{files, locations};
use crate::config::configuration::{Account, LocationConfiguration};
use crate::config::problem::{Problem, Problems, Severity};

/// Fields by which only the operator decides.
const OPERATORS: [&str; 5] = ["accounts", "grants", "limits", "objectId", "plugin"];

/// What holds for each file of a tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) all_local: bool,
    /// Locations that it may have.
    pub(super) most: usize,
}

/// Replaces the accounts that locations name by their canonical ids. One that nobody knows
/// stops its location, which then belongs to the others that it names.
pub(super) fn resolve(locations: &mut [LocationConfiguration], accounts: &[Account], problems: &mut Problems) {
    for location in locations {
        let Some(named) = location.accounts.take() else { continue };
        let mut owners = Vec::new();
        for (index, text) in named.iter().enumerate() {
            match find(accounts, text) {
                Ok(account) => owners.push(account.canonical_id.clone()),
                Err((what, fix)) => {
                    let problem = Problem::location(&location.file, &location.name, what, fix);
                    let problem = problem.at(format!("accounts.{index}"));
                    locations::note(location, &problem);
                    problems.push(problem);
                }
            }
        }
        owners.sort_unstable();
        owners.dedup();
        location.accounts = Some(owners);
    }
}

/// Reads the files of a folder, `<account>.json` each: locations of that account alone. No
/// mistake in them stops anything but what it is in.
pub(super) fn read(
    folder: &Path,
    accounts: &[Account],
    rules: Rules,
    known: &[LocationConfiguration],
    problems: &mut Problems,
) -> Vec<LocationConfiguration> {
    let mut taken: BTreeSet<String> = known.iter().map(|location| location.name.clone()).collect();
    let mut all = Vec::new();
    for path in files_of(folder, problems) {
        let shown = path.display().to_string();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let account = match find(accounts, stem) {
            Ok(account) => account,
            Err((what, _)) => {
                let fix = "name the file after an account of authdata.json: <account>.json";
                problems.push(Problem::warning(&shown, what, fix));
                continue;
            }
        };
        for location in read_file(path, shown, rules, problems) {
            // Whose the other one is, is nobody's business.
            if !taken.insert(location.name.clone()) {
                let what = "another file has a location of that name";
                problems.push(Problem::location(&location.file, &location.name, what, "rename it"));
                continue;
            }
            all.push(LocationConfiguration { accounts: Some(vec![account.canonical_id.clone()]), ..location });
        }
    }
    all
}

fn read_file(path: PathBuf, shown: String, rules: Rules, problems: &mut Problems) -> Vec<LocationConfiguration> {
    let mut own = Problems::default();
    let chosen = Chosen { path, name: shown.clone(), setting: "--tenant-locations", author: Author::Tenant };
    let map = files::read_object(&chosen, &mut own);
    if own.is_fatal() {
        // To the other accounts this file is nothing.
        problems.extend(own.into_iter().map(|problem| Problem { severity: Severity::Location, ..problem }));
        return Vec::new();
    }
    problems.extend(own);
    let mut map = map.unwrap_or_default();
    if map.len() > rules.most {
        let what = format!("has {} locations: {} of them are taken, the others are not there", map.len(), rules.most);
        let fix = "remove some; only the operator allows more, with locationsPerTenant in config.json";
        problems.push(Problem { severity: Severity::Location, ..Problem::warning(&shown, what, fix) });
        map = map.into_iter().take(rules.most).collect();
    }
    let (map, refused) = without_operators(&shown, map);
    let mut read = locations::read_entries(&shown, map, rules.all_local, problems);
    for location in &mut read {
        location.is_tenants = true;
        let name = location.name.clone();
        for problem in refused.iter().filter(|problem| problem.location.as_ref() == Some(&name)) {
            locations::note(location, problem);
        }
    }
    problems.extend(refused);
    read
}

/// The entries without the fields that are not for a tenant to set, and a problem for each.
fn without_operators(file: &str, mut map: Map<String, Value>) -> (Map<String, Value>, Vec<Problem>) {
    let mut refused = Vec::new();
    for (name, entry) in &mut map {
        let Some(entry) = entry.as_object_mut() else { continue };
        for field in OPERATORS {
            if entry.remove(field).is_some() {
                let fix = "remove it: the operator decides this, in locationConfig.json";
                refused.push(Problem::location(file, name, "is not for a tenant's file", fix).at(field));
            }
        }
    }
    (map, refused)
}

/// The JSON files of a folder by name; one that is being written under another name is left.
#[expect(clippy::disallowed_methods, reason = "configuration is read where blocking is allowed")]
pub(super) fn files_of(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let fix = "make the folder, or name another one with --tenant-locations";
            problems.push(Problem::warning(folder.display(), format!("cannot be read: {error}"), fix));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| {
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
        !hidden && path.extension().is_some_and(|extension| extension == "json")
    });
    paths.sort_unstable();
    paths.into_iter().map(|path| within(folder, &path).unwrap_or(path)).collect()
}

/// What a link to a file of the same name within the folder leads to: orchestrators that mount a
/// folder make its files so. No other link is followed.
#[expect(clippy::disallowed_methods, reason = "configuration is read where blocking is allowed")]
fn within(folder: &Path, path: &Path) -> Option<PathBuf> {
    let target = std::fs::canonicalize(path).ok()?;
    let is_within = target.starts_with(std::fs::canonicalize(folder).ok()?);
    (path.is_symlink() && is_within && target.file_name() == path.file_name()).then_some(target)
}

/// The one account of that name, canonical id or account id.
fn find<'a>(accounts: &'a [Account], text: &str) -> Result<&'a Account, (String, String)> {
    let is_meant = |account: &&Account| {
        [&account.canonical_id, &account.short_id, &account.name].into_iter().any(|known| known == text)
    };
    let mut meant = accounts.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(account), None) => Ok(account),
        (Some(_), Some(_)) => {
            Err((format!("{text} is the name of several accounts"), "write the account's canonicalID".to_owned()))
        }
        (None, _) => {
            let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
            let fix = format!("write the name, canonicalID or shortid of an account: {}", names.join(", "));
            Err((format!("{text} is no account"), fix))
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: Rules = Rules { all_local: false, most: 3 };

    fn account(name: &str, canonical_id: &str, short_id: &str) -> Account {
        Account {
            name: name.to_owned(),
            email: String::new(),
            arn: String::new(),
            canonical_id: canonical_id.to_owned(),
            short_id: short_id.to_owned(),
            keys: Vec::new(),
        }
    }

    fn people() -> Vec<Account> {
        vec![account("Bart", "b1", "000000000001"), account("Lisa", "l1", "000000000002")]
    }

    fn resolved(named: Value) -> (LocationConfiguration, Problems) {
        let mut problems = Problems::default();
        let mut map = Map::new();
        map.insert("a".to_owned(), json!({ "type": "x", "details": {}, "accounts": named }));
        let mut read = locations::read_entries("locations", map, false, &mut problems);
        resolve(&mut read, &people(), &mut problems);
        (read.remove(0), problems)
    }

    #[test]
    fn accounts_are_named_in_each_way_and_become_canonical_ids() {
        let (location, problems) = resolved(json!(["Lisa", "b1", "000000000002"]));
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(location.accounts.as_deref(), Some(&["b1".to_owned(), "l1".to_owned()][..]));
    }

    #[test]
    fn a_list_with_a_mistake_names_its_field_and_opens_the_location_to_nobody_else() {
        for (named, field, left) in [
            (json!(["Bart", "Nelson"]), "accounts.1", vec!["b1".to_owned()]),
            (json!([]), "accounts", vec![]),
            (json!("Bart"), "accounts", vec![]),
            (json!(["Bart", 1]), "accounts", vec![]),
        ] {
            let (location, problems) = resolved(named.clone());
            let found: Vec<_> = problems.iter().collect();
            assert_eq!(found.len(), 1, "{named}: {problems}");
            assert_eq!((found[0].field.as_deref(), found[0].severity), (Some(field), Severity::Location), "{named}");
            assert!(!found[0].fix.is_empty());
            assert_eq!(location.accounts, Some(left), "{named}");
            assert!(location.fault.is_some());
        }
    }

    #[test]
    fn a_name_that_two_accounts_have_is_not_guessed() {
        let twins = [account("Bart", "b1", "000000000001"), account("Bart", "b2", "000000000002")];
        let (what, fix) = find(&twins, "Bart").unwrap_err();
        assert!(what.contains("several") && fix.contains("canonicalID"));
        assert!(find(&twins, "b2").is_ok());
    }

    fn in_folder(files: &[(&str, &str)]) -> (Vec<LocationConfiguration>, Problems) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut problems = Problems::default();
        let mut map = Map::new();
        map.insert("ours".to_owned(), json!({ "type": "x", "details": {} }));
        let known = locations::read_entries("locations", map, false, &mut problems);
        let found = read(folder.path(), &people(), RULES, &known, &mut problems);
        (found, problems)
    }

    #[test]
    fn a_tenants_file_makes_locations_of_that_account_alone() {
        let file = r#"{ "mine": { "type": "x", "details": { "key": "hush" } } }"#;
        let (found, problems) = in_folder(&[("Lisa.json", file), (".Bart.json.swp", "{"), ("notes.txt", "x")]);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].is_tenants), ("mine", true));
        assert_eq!(found[0].accounts.as_deref(), Some(&["l1".to_owned()][..]));
        assert!(!format!("{found:?}").contains("hush"));
    }

    #[test]
    fn a_tenants_file_has_no_more_locations_than_the_operator_allows() {
        let entries: Map<String, Value> =
            (0..5).map(|index| (format!("l{index}"), json!({ "type": "x", "details": {} }))).collect();
        let (found, problems) = in_folder(&[("Lisa.json", &Value::Object(entries).to_string())]);
        assert_eq!(found.len(), 3);
        let problem = problems.iter().next().unwrap();
        assert!(problem.what.contains("5 locations") && problem.fix.contains("locationsPerTenant"), "{problem}");
        assert!(!problems.is_fatal());
    }

    #[test]
    fn a_mistake_in_a_tenants_file_stops_nobody_else() {
        let good = r#"{ "mine": { "type": "x", "details": {} } }"#;
        let (found, problems) = in_folder(&[("Bart.json", "{ not json"), ("Lisa.json", good), ("Nelson.json", good)]);
        assert_eq!(found.len(), 1, "{problems}");
        assert!(!problems.is_fatal(), "{problems}");
        let files: Vec<_> = problems.iter().map(|problem| problem.file.rsplit('/').next().unwrap()).collect();
        assert_eq!(files, ["Bart.json", "Nelson.json"]);
    }

    #[test]
    fn what_is_no_plain_file_of_a_tenant_is_a_problem_of_its_own_and_holds_up_nobody() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["a", "b", "c", "d", "e"];
        let people: Vec<Account> = names.iter().map(|name| account(name, name, name)).collect();
        mknodat(CWD, path("a.json"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::fs::File::create(path("b.json")).unwrap().set_len(3 << 30).unwrap();
        let good = r#"{ "mine": { "type": "x", "details": {} } }"#;
        std::fs::write(path("elsewhere"), good).unwrap();
        std::os::unix::fs::symlink(path("elsewhere"), path("c.json")).unwrap();
        std::fs::write(path("d.json"), good).unwrap();
        // As Kubernetes mounts a ConfigMap.
        std::fs::create_dir(path("..data")).unwrap();
        std::fs::write(path("..data/e.json"), good.replace("mine", "mounted")).unwrap();
        std::os::unix::fs::symlink("..data/e.json", path("e.json")).unwrap();
        let mut problems = Problems::default();
        let found = read(folder.path(), &people, RULES, &[], &mut problems);
        let owners: Vec<_> = found.iter().filter_map(|location| location.accounts.clone()).collect();
        assert_eq!(owners, [["d"], ["e"]], "{problems}");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for (text, words) in told.iter().zip(["no regular file", "more than 1048576 bytes", "symbolic link"]) {
            assert!(text.contains(words) && text.contains("→"), "{text}");
        }
        assert!(!problems.is_fatal(), "{problems}");
    }

    #[test]
    fn a_name_that_is_taken_is_refused_without_saying_by_whom() {
        let both = r#"{ "same": { "type": "x", "details": {} }, "ours": { "type": "x", "details": {} } }"#;
        let (found, problems) = in_folder(&[("Bart.json", both), ("Lisa.json", both)]);
        assert_eq!(found.len(), 1, "{problems}");
        assert_eq!(found[0].accounts.as_deref(), Some(&["b1".to_owned()][..]));
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts.iter().all(|text| text.contains("another file") && text.contains("rename")), "{texts:?}");
    }

    #[test]
    fn what_the_operator_decides_is_refused_in_a_tenants_file() {
        for field in OPERATORS {
            let file = json!({ "mine": { "type": "x", "details": {}, field: ["https://10.0.0.1:443"] } }).to_string();
            let (found, problems) = in_folder(&[("Bart.json", &file)]);
            let problem = problems.iter().next().unwrap();
            assert_eq!((problem.field.as_deref(), problem.severity), (Some(field), Severity::Location), "{problems}");
            assert!(found[0].fault.is_some() && found[0].grants.egress.is_empty());
            assert_eq!(found[0].accounts.as_deref(), Some(&["b1".to_owned()][..]));
        }
    }
}
