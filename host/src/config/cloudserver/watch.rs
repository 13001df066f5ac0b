//! Reads which buckets show what others store in a location.

use std::time::Duration;

use sallyport_core::names::BucketName;
use serde_json::Value;

use super::field::Fields;
use crate::config::configuration::WatchConfiguration;

/// How often a location is looked at where nothing is said.
const EVERY: f64 = 3600.0;
/// Seconds between two looks: from as good as always to never again.
const RANGE: std::ops::RangeInclusive<f64> = 1.0..=1e9;

/// Takes `watch` of a location, and notes what is wrong with it.
pub(super) fn read(file: &str, location: &mut Fields<'_>) -> Vec<WatchConfiguration> {
    let Some(value) = location.take("watch") else { return Vec::new() };
    let Value::Array(items) = value else {
        location.refuse("watch", "is no list", "[{ \"bucket\": \"…\" }]");
        return Vec::new();
    };
    let mut watches = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let path = format!("watch[{index}]");
        let Value::Object(map) = item else {
            location.refuse(&path, "is no object", "{ \"bucket\": \"…\" }");
            continue;
        };
        let mut fields = Fields::new(file, &path, map);
        watches.extend(one(&mut fields));
        for key in fields.rest() {
            location.refuse(&key, "is not known", "bucket, everySeconds and vanished only");
        }
        location.problems.append(&mut fields.problems);
    }
    watches
}

fn one(fields: &mut Fields<'_>) -> Option<WatchConfiguration> {
    let bucket = fields.text("bucket").unwrap_or_default();
    let seconds = fields.number("everySeconds").unwrap_or(EVERY);
    let vanished = fields.text("vanished");
    if BucketName::parse(&bucket).is_err() {
        fields.refuse("bucket", "is no bucket's name", "the name of the bucket that shows the objects");
        return None;
    }
    if !RANGE.contains(&seconds) {
        fields.refuse("everySeconds", "is less than 1, or no time at all", "a number of seconds, such as 3600");
        return None;
    }
    let forgets_vanished = match vanished.as_deref() {
        None | Some("keep") => false,
        Some("forget") => true,
        Some(_) => {
            fields.refuse("vanished", "is neither of two words", "\"keep\" or \"forget\"");
            return None;
        }
    };
    Some(WatchConfiguration { bucket, every: Duration::from_secs_f64(seconds), forgets_vanished })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_watch(watch: Value) -> (Vec<WatchConfiguration>, Vec<String>) {
        let map = json!({ "watch": watch }).as_object().unwrap().clone();
        let mut fields = Fields::new("locations", "", map);
        let watches = read("locations", &mut fields);
        (watches, fields.problems.into_iter().filter_map(|problem| problem.field).collect())
    }

    #[test]
    fn a_watch_names_its_bucket_and_may_say_more() {
        let (watches, problems) = read_watch(json!([
            { "bucket": "one" }, { "bucket": "two", "everySeconds": 1.5, "vanished": "forget" }
        ]));
        assert!(problems.is_empty(), "{problems:?}");
        let expected = [("one", 3_600_000, false), ("two", 1_500, true)].map(|(bucket, every, forgets_vanished)| {
            WatchConfiguration { bucket: bucket.to_owned(), every: Duration::from_millis(every), forgets_vanished }
        });
        assert_eq!(watches, expected);
    }

    #[test]
    fn a_mistake_is_named_by_its_field() {
        for (watch, field) in [
            (json!({ "bucket": "one" }), "watch"),
            (json!(["one"]), "watch[0]"),
            (json!([{}]), "watch[0].bucket"),
            (json!([{ "bucket": "one", "everySeconds": 0 }]), "watch[0].everySeconds"),
            (json!([{ "bucket": "one", "everySeconds": "1" }]), "watch[0].everySeconds"),
            (json!([{ "bucket": "one", "vanished": "delete" }]), "watch[0].vanished"),
            (json!([{ "bucket": "one", "prefix": "a" }]), "watch[0].prefix"),
        ] {
            let (_, problems) = read_watch(watch.clone());
            assert_eq!(problems, [field], "{watch}");
        }
    }
}
