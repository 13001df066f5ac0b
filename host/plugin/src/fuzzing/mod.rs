//! What the fuzzer in `tests/fuzz` gives its inputs to; no part of the interface.
//!
//! Each function takes one input, and panics when a property does not hold.

mod answers;
mod egress;
#[cfg(test)]
#[path = "../../../../tests/fuzz/replay.rs"]
mod replay;

pub use answers::answers;
pub use egress::egress;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_corpus_of_answers_holds() {
        replay::corpus("answers", answers);
    }

    #[test]
    fn the_corpus_of_hosts_holds() {
        replay::corpus("egress", egress);
    }

    /// A few of everything that a host may be written with.
    fn place() -> impl Strategy<Value = String> {
        let scheme = prop_oneof![Just(""), Just("https://"), Just("http://"), Just("HTTP://")];
        let host = "([a-cA-C0-9._*-]{0,8}|127\\.0\\.0\\.1|\\[::1\\]|0x7f\\.1|a\\.example\\.com|[a-z@:/\\\\?#%.]{0,10})";
        (scheme, host, "(:[0-9+]{0,5})?(/[a-z]{0,3})?").prop_map(|(scheme, host, rest)| format!("{scheme}{host}{rest}"))
    }

    proptest! {
        #[test]
        fn hosts_are_read_as_everybody_reads_them(places in proptest::collection::vec(place(), 4)) {
            let words = ["endpoint", "grant", "ask", "to"];
            let lines: Vec<String> = words.iter().zip(&places).map(|(word, place)| format!("{word} {place}")).collect();
            egress(lines.join("\n").as_bytes());
            // What is granted by name is asked for, too.
            let same: Vec<String> = words.iter().map(|word| format!("{word} {}", places[0])).collect();
            egress(same.join("\n").as_bytes());
        }

        #[test]
        fn an_address_is_trusted_alike_in_all_its_forms(number in any::<u32>()) {
            let [a, b, c, d] = number.to_be_bytes();
            egress(format!("address {a}.{b}.{c}.{d}\naddress ::ffff:{a}.{b}.{c}.{d}").as_bytes());
        }

        #[test]
        fn whatever_a_plugin_says_is_bounded(
            text in "\\PC{0,40}",
            role in "(secret|endpoint|path|plain)",
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            limits in proptest::collection::vec(any::<u64>(), 5),
        ) {
            let said = serde_json::json!({
                "fields": [
                    { "path": "a.b", "role": role, "default": text },
                    { "path": text, "role": "secret", "attributes": { "host": "ca-bundle" } },
                ],
                "limits": limits,
                "details": { "a": { "b": text }, "c": bytes },
                "failure": { "code": text, "message": text.repeat(200), "retry_after": limits[0] },
                "locator": bytes,
                "checksums": [{ "algorithm": "md5", "value": bytes }, { "algorithm": text, "value": bytes }],
                "entries": [{ "name": text, "locator": bytes, "write_id": text }],
                "cursor": text,
                "asked": text,
            });
            answers(said.to_string().as_bytes());
        }
    }
}
