//! Maps the host's names to places on a backend with keys of its own.
//!
//! An ordinary key stays as it is, behind its bucket unless `bucketMatch` says otherwise. What
//! a backend may resolve, trim or refuse is escaped as `%XX`, in place and reversibly; a `%` is
//! escaped only where it would read as such an escape. Derived names, and the hashes of names
//! that are too long, live below [`RESERVED`], which no escaped key starts with.

mod escape;

use crate::types::{Name, Place};
use escape::{escape, unescape};
use sha2::{Digest, Sha256};

/// The folder, at the top of the container, that no user's key reaches.
pub const RESERVED: &str = ".sallyport";

/// How a backend wants its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// `true`: plain places are the keys alone, without the bucket. Two buckets then share
    /// places, which their equal namespaces tell the host.
    pub bucket_match: bool,
    /// The longest name that the backend takes, in bytes.
    pub longest: usize,
    /// The most segments that the backend takes in a name.
    pub most_segments: usize,
    /// `true`: a slash at either end and the second of two in a row are escaped, for backends
    /// that trim or merge them.
    pub escape_empty_segments: bool,
}

impl Naming {
    /// What S3 and most of its kin take.
    pub fn s3(bucket_match: bool) -> Self {
        Self { bucket_match, longest: 1024, most_segments: usize::MAX, escape_empty_segments: false }
    }

    /// The backend's name for a place. The same name gives the same answer for ever.
    pub fn place(&self, name: &Name) -> String {
        match &name.place {
            Place::Derived(token) => self.derived(&name.bucket, token),
            Place::Plain => {
                let plain = self.plain(&name.bucket, &name.key);
                if plain.len() <= self.longest && self.has_room_for_segments(&plain) {
                    plain
                } else {
                    self.hashed(&name.bucket, &name.key)
                }
            }
        }
    }

    /// What the names of a bucket's plain places start with.
    pub fn prefix(&self, bucket: &str) -> String {
        if self.bucket_match { String::new() } else { escape_bucket(bucket) + "/" }
    }

    /// The key behind a plain place of a bucket; `None` for any other name.
    pub fn key_of(&self, bucket: &str, place: &str) -> Option<String> {
        let key = unescape(place.strip_prefix(self.prefix(bucket).as_str())?)?;
        // A name that we would write otherwise is not one of ours.
        (self.plain(bucket, &key) == place).then_some(key)
    }

