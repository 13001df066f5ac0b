//! Named keys with their versions, in a file that holds them sealed.

use super::file;
use super::master::{MasterKeys, MasterSource, broken};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sallyport_core::encryption::{KeyError, WrappingKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format of the file.
const FORMAT: u32 = 1;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 2048;

/// What tells whether the file was replaced, or that of the master key.
pub(super) type Stamp = [Option<file::Stamp>; 2];

/// The file with the keys, and the master key that seals it. Its methods block.
#[derive(Debug, Clone)]
pub struct KeyStore {
    path: PathBuf,
    master: MasterSource,
}

/// A key as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The version that wraps.
    pub version: u32,
    /// When that was made, milliseconds since 1970.
    pub created: i64,
    /// It neither wraps nor unwraps.
    pub is_disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    format: u32,
    keys: BTreeMap<String, Key>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Key {
    #[serde(default)]
    disabled: bool,
    versions: BTreeMap<u32, Sealed>,
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sealed {
    /// Milliseconds since 1970.
    created: i64,
    /// Which master key sealed it.
    master: String,
    /// Base64.
    sealed: String,
}

/// The keys, open.
#[derive(Default)]
pub(super) struct Loaded(BTreeMap<String, Open>);

struct Open {
    is_disabled: bool,
    /// One that no master key opens costs what it wrapped, and no more.
    versions: BTreeMap<u32, Result<WrappingKey, KeyError>>,
}

impl Loaded {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The version that wraps: the newest that opens.
    pub(super) fn current(&self, name: &str) -> Result<(u32, &WrappingKey), KeyError> {
        let versions = &self.usable(name)?.versions;
        let mut opened = versions.iter().rev().filter_map(|(version, key)| Some((*version, key.as_ref().ok()?)));
        if let Some(newest) = opened.next() {
            return Ok(newest);
        }
        let fault = versions.values().next_back().and_then(|key| key.as_ref().err()).cloned();
        Err(fault.unwrap_or_else(|| KeyError::NotFound(name.to_owned())))
    }

    /// A version that may have wrapped something.
    pub(super) fn version(&self, name: &str, version: u32) -> Result<&WrappingKey, KeyError> {
        let key = self.usable(name)?.versions.get(&version);
        key.ok_or_else(|| KeyError::Unreadable(name.to_owned()))?.as_ref().map_err(KeyError::clone)
    }

    fn usable(&self, name: &str) -> Result<&Open, KeyError> {
        let key = self.0.get(name).ok_or_else(|| KeyError::NotFound(name.to_owned()))?;
        if key.is_disabled { Err(KeyError::Disabled(name.to_owned())) } else { Ok(key) }
    }
}

impl KeyStore {
    /// The keys of a metadata folder.
    pub fn new(metadata_dir: &Path, master: Option<MasterSource>) -> Self {
        let master = master.unwrap_or_else(|| MasterSource::File(metadata_dir.join("master.key")));
        Self { path: metadata_dir.join("keys.json"), master }
    }

    /// The file of the master key, and its permissions, when others than its owner may read it.
    pub fn exposed_master(&self) -> Option<(&Path, u32)> {
        self.master.exposure()
    }

    pub(super) fn stamp(&self) -> Result<Stamp, KeyError> {
        Ok([file::stamp(&self.path)?, self.master.stamp()?])
    }

    /// Why versions cannot be opened, one error for each.
    ///
    /// # Errors
    /// The files'; keys without any master key.
    pub fn unreadable(&self) -> Result<Vec<KeyError>, KeyError> {
        let keys = self.load()?.0;
        Ok(keys.into_values().flat_map(|key| key.versions.into_values()).filter_map(Result::err).collect())
    }

    /// All keys, open where a master key opens them.
    pub(super) fn load(&self) -> Result<Loaded, KeyError> {
        let content = self.read()?;
        if content.keys.is_empty() {
            return Ok(Loaded::default());
        }
        let master = self.master.read()?.ok_or_else(|| {
            KeyError::Unavailable("the master key is gone: nothing that it sealed can be opened".to_owned())
        })?;
        let keys = content.keys.iter().map(|(name, key)| {
            let versions = key.versions.iter();
            let versions = versions.map(|(version, sealed)| (*version, sealed.open(&master, name, *version)));
            (name.clone(), Open { is_disabled: key.disabled, versions: versions.collect() })
        });
        Ok(Loaded(keys.collect()))
    }

    /// Makes a key; answers whether it is new.
    ///
    /// # Errors
    /// The files'; a name that no key can have.
    pub fn create(&self, name: &str) -> Result<bool, KeyError> {
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::InvalidName(name.to_owned()));
        }
        self.change(|content, master| {
            if content.keys.contains_key(name) {
                return Ok(false);
            }
            let first = Sealed::new(master, name, 1)?;
            content.keys.insert(name.to_owned(), Key { disabled: false, versions: BTreeMap::from([(1, first)]) });
            Ok(true)
        })
    }

    /// Adds a version to a key, which wraps from now on; answers its number.
    ///
    /// # Errors
    /// The files'; no such key.
    pub fn rotate(&self, name: &str) -> Result<u32, KeyError> {
        self.change(|content, master| {
            let key = content.keys.get_mut(name).ok_or_else(|| KeyError::NotFound(name.to_owned()))?;
            let version = key.versions.last_key_value().map_or(0, |(version, _)| *version).saturating_add(1);
            key.versions.insert(version, Sealed::new(master, name, version)?);
            Ok(version)
        })
    }

    /// Lets a key neither wrap nor unwrap, or do so again.
    ///
    /// # Errors
    /// The files'; no such key.
    pub fn disable(&self, name: &str, is_disabled: bool) -> Result<(), KeyError> {
        self.change(|content, _| {
            let key = content.keys.get_mut(name).ok_or_else(|| KeyError::NotFound(name.to_owned()))?;
            key.disabled = is_disabled;
            Ok(())
        })
    }

    /// All keys by name.
    ///
    /// # Errors
    /// The file's.
    pub fn list(&self) -> Result<Vec<Listed>, KeyError> {
        let listed = self.read()?.keys.into_iter().filter_map(|(name, key)| {
            let (version, newest) = key.versions.last_key_value()?;
            Some(Listed { name, version: *version, created: newest.created, is_disabled: key.disabled })
        });
        Ok(listed.collect())
    }

    /// Seals all keys by the current master key, a new one with `new`; the old ones are not
    /// needed then. Safe to repeat when it was cut off. Answers how many versions there are.
    ///
    /// # Errors
    /// The files'; a master key that is in a variable cannot be made anew here.
    pub fn reseal(&self, new: bool) -> Result<usize, KeyError> {
        let guard = self.lock()?;
        let mut content = self.read()?;
        let master = if new { self.master.add()? } else { self.master.read_or_create()? };
        let mut count = 0;
        for (name, key) in &mut content.keys {
            for (version, sealed) in &mut key.versions {
                let open = sealed.open(&master, name, *version)?;
                *sealed = Sealed { created: sealed.created, ..Sealed::of(&master, &open, name, *version)? };
                count += 1;
            }
        }
        self.write(&content)?;
        if new {
            self.master.drop_old()?;
        }
        drop(guard);
        Ok(count)
    }

    /// Copies the file, sealed as it is; answers whether there is one.
    ///
    /// # Errors
    /// The files'.
    pub fn copy_to(&self, path: &Path) -> Result<bool, KeyError> {
        let Some(bytes) = file::read(&self.path)? else { return Ok(false) };
        file::write(path, &bytes, true)?;
        Ok(true)
    }

    /// Takes in all keys and versions of a copy that are not here; answers whether there is a copy.
    ///
    /// # Errors
    /// As [`KeyStore::check_merge`]; nothing is taken in then.
    pub fn merge_from(&self, path: &Path) -> Result<bool, KeyError> {
        let Some(bytes) = file::read(path)? else { return Ok(false) };
        let copied = parse(&bytes, path)?;
        let guard = self.lock()?;
        self.write(&self.merged(copied, path)?)?;
        drop(guard);
        Ok(true)
    }

    /// Whether a copy can be taken in; changes nothing.
    ///
    /// # Errors
    /// The files'; a version of the copy that is here as another key, or may be: objects that
    /// the one wrapped would be lost for the other.
    pub fn check_merge(&self, path: &Path) -> Result<(), KeyError> {
        let Some(bytes) = file::read(path)? else { return Ok(()) };
        self.merged(parse(&bytes, path)?, path).map(drop)
    }

    /// What is here, and what is only in the copy.
    fn merged(&self, copied: Content, path: &Path) -> Result<Content, KeyError> {
        let mut content = self.read()?;
        for (name, copied) in copied.keys {
            let fresh = || Key { disabled: copied.disabled, ..Key::default() };
            let key = content.keys.entry(name.clone()).or_insert_with(fresh);
            for (version, sealed) in copied.versions {
                let Some(own) = key.versions.get(&version) else {
                    key.versions.insert(version, sealed);
                    continue;
                };
                if own.sealed != sealed.sealed && !self.is_same_key(own, &sealed, &name, version)? {
                    return Err(KeyError::Unavailable(format!(
                        "the key {name} (version {version}) of {} is not known to be the one of {}: have the master keys of both at hand, or move one of the files away",
                        path.display(),
                        self.path.display()
                    )));
                }
            }
        }
        Ok(content)
    }

    /// Whether two that were sealed differently are one key for certain, as after a reseal.
    fn is_same_key(&self, one: &Sealed, other: &Sealed, name: &str, version: u32) -> Result<bool, KeyError> {
        let Some(master) = self.master.read()? else { return Ok(false) };
        let opened = (one.open(&master, name, version), other.open(&master, name, version));
        Ok(matches!(opened, (Ok(one), Ok(other)) if one.reveal() == other.reveal()))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Content, &MasterKeys) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let guard = self.lock()?;
        let mut content = self.read()?;
        let before = content.clone();
        // With keys there and the master key gone, a new one would only hide the loss.
        let master = if content.keys.is_empty() { self.master.read_or_create()? } else { self.read_master()? };
        let answer = change(&mut content, &master)?;
        if content != before {
            self.write(&content)?;
        }
        drop(guard);
        Ok(answer)
    }

    fn read_master(&self) -> Result<MasterKeys, KeyError> {
        self.master.read()?.ok_or_else(|| KeyError::Unavailable("the master key is gone".to_owned()))
    }

    fn lock(&self) -> Result<std::fs::File, KeyError> {
        file::lock(&self.path.with_extension("lock"))
    }

    fn read(&self) -> Result<Content, KeyError> {
        match file::read(&self.path)? {
            Some(bytes) => parse(&bytes, &self.path),
            None => Ok(Content { format: FORMAT, keys: BTreeMap::new() }),
        }
    }

    fn write(&self, content: &Content) -> Result<(), KeyError> {
        let json = serde_json::to_vec_pretty(content).map_err(|error| file::failed(&self.path, &error))?;
        file::write(&self.path, &json, true)
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Content, KeyError> {
    let content: Content = serde_json::from_slice(bytes).map_err(|error| file::failed(path, &error))?;
    if content.format == FORMAT {
        return Ok(content);
    }
    Err(KeyError::Unavailable(format!("{} has the format {}, not {FORMAT}", path.display(), content.format)))
}

impl Sealed {
    fn new(master: &MasterKeys, name: &str, version: u32) -> Result<Self, KeyError> {
        Self::of(master, &WrappingKey::random().map_err(broken)?, name, version)
    }

    fn of(master: &MasterKeys, key: &WrappingKey, name: &str, version: u32) -> Result<Self, KeyError> {
        let (fingerprint, master) = master.current();
        let sealed = master.wrap_key(key, &bound(name, version)).map_err(broken)?;
        let created = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        Ok(Self {
            created: i64::try_from(created).unwrap_or(i64::MAX),
            master: fingerprint.to_owned(),
            sealed: STANDARD.encode(sealed),
        })
    }

    fn open(&self, master: &MasterKeys, name: &str, version: u32) -> Result<WrappingKey, KeyError> {
        let unreadable = || KeyError::Unreadable(format!("{name} (version {version}, master key {})", self.master));
        let master = master.find(&self.master).ok_or_else(unreadable)?;
        let sealed = STANDARD.decode(&self.sealed).map_err(|_| unreadable())?;
        master.unwrap_key(&sealed, &bound(name, version)).map_err(|_| unreadable())
    }
}

/// What a sealed key is bound to.
fn bound(name: &str, version: u32) -> Vec<u8> {
    format!("sallyport key 1\0{name}\0{version}").into_bytes()
}
