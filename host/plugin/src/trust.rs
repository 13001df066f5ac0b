//! Who vouches for a plugin: a pinned digest, a signature beside its file, or neither.

use crate::error::{Problem, Section};
use crate::regular;
use minisign_verify::{PublicKey, Signature};
use std::path::Path;

/// What a location asks of the plugin that serves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// SHA-256 of the component, in hex; no other serves the location.
    pub sha256: Option<String>,
    /// Keys in minisign's form, one of which has to have signed it.
    pub public_keys: Vec<String>,
    /// Whether a plugin without a good signature is refused.
    pub require_signature: bool,
}

/// The file that lists the release's own plugins with their digests.
pub(crate) const CHECKSUMS: &str = "SHA256SUMS";

/// The bytes that a signature is over, with the signature.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    bytes: Vec<u8>,
    signature: String,
}

/// The signatures that lie beside a plugin.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Signatures {
    /// Over the component itself.
    own: Option<Signed>,
    /// Over the list that has the component's digest.
    listed: Option<Signed>,
}

/// What a signature beside a file is worth to who trusts some keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouched {
    /// There is none.
    Unsigned,
    /// There is one, and no key to verify it with.
    Unverified,
    /// One of the keys made it, over these bytes or over the list that has their digest.
    Good,
    /// Why it is worth nothing.
    Bad(String),
}

/// Longest file of a signature, in bytes; minisign's have some 300.
const SIGNATURE: u64 = 4_096;
/// Longest list of digests, in bytes.
const LIST: u64 = 1 << 20;

impl Signatures {
    /// Reads them; what is not there vouches for nothing. `list` is what was read of the list
    /// that has the component's digest: a signature counts for these bytes and for no others.
    pub(crate) async fn read(path: &Path, bytes: &[u8], list: Option<Vec<u8>>) -> Self {
        let own = text(&beside(path)).await.map(|signature| Signed { bytes: bytes.to_vec(), signature });
        let listed = match list {
            Some(bytes) => {
                let signature = text(&beside(&path.with_file_name(CHECKSUMS))).await;
                signature.map(|signature| Signed { bytes, signature })
            }
            None => None,
        };
        Self { own, listed }
    }

    /// What they are worth to who trusts these keys, in minisign's form.
    pub(crate) fn vouched(&self, keys: &[String]) -> Vouched {
        if self.own.is_none() && self.listed.is_none() {
            return Vouched::Unsigned;
        }
        if keys.is_empty() {
            return Vouched::Unverified;
        }
        let Some(keys) = keys.iter().map(|text| public_key(text)).collect::<Option<Vec<_>>>() else {
            return Vouched::Bad("one of the keys is none: take the second line of minisign.pub".to_owned());
        };
        self.check(&keys).map_or_else(Vouched::Bad, |()| Vouched::Good)
    }

    /// Whether one of the keys signed one of them.
    fn check(&self, keys: &[PublicKey]) -> Result<(), String> {
        let signed: Vec<&Signed> = self.own.iter().chain(&self.listed).collect();
        if signed.is_empty() {
            return Err("it is not signed".to_owned());
        }
        let is_good = |one: &Signed| {
            let signature = Signature::decode(&one.signature).ok();
            signature.is_some_and(|signature| keys.iter().any(|key| key.verify(&one.bytes, &signature, true).is_ok()))
        };
        if signed.into_iter().any(is_good) {
            return Ok(());
        }
        Err("its signature is by none of the keys that are trusted, or over other bytes".to_owned())
    }
}