    fn plain(&self, bucket: &str, key: &str) -> String {
        let escaped = escape(key, self.escape_empty_segments);
        let reserved = self.bucket_match
            && escaped.strip_prefix(RESERVED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if reserved { format!("%2E{}", escaped.trim_start_matches('.')) } else { self.prefix(bucket) + &escaped }
    }

    fn derived(&self, bucket: &str, token: &str) -> String {
        // A token has nothing that needs an escape; one that had would still stay in here.
        let token = escape(token, true);
        format!("{RESERVED}/{}/{token}", escape_bucket(bucket))
    }

    /// No token contains a tilde, so hashes and tokens never meet.
    fn hashed(&self, bucket: &str, key: &str) -> String {
        let digest = hex::encode(Sha256::digest(key.as_bytes()));
        format!("{RESERVED}/{}/~{digest}", escape_bucket(bucket))
    }

    fn has_room_for_segments(&self, place: &str) -> bool {
        place.split('/').nth(self.most_segments).is_none()
    }
}

/// The names of buckets need no escape, unless a host lets one through that S3 does not.
fn escape_bucket(bucket: &str) -> String {
    let escaped = escape(bucket, true);
    if escaped.contains('/') { escaped.replace('/', "%2F") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: [bool; 2] = [false, true];

    fn plain(key: &str) -> Name {
        Name { bucket: "bucket".to_owned(), key: key.to_owned(), place: Place::Plain }
    }

    fn derived(token: &str) -> Name {
        Name { place: Place::Derived(token.to_owned()), ..plain("key") }
    }

    #[test]
    fn an_ordinary_key_stays_as_it_is() {
        for key in ["photo.jpg", "a/b/c", "100% ü", "a%20b", "dir/", ".hidden", "~x"] {
            assert_eq!(Naming::s3(true).place(&plain(key)), key);
            assert_eq!(Naming::s3(false).place(&plain(key)), format!("bucket/{key}"));
        }
    }

    #[test]
    fn no_key_climbs_out_of_its_bucket() {
        let place = Naming::s3(false).place(&plain("../other/x"));
        assert_eq!(place, "bucket/.%2E/other/x");
    }

    #[test]
    fn no_key_reaches_the_derived_names() {
        let naming = Naming::s3(true);
        assert_eq!(naming.place(&derived("t-1")), ".sallyport/bucket/t-1");
        let attack = naming.place(&plain(".sallyport/bucket/t-1"));
        assert_eq!(attack, "%2Esallyport/bucket/t-1");
        assert_eq!(naming.place(&plain(".sallyport")), "%2Esallyport");
        assert_eq!(naming.place(&plain(".sallyporter/x")), ".sallyporter/x");
    }

    #[test]
    fn a_name_that_is_too_long_is_hashed() {
        let naming = Naming::s3(false);
        assert_eq!(naming.place(&plain(&"k".repeat(1017))).len(), 1024);
        let place = naming.place(&plain(&"k".repeat(1018)));
        assert!(place.starts_with(".sallyport/bucket/~"), "{place}");
        assert!(place.len() < 160);
    }

    #[test]
    fn a_name_of_too_many_segments_is_hashed() {
        let naming = Naming { most_segments: 254, ..Naming::s3(true) };
        assert_eq!(naming.place(&plain(&"a/".repeat(253))).len(), 506);
        assert!(naming.place(&plain(&"a/".repeat(254))).contains('~'));
    }

    #[test]
    fn a_foreign_name_has_no_key() {
        let naming = Naming::s3(false);
        assert_eq!(naming.key_of("bucket", "bucket/a"), Some("a".to_owned()));
        assert_eq!(naming.key_of("bucket", "bucket/a."), None);
        assert_eq!(naming.key_of("bucket", "bucket/a%2Eb"), None);
        assert_eq!(naming.key_of("bucket", "other/a"), None);
        assert_eq!(naming.key_of("bucket", ".sallyport/bucket/t"), None);
    }

    /// Keys made of what is hard: dots, slashes, escapes, controls, the reserved folder.
    fn hard_key() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            Just("."),
            Just(".."),
            Just("/"),
            Just("//"),
            Just("%"),
            Just("%2E"),
            Just("%25"),
            Just("2E"),
            Just("\\"),
            Just("\u{0}"),
            Just("\u{1f}"),
            Just("\u{85}"),
            Just("é"),
            Just("\u{fffe}"),
            Just("a"),
            Just(".sallyport"),
            Just("~"),
            Just("%C3%A9"),
            Just(" "),
        ];
        proptest::collection::vec(pieces, 1..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_key_can_be_read_back(key in hard_key(), any in "\\PC{1,40}") {
            for bucket_match in BOTH {
                for escape_empty_segments in BOTH {
                    let naming = Naming { escape_empty_segments, ..Naming::s3(bucket_match) };
                    for key in [&key, &any] {
                        let place = naming.place(&plain(key));
                        let read = naming.key_of("bucket", &place);
                        prop_assert_eq!(read.as_ref(), Some(key), "{}", place);
                    }
                }
            }
        }

        #[test]
        fn two_keys_never_share_a_place(one in hard_key(), other in hard_key()) {
            for bucket_match in BOTH {
                let naming = Naming::s3(bucket_match);
                let same = naming.place(&plain(&one)) == naming.place(&plain(&other));
                prop_assert_eq!(same, one == other);
            }
        }

        #[test]
        fn no_place_holds_what_backends_resolve(key in hard_key()) {
            for escape_empty_segments in BOTH {
                let naming = Naming { escape_empty_segments, ..Naming::s3(true) };
                let place = naming.place(&plain(&key));
                prop_assert!(!place.contains('\\') && !place.chars().any(char::is_control));
                for segment in place.split('/') {
                    prop_assert!(!segment.ends_with('.'), "{}", place);
                    prop_assert!(!escape_empty_segments || !segment.is_empty(), "{}", place);
                }
                prop_assert!(!place.starts_with(".sallyport/"));
            }
        }
    }
}
