//! What the fuzzer in `tests/fuzz` gives its inputs to; no part of the interface.
//!
//! Each function takes one input, and panics when a property does not hold.

mod checksum;
mod conditional;
mod form;
mod frames;
mod head;
#[cfg(test)]
#[path = "../../../../tests/fuzz/replay.rs"]
mod replay;
mod xml;

pub use checksum::checksum;
pub use conditional::conditional;
pub use form::form;
pub use head::head;
pub use xml::xml;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_documents_holds() {
        replay::corpus("xml", xml);
    }

    #[test]
    fn the_corpus_of_forms_holds() {
        replay::corpus("form", form);
    }

    #[test]
    fn the_corpus_of_heads_holds() {
        replay::corpus("head", head);
    }

    #[test]
    fn the_corpus_of_ranges_and_conditions_holds() {
        replay::corpus("conditional", conditional);
    }

    #[test]
    fn the_corpus_of_checksums_holds() {
        replay::corpus("checksum", checksum);
    }
}
