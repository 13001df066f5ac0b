//! Between the port's values and the contract's, with nothing that a plugin says believed unchecked.

use crate::bindings::base::sallyport::plugin::types as wit;
use crate::log::printable;
use sallyport_core::backend::{
    BackendError, Digest, Expectation, FailureCode, Identity, LOCATION_METADATA, Locator, Name, Place, Projection,
    Stored, StoredPart, Token,
};
use sallyport_core::names::WriteId;
use std::time::Duration;

/// Longest locator or token, in bytes.
const NAME_BYTES: usize = 4096;
/// All that may be shown of one object beside its bytes, in bytes.
const SHOWN_BYTES: usize = 16 * 1024;
/// Most metadata of one object: clients take some hundred headers and no more.
const MOST_METADATA: usize = 64;
/// Most tags of one object.
const MOST_TAGS: usize = 50;
/// Content headers that objects have.
const CONTENT: [&str; 6] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];
/// A plugin that wants to be left alone for longer is asked again sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

pub(crate) fn name(name: &Name) -> wit::Name {
    wit::Name {
        bucket: name.bucket.as_str().to_owned(),
        key: name.key.as_str().to_owned(),
        place: match &name.place {
            Place::Plain => wit::Place::Plain,
            Place::Derived(token) => wit::Place::Derived(token.clone()),
        },
    }
}

pub(crate) fn projection(mut object: Projection) -> wit::Projection {
    object.metadata.retain(|(name, _)| name != LOCATION_METADATA);
    wit::Projection { content: object.content, metadata: object.metadata, tags: object.tags }
}

pub(crate) fn expectation(expect: Expectation) -> wit::Expectation {
    match expect {
        Expectation::Anything => wit::Expectation::Anything,
        Expectation::Nothing => wit::Expectation::Nothing,
        Expectation::Bytes(locator) => wit::Expectation::Bytes(locator.0),
    }
}

pub(crate) fn checksums(digests: Vec<Digest>) -> Vec<wit::Checksum> {
    let checksum = |digest: Digest| wit::Checksum { algorithm: digest.algorithm, value: digest.value };
    digests.into_iter().map(checksum).collect()
}

/// A plugin's no, with so much of its words.
pub(crate) fn failure(failure: wit::Failure, bytes: usize) -> BackendError {
    BackendError::Answered {
        code: FailureCode::from_word(&failure.code),
        message: printable(&failure.message, bytes),
        retry_after: failure.retry_after.map(|milliseconds| Duration::from_millis(milliseconds).min(LONGEST_WAIT)),
    }
}

/// A plugin said what cannot be.
pub(crate) fn lie(what: impl Into<String>) -> BackendError {
    BackendError::Broke(what.into())
}

pub(crate) fn locator(bytes: Vec<u8>) -> Result<Locator, BackendError> {
    bounded(bytes, "locator").map(Locator)
}

pub(crate) fn token(bytes: Vec<u8>) -> Result<Token, BackendError> {
    bounded(bytes, "token").map(Token)
}

fn bounded(bytes: Vec<u8>, what: &str) -> Result<Vec<u8>, BackendError> {
    if bytes.is_empty() || bytes.len() > NAME_BYTES {
        return Err(lie(format!("it answered a {what} of {} bytes; 1 to {NAME_BYTES} are allowed", bytes.len())));
    }
    Ok(bytes)
}

/// Digests as the backend computed them; those of unknown algorithms are left out.
pub(crate) fn digests(checksums: Vec<wit::Checksum>) -> Result<Vec<Digest>, BackendError> {
    let mut digests = Vec::with_capacity(checksums.len().min(8));
    for checksum in checksums.into_iter().take(16) {
        let Some(length) = digest_length(&checksum.algorithm) else { continue };
        if checksum.value.len() != length {
            return Err(lie(format!("it answered a {} of {} bytes", checksum.algorithm, checksum.value.len())));
        }
        digests.push(Digest { algorithm: checksum.algorithm, value: checksum.value });
    }
    Ok(digests)
}

/// What a plugin shows of what others stored; what no client could be shown is left out.
pub(crate) fn shown(attributes: Vec<(String, String)>) -> (Option<WriteId>, Projection) {
    let mut object = Projection::default();
    let mut write_id = None;
    let mut room = SHOWN_BYTES;
    for (name, value) in attributes {
        if name == "write-id" {
            write_id = WriteId::parse(&value).ok();
            continue;
        }
        let Some((kind, name)) = name.split_once(':') else { continue };
        let is_text = !value.chars().any(char::is_control);
        let Some(left) = room.checked_sub(name.len() + value.len()).filter(|_| is_text) else { continue };
        let pairs = match kind {
            "content" if CONTENT.contains(&name) && !value.is_empty() => &mut object.content,
            "metadata" if is_metadata_name(name) && object.metadata.len() < MOST_METADATA => &mut object.metadata,
            "tag" if is_tag(name, &value) && object.tags.len() < MOST_TAGS => &mut object.tags,
            _ => continue,
        };
        if !pairs.iter().any(|(known, _)| known == name) {
            pairs.push((name.to_owned(), value));
            room = left;
        }
    }
    (write_id, object)
}

