//! What the fuzzer in `tests/fuzz` gives its inputs to; no part of the interface.
//!
//! Each function takes one input, and panics when a property does not hold.

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

pub use crate::access::fuzz::policy;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_policies_holds() {
        replay::corpus("policy", policy);
    }
}
