//! V: names that Azure refuses ended in 503, or were folded so that two became one.

use super::{LOCATIONS, World};
use hyper::Method;
use sallyport_tests::client::Call;

#[tokio::test]
async fn names_of_metadata_tags_and_keys_come_back_as_they_were_sent() {
    let world = World::start().await;
    for location in LOCATIONS {
        let path = format!("{location}/key");
        let metadata = [
            ("x-amz-meta-1leading-digit", "a"),
            ("x-amz-meta-with.dots.in.it", "b"),
            ("x-amz-meta-with-dash", "c"),
            ("x-amz-meta-with_underscore", "d"),
            ("x-amz-meta-with_dash", "e"),
            ("x-amz-meta-class", "f"),
            ("x-amz-meta-value", "=?UTF-8?Q?caf=C3=A9?="),
        ];
        let mut call = Call::new(Method::PUT, &path).header("x-amz-tagging", "team-name%3A1=%2B%40red&a.b%2Fc=");
        for (name, value) in metadata {
            call = call.header(name, value);
        }
        let answer = world.send(call.body("bytes")).await;
        assert_eq!(answer.status, 200, "{location}: {}", answer.text());
        let head = world.client.head(&path).await.unwrap();
        for (name, value) in metadata {
            assert_eq!(head.header(name), value, "{location} {name}");
        }
        let tags = world.send(Call::new(Method::GET, &path).query("tagging", "")).await;
        let mut pairs: Vec<_> = tags.elements("Key").into_iter().zip(tags.elements("Value")).collect();
        pairs.sort();
        let expected = [("a.b/c", ""), ("team-name:1", "+@red")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(pairs, expected, "{location}: {}", tags.text());
        // A copy has them too, also one that streams.
        for to in LOCATIONS {
            let copied = format!("{to}/copied-from-{location}");
            let answer = world.send(super::copy(&copied, &path)).await;
            assert!(answer.text().contains("<CopyObjectResult"), "{copied}: {}", answer.text());
            let head = world.client.head(&copied).await.unwrap();
            assert_eq!(head.header("x-amz-meta-with.dots.in.it"), "b", "{copied}");
            assert_eq!(world.text(&copied).await, "bytes");
        }
        // Keys that would be folded together, or that a backend resolves.
        let keys =
            ["a.", "a", "a/.", "a/..", "a/../b", "a\\b", "a//b", "/a", "A", "ä", "a\u{308}", "a/", "%41", "a.%2e"];
        for key in keys {
            world.put(&format!("{location}/names/{key}"), format!("{location} {key}")).await;
        }
        for key in keys {
            let found = world.text(&format!("{location}/names/{key}")).await;
            assert_eq!(found, format!("{location} {key}"), "{location}");
        }
        let listed = world.client.keys(location).await.unwrap().into_iter().filter(|key| key.starts_with("names/"));
        assert_eq!(listed.count(), keys.len(), "{location}");
    }
}
