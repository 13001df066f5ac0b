//! Listing against a naive model.

use super::contract::{bucket_name, make_bucket, put};
use super::fresh;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use sallyport_core::metadata::{ListQuery, Listed, MetadataStore, VersionQuery};
use sallyport_core::names::VersionId;
use std::collections::BTreeSet;

fn text(least: usize, most: usize) -> impl Strategy<Value = String> {
    let letters = prop_oneof![Just("a"), Just("b"), Just("/"), Just("ä"), Just("\u{10FFFF}"), Just("\u{1}")];
    vec(letters, least..=most).prop_map(|letters| letters.concat())
}

/// What the port's words say, at the price of reading everything.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>, after: Option<&str>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        let folded =
            delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| &key[..prefix.len() + at + delimiter.len()]));
        let line = folded.unwrap_or(key);
        let is_after = after.is_none_or(|after| line > after && !(folded.is_some() && after.starts_with(line)));
        if is_after && lines.last().map(String::as_str) != Some(line) {
            lines.push(line.to_owned());
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_listing_is_what_the_model_says(
        keys in btree_set(text(1, 6), 0..60),
        queries in vec((text(0, 2), prop::option::of(text(1, 2)), prop::option::of(text(0, 4)), 0_usize..12), 30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fresh = fresh().await;
            make_bucket(&fresh.store, "bucket").await;
            make_bucket(&fresh.store, "another").await;
            for name in &keys {
                put(&fresh.store, name, VersionId::null(), "e").await;
            }
            for (prefix, delimiter, after, limit) in queries {
                let expected = model(&keys, &prefix, delimiter.as_deref(), after.as_deref());
                let query = ListQuery {
                    bucket: bucket_name("bucket"),
                    prefix: prefix.clone(),
                    delimiter: delimiter.clone(),
                    after: after.clone(),
                    limit,
                };
                let page = fresh.store.list(&query).await.unwrap();
                let names: Vec<_> = page.entries.iter().map(|entry| entry.name().to_owned()).collect();
                assert_eq!(names, expected[..limit.min(expected.len())], "{query:?}");
                assert_eq!(page.is_truncated, limit > 0 && expected.len() > limit, "{query:?}");
                for entry in &page.entries {
                    let folds = delimiter.as_deref().is_some_and(|it| entry.name()[prefix.len()..].contains(it));
                    assert_eq!(matches!(entry, Listed::CommonPrefix(_)), folds);
                }
                let query = VersionQuery {
                    bucket: bucket_name("bucket"),
                    prefix,
                    delimiter,
                    key_marker: after,
                    version_marker: None,
                    limit,
                };
                let page = fresh.store.list_versions(&query).await.unwrap();
                let names: Vec<_> = page.entries.iter().map(|entry| entry.name().to_owned()).collect();
                assert_eq!(names, expected[..limit.min(expected.len())], "{query:?}");
                assert_eq!(page.is_truncated, limit > 0 && expected.len() > limit, "{query:?}");
            }
        });
    }
}