/// The file of a signature beside what it is over.
pub(crate) fn beside(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

impl Trust {
    /// Refuses a plugin that the location does not trust.
    pub(crate) fn check(&self, digest: &str, signatures: &Signatures) -> Result<(), Problem> {
        let problem = |path: &str, message: String, fix: &str| Problem {
            section: Section::Plugin,
            path: path.to_owned(),
            message,
            fix: fix.to_owned(),
        };
        if let Some(pinned) = self.sha256.as_deref().filter(|pinned| !pinned.eq_ignore_ascii_case(digest)) {
            let what = format!("the plugin's file is {digest}, and the location takes only {pinned}");
            let fix = "put the pinned plugin back, or write the new one's digest once you trust it";
            return Err(problem("sha256", what, fix));
        }
        if !self.require_signature {
            return Ok(());
        }
        let mut keys = Vec::new();
        for text in &self.public_keys {
            let key = public_key(text).ok_or_else(|| {
                let fix = "write the second line of the file that `minisign -G` made (minisign.pub)";
                problem("publicKeys", "one of the keys is none".to_owned(), fix)
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            let fix = "write the second line of minisign.pub into publicKeys";
            return Err(problem("publicKeys", "a signature is required, and no key is trusted".to_owned(), fix));
        }
        signatures.check(&keys).map_err(|what| {
            let fix = "put <type>.wasm.minisig of a trusted key beside it (`minisign -Sm <type>.wasm`), or one over \
                       SHA256SUMS that lists it";
            problem("requireSignature", format!("the plugin is refused: {what}"), fix)
        })
    }
}

fn public_key(text: &str) -> Option<PublicKey> {
    PublicKey::from_base64(text.trim()).ok()
}

async fn text(path: &Path) -> Option<String> {
    String::from_utf8(regular::read_if_there(path, SIGNATURE).await?).ok()
}

/// The list beside a plugin, when it has the plugin's digest: then it came with the release.
pub(crate) async fn listed(path: &Path, digest: &str) -> Option<Vec<u8>> {
    let list = regular::read_if_there(&path.with_file_name(CHECKSUMS), LIST).await?;
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    has_digest(&list, digest, file).then_some(list)
}

fn has_digest(list: &[u8], digest: &str, file: &str) -> bool {
    let lines = std::str::from_utf8(list).unwrap_or_default().lines();
    lines.map(str::split_whitespace).any(|mut words| {
        let (sum, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        sum == digest && name.trim_start_matches('*').trim_start_matches("./") == file
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests {
    use super::*;

    /// Made by minisign over the four bytes `test`, as its documentation shows them.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const PREHASHED: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";
    const PLAIN: &str = "untrusted comment: signature from minisign secret key\n\
        RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
        trusted comment: timestamp:1555779966\tfile:test\n\
        QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==";

    fn trust(keys: &[&str]) -> Trust {
        let public_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Trust { sha256: None, public_keys, require_signature: true }
    }

    fn signed(bytes: &[u8], signature: &str) -> Signatures {
        let own = Some(Signed { bytes: bytes.to_vec(), signature: signature.to_owned() });
        Signatures { own, listed: None }
    }

    #[test]
    fn a_signature_of_minisign_vouches_for_its_bytes_and_no_others() {
        let trust = trust(&[KEY]);
        for signature in [PREHASHED, PLAIN] {
            assert_eq!(trust.check("d", &signed(b"test", signature)), Ok(()));
            assert!(
                trust
                    .check("d", &signed(b"tess", signature))
                    .is_err_and(|why| why.message.contains("none of the keys"))
            );
        }
        let listed = Signatures { own: None, listed: signed(b"test", PREHASHED).own };
        assert_eq!(trust.check("d", &listed), Ok(()), "the list that has it is signed");
        for broken in ["", "nonsense", "RUQ\nRUQ\nRUQ\nRUQ"] {
            assert!(trust.check("d", &signed(b"test", broken)).is_err(), "{broken}");
        }
    }

    #[tokio::test]
    async fn a_list_is_read_once_and_what_was_read_is_what_has_to_be_signed() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("x.wasm");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("SHA256SUMS", "ab01  x.wasm\n");
        write("SHA256SUMS.minisig", PREHASHED);
        assert_eq!(listed(&plugin, "ab02").await, None);
        let list = listed(&plugin, "ab01").await;
        assert_eq!(list.as_deref(), Some(b"ab01  x.wasm\n".as_slice()));
        // The list that was signed comes too late.
        write("SHA256SUMS", "test");
        let signatures = Signatures::read(&plugin, b"component", list).await;
        assert!(matches!(signatures.vouched(&[KEY.to_owned()]), Vouched::Bad(_)));
        let signatures = Signatures::read(&plugin, b"component", Some(b"test".to_vec())).await;
        assert_eq!(signatures.vouched(&[KEY.to_owned()]), Vouched::Good);
    }

    #[test]
    fn a_digest_counts_for_the_file_that_stands_beside_it() {
        for line in ["ab  x.wasm", "ab *x.wasm", "ab  ./x.wasm", "cd  y.wasm\nab  x.wasm\n"] {
            assert!(has_digest(line.as_bytes(), "ab", "x.wasm"), "{line}");
        }
        for line in ["", "ab", "ab  y.wasm", "x.wasm  ab", "abc  x.wasm", "ab  \u{fe}x.wasm"] {
            assert!(!has_digest(line.as_bytes(), "ab", "x.wasm"), "{line}");
        }
        assert!(!has_digest(b"ab  x.wasm\n\xff", "ab", "x.wasm"), "the whole list has to be text");
    }

    #[test]
    fn a_signature_is_worth_what_the_keys_are() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let good = signed(b"test", PREHASHED);
        assert_eq!(good.vouched(&keys(&[KEY])), Vouched::Good);
        assert_eq!(good.vouched(&[]), Vouched::Unverified);
        assert!(matches!(signed(b"tess", PREHASHED).vouched(&keys(&[KEY])), Vouched::Bad(_)));
        assert!(matches!(good.vouched(&keys(&["RWQ"])), Vouched::Bad(why) if why.contains("second line")));
        assert_eq!(Signatures::default().vouched(&keys(&[KEY])), Vouched::Unsigned);
    }

    #[test]
    fn without_a_signature_or_a_key_nothing_is_trusted_that_has_to_be_signed() {
        let check = |keys: &[&str]| trust(keys).check("d", &Signatures::default());
        assert!(check(&[KEY]).is_err_and(|why| why.path == "requireSignature" && why.message.contains("not signed")));
        assert!(check(&[]).is_err_and(|why| why.path == "publicKeys"));
        assert!(check(&["RWQ"]).is_err_and(|why| why.path == "publicKeys" && why.message.contains("is none")));
        assert_eq!(Trust::default().check("d", &Signatures::default()), Ok(()));
    }

    #[test]
    fn a_pin_lets_one_digest_in() {
        let trust = Trust { sha256: Some("AB01".to_owned()), ..Trust::default() };
        assert_eq!(trust.check("ab01", &Signatures::default()), Ok(()));
        let refused = trust.check("ab02", &Signatures::default());
        assert!(refused.is_err_and(|why| why.path == "sha256" && why.message.contains("ab02")));
    }
}
