//! The keys of a location, as its details have them.

use crate::sealing::{Cipher, Header, KeyId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::types::Failure;
use std::fmt;

/// Keys by their ids: the first one seals, all of them open.
#[derive(Clone)]
pub(crate) struct Keys(Vec<(KeyId, XChaCha20Poly1305)>);

/// What is wrong with a text of keys. Says nothing of the keys themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidKeys {
    /// A key without an id in front: not written that way, or hidden from the plugin.
    Unnamed,
    /// An id that is empty, too long, or has other characters.
    Id,
    /// Not the base64 of 32 bytes.
    Length,
    /// An id that comes twice.
    Twice,
}

impl Keys {
    /// Reads `ID:BASE64`, and any number of older ones behind spaces.
    ///
    /// The id is more than a name: what stands in for a secret that the plugin may not see has no colon in it, so that
    /// nothing is ever sealed with a stand-in, which would be another one tomorrow.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let mut keys: Vec<(KeyId, XChaCha20Poly1305)> = Vec::new();
        for key in text.split_ascii_whitespace() {
            let (id, encoded) = key.split_once(':').ok_or(InvalidKeys::Unnamed)?;
            let id = KeyId::new(id).ok_or(InvalidKeys::Id)?;
            let bytes = STANDARD.decode(encoded).map_err(|_| InvalidKeys::Length)?;
            let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| InvalidKeys::Length)?;
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(InvalidKeys::Twice);
            }
            keys.push((id, cipher));
        }
        if keys.is_empty() { Err(InvalidKeys::Unnamed) } else { Ok(Self(keys)) }
    }

    /// A cipher for an object that is new, with a nonce that `random` bytes make unique.
    pub(crate) fn sealing(&self, random: &[u8]) -> Result<Cipher, Failure> {
        let (id, key) = self.0.first().ok_or_else(|| failure::internal("no key to seal with"))?;
        let header = Header::new(*id, random).ok_or_else(|| failure::internal("too few random bytes"))?;
        Ok(Cipher::new(key.clone(), header))
    }

    /// The cipher of an object that was sealed before.
    pub(crate) fn opening(&self, header: Header) -> Result<Cipher, Failure> {
        let key = self.0.iter().find(|(id, _)| *id == header.key());
        let (_, key) = key.ok_or_else(|| {
            failure::denied(format!("the object was sealed with the key `{}`, which details.key has not", header.key()))
        })?;
        Ok(Cipher::new(key.clone(), header))
    }
}

/// Ids only.
impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_first_key_seals_and_all_of_them_open() {
        let keys = Keys::parse(&format!("new:{}\n old:{}", key(1), key(2))).unwrap();
        let sealing = keys.sealing(&[7; 19]).unwrap();
        assert_eq!(sealing.header().key().to_string(), "new");
        let old = Keys::parse(&format!("old:{}", key(2))).unwrap();
        let sealed = old.sealing(&[9; 19]).unwrap();
        let chunk = sealed.seal(0, true, b"before".to_vec()).unwrap();
        let opening = keys.opening(*sealed.header()).unwrap();
        assert_eq!(opening.open(0, true, chunk).unwrap(), b"before");
        assert_eq!(old.opening(*sealing.header()).unwrap_err().code, "denied");
    }

    #[test]
    fn a_stand_in_for_a_hidden_key_is_never_sealed_with() {
        // What the host shows of a text that is no base64: as many letters and digits.
        assert_eq!(Keys::parse("K3ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMN").unwrap_err(), InvalidKeys::Unnamed);
        assert_eq!(Keys::parse(&key(1)).unwrap_err(), InvalidKeys::Unnamed);
        assert_eq!(Keys::parse(" ").unwrap_err(), InvalidKeys::Unnamed);
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(Keys::parse(&format!("A B:{}", key(1))).unwrap_err(), InvalidKeys::Unnamed);
        assert_eq!(Keys::parse(&format!(":{}", key(1))).unwrap_err(), InvalidKeys::Id);
        assert_eq!(Keys::parse(&format!("ninechars:{}", key(1))).unwrap_err(), InvalidKeys::Id);
        assert_eq!(Keys::parse("a:c2hvcnQ=").unwrap_err(), InvalidKeys::Length);
        assert_eq!(Keys::parse(&format!("a:{0} a:{0}", key(1))).unwrap_err(), InvalidKeys::Twice);
    }

    #[test]
    fn debug_output_shows_ids_alone() {
        let shown = format!("{:?}", Keys::parse(&format!("a:{}", key(65))).unwrap());
        assert!(shown.contains('a') && !shown.contains("QUFB") && !shown.contains("65"), "{shown}");
    }
}