/// Whose bytes a plugin says that a listed locator names.
pub(crate) fn identity(listed: &Locator, attributes: Vec<(String, String)>) -> Result<Identity, BackendError> {
    let mut identity = Identity { locator: listed.clone(), write_id: None };
    for (name, value) in attributes {
        if name == "write-id" {
            identity.write_id = WriteId::parse(&value).ok();
        } else if name == "locator" {
            let bytes = hex::decode(&value).map_err(|_| lie("it answered a locator that is not hexadecimal"))?;
            identity.locator = locator(bytes)?;
        }
    }
    Ok(identity)
}

/// A header's name behind its prefix, in lower case.
fn is_metadata_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name != LOCATION_METADATA && name.bytes().all(is_token)
}

fn is_tag(key: &str, value: &str) -> bool {
    (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
}

fn digest_length(algorithm: &str) -> Option<usize> {
    match algorithm {
        "md5" => Some(16),
        "crc32" | "crc32c" => Some(4),
        "crc64nvme" => Some(8),
        "sha1" => Some(20),
        "sha256" => Some(32),
        _ => None,
    }
}

pub(crate) fn stored(stored: wit::Stored) -> Result<Stored, BackendError> {
    Ok(Stored { locator: locator(stored.locator)?, checksums: digests(stored.checksums)? })
}

pub(crate) fn stored_part(stored: wit::StoredPart) -> Result<StoredPart, BackendError> {
    Ok(StoredPart { part: token(stored.part)?, checksums: digests(stored.checksums)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_not_passed_on() {
        assert!(locator(vec![1; 4096]).is_ok());
        assert!(matches!(locator(vec![1; 4097]), Err(BackendError::Broke(_))));
        assert!(matches!(locator(Vec::new()), Err(BackendError::Broke(_))));
        let short = wit::Checksum { algorithm: "md5".to_owned(), value: vec![0; 15] };
        assert!(matches!(digests(vec![short]), Err(BackendError::Broke(_))));
        let unknown = wit::Checksum { algorithm: "blake9".to_owned(), value: vec![0; 3] };
        assert_eq!(digests(vec![unknown]).ok(), Some(Vec::new()));
    }

    #[test]
    fn only_what_a_client_can_be_shown_is_shown() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let id = "0123456789abcdef0123456789abcdef";
        let said = vec![
            pair("write-id", id),
            pair("content:content-type", "text/plain"),
            pair("content:server", "x"),
            pair("metadata:colour", "blue"),
            pair("metadata:colour", "red"),
            pair("metadata:Large", "x"),
            pair("metadata:cut", "a\r\nb"),
            pair("metadata:long", &"x".repeat(SHOWN_BYTES)),
            pair("metadata:scal-location-constraint", "there"),
            pair("tag:a:b", "1"),
            pair("tag:", "2"),
            pair("other", "3"),
        ];
        let (write_id, object) = shown(said);
        assert_eq!(write_id.map(|id| id.to_string()).as_deref(), Some(id));
        assert_eq!(object.content, [pair("content-type", "text/plain")]);
        assert_eq!(object.metadata, [pair("colour", "blue")]);
        assert_eq!(object.tags, [pair("a:b", "1")]);
        assert_eq!(shown(vec![pair("write-id", "mine")]).0, None);
    }

    #[test]
    fn an_identity_is_believed_as_far_as_it_can_be() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let listed = Locator(vec![1]);
        let id = "0123456789abcdef0123456789abcdef";
        let told = identity(&listed, vec![pair("write-id", id), pair("locator", "01ff"), pair("other", "x")]).unwrap();
        assert_eq!((told.locator, told.write_id.unwrap().as_str()), (Locator(vec![1, 255]), id));
        let silent = identity(&listed, vec![pair("write-id", "mine")]).unwrap();
        assert_eq!((silent.locator, silent.write_id), (Locator(vec![1]), None));
        for wrong in ["", "0", "xy"] {
            assert!(identity(&listed, vec![pair("locator", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_text_is_cut_and_printable() {
        let said =
            wit::Failure { code: "odd".to_owned(), message: "x\n".repeat(2000), retry_after: None, attributes: vec![] };
        let BackendError::Answered { code, message, .. } = failure(said, 1024) else { panic!("not an answer") };
        assert_eq!((code, message.len()), (FailureCode::Internal, 1024));
        assert!(!message.contains('\n'));
    }
}
