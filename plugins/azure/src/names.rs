//! How Azure wants the names of its blobs.

use sallyport_plugin_sdk::naming::Naming;

/// Azure trims or merges empty segments with a hierarchical namespace, and advises against
/// a slash at the end in any account.
/// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>
pub(crate) fn naming(bucket_match: bool) -> Naming {
    Naming { bucket_match, longest: 1024, most_segments: 254, escape_empty_segments: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sallyport_plugin_sdk::types::{Name, Place};

    fn blob(bucket_match: bool, key: &str) -> String {
        naming(bucket_match).place(&Name { bucket: "bucket".into(), key: key.into(), place: Place::Plain })
    }

    #[test]
    fn an_ordinary_key_is_shown_as_it_is() {
        for key in ["a", "photos/2024/a b.jpg", "50% off", "a%20b", "ünï/côdé", "日本語", "a.b..c", ".hidden/x"]
        {
            assert_eq!(blob(false, key), format!("bucket/{key}"));
            assert_eq!(blob(true, key), key);
        }
    }

    #[test]
    fn more_segments_than_azure_counts_are_hashed() {
        assert!(blob(false, &"a/".repeat(300)).starts_with(".sallyport/"));
        assert!(blob(true, &"k".repeat(1024)).starts_with('k'));
        assert!(blob(false, &"k".repeat(1024)).starts_with(".sallyport/"));
    }

    proptest! {
        #[test]
        fn a_name_has_nothing_that_azure_refuses(key in prop_oneof!["[./%2EF\\\\a]{1,12}", "\\PC{1,40}", ".{1,9}"]) {
            for name in [blob(true, &key), blob(false, &key)] {
                prop_assert!(!name.contains('\\') && !name.chars().any(char::is_control));
                prop_assert!(name.split('/').all(|segment| !segment.is_empty() && !segment.ends_with('.')));
            }
        }
    }
}
