//! The master key, which seals all others.

use super::file;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sallyport_core::encryption::{CipherFailure, KeyError, WrappingKey};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the master key comes from.
#[derive(Debug, Clone)]
pub enum MasterSource {
    /// A file of keys in base64, one a line; the first seals. Made when a key is first needed.
    File(PathBuf),
    /// The keys themselves; the first seals.
    Given(Vec<WrappingKey>),
}

/// The master keys; the first seals, and all of them open.
pub(super) struct MasterKeys(Vec<(String, WrappingKey)>);

impl MasterSource {
    /// Reads keys in base64, separated by blanks or commas.
    ///
    /// # Errors
    /// When one of them is no key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        parse(text, "the master key").map(Self::Given)
    }

    /// The keys; `None` when the file is not there yet.
    pub(super) fn read(&self) -> Result<Option<MasterKeys>, KeyError> {
        match self {
            Self::Given(keys) => MasterKeys::new(keys.clone()).map(Some),
            Self::File(path) => {
                let Some(bytes) = file::read(path)? else { return Ok(None) };
                let text = std::str::from_utf8(&bytes).map_err(|_| malformed(&path.display().to_string()))?;
                MasterKeys::new(parse(text, &path.display().to_string())?).map(Some)
            }
        }
    }

    /// What tells whether the file was replaced; `None` when there is none.
    pub(super) fn stamp(&self) -> Result<Option<file::Stamp>, KeyError> {
        match self {
            Self::Given(_) => Ok(None),
            Self::File(path) => file::stamp(path),
        }
    }

    /// The keys, made now when there are none.
    pub(super) fn read_or_create(&self) -> Result<MasterKeys, KeyError> {
        if let Some(keys) = self.read()? {
            return Ok(keys);
        }
        if let Self::File(path) = self {
            file::write(path, &line(&WrappingKey::random().map_err(broken)?), false)?;
            tracing::warn!(
                "{} was made: without it, objects encrypted with SSE-S3 and SSE-KMS are lost. Keep a copy elsewhere",
                path.display()
            );
        }
        self.read()?.ok_or_else(|| KeyError::Unavailable("the master key is gone again".to_owned()))
    }

    /// Puts a new key before those that are there.
    pub(super) fn add(&self) -> Result<MasterKeys, KeyError> {
        let path = self.path()?;
        let mut lines = line(&WrappingKey::random().map_err(broken)?);
        lines.extend_from_slice(&file::read(path)?.unwrap_or_default());
        file::write(path, &lines, true)?;
        self.read_or_create()
    }

    /// Drops all keys but the first, which nothing is sealed by any more.
    pub(super) fn drop_old(&self) -> Result<(), KeyError> {
        let path = self.path()?;
        let keys = self.read_or_create()?;
        file::write(path, &line(keys.current().1), true)
    }

    /// The file, and its permissions, when others may read it.
    pub(super) fn exposure(&self) -> Option<(&Path, u32)> {
        match self {
            Self::File(path) => file::exposure(path).map(|mode| (path.as_path(), mode)),
            Self::Given(_) => None,
        }
    }

    fn path(&self) -> Result<&Path, KeyError> {
        match self {
            Self::File(path) => Ok(path),
            Self::Given(_) => Err(KeyError::Unavailable(
                "the master key is in a variable: put a new one before the old one there, and reseal".to_owned(),
            )),
        }
    }
}

impl MasterKeys {
    fn new(keys: Vec<WrappingKey>) -> Result<Self, KeyError> {
        let keys = keys.into_iter().map(|key| Ok((hex::encode(key.fingerprint().map_err(broken)?), key)));
        let keys = keys.collect::<Result<Vec<_>, KeyError>>()?;
        if keys.is_empty() { Err(malformed("the master key")) } else { Ok(Self(keys)) }
    }

    /// The one that seals, with its fingerprint.
    pub(super) fn current(&self) -> (&str, &WrappingKey) {
        // `new` takes no empty list.
        #[expect(clippy::indexing_slicing, reason = "a list that is empty is refused when it is made")]
        let (fingerprint, key) = &self.0[0];
        (fingerprint, key)
    }

    /// The one with this fingerprint.
    pub(super) fn find(&self, fingerprint: &str) -> Option<&WrappingKey> {
        self.0.iter().find(|(own, _)| own == fingerprint).map(|(_, key)| key)
    }
}

fn parse(text: &str, place: &str) -> Result<Vec<WrappingKey>, KeyError> {
    let words = text.split(|one: char| one.is_whitespace() || one == ',').filter(|word| !word.is_empty());
    let keys = words.map(|word| {
        let bytes = Zeroizing::new(STANDARD.decode(word).map_err(|_| malformed(place))?);
        WrappingKey::from_bytes(&bytes).ok_or_else(|| malformed(place))
    });
    keys.collect()
}

fn line(key: &WrappingKey) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(STANDARD.encode(key.reveal()).into_bytes());
    line.push(b'\n');
    line
}

fn malformed(place: &str) -> KeyError {
    KeyError::Unavailable(format!("{place} is not base64 of 32 bytes"))
}

pub(super) fn broken(failure: CipherFailure) -> KeyError {
    KeyError::Unavailable(failure.to_string())
}
