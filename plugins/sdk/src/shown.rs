//! Tells the host what a stored object shows beside its bytes, and which write stored them.

use crate::objects::{FindRequest, HeadRequest};
use crate::types::{Attributes, Projection};

/// Whether a `find` asks for it.
pub fn is_asked_for(request: &FindRequest) -> bool {
    request.attributes.iter().any(|(name, _)| name == "show")
}

/// Whether a `head` asks whose the bytes are.
pub fn is_identity_asked_for(request: &HeadRequest) -> bool {
    request.attributes.iter().any(|(name, _)| name == "show")
}

/// The attributes of the answer to such a `head`: the write that stored the bytes, and the
/// locator that it was answered with.
pub fn identity(write_id: Option<&str>, locator: &[u8]) -> Attributes {
    let locator = locator.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut attributes: Attributes = write_id.map(|id| ("write-id".to_owned(), id.to_owned())).into_iter().collect();
    attributes.push(("locator".to_owned(), locator));
    attributes
}

/// The attributes of the answer to a `find`.
pub fn attributes(write_id: Option<&str>, object: &Projection) -> Attributes {
    let named = |kind: &str, pairs: &[(String, String)]| -> Attributes {
        pairs.iter().map(|(name, value)| (format!("{kind}:{name}"), value.clone())).collect()
    };
    let mut attributes: Attributes = write_id.map(|id| ("write-id".to_owned(), id.to_owned())).into_iter().collect();
    attributes.extend(named("content", &object.content));
    attributes.extend(named("metadata", &object.metadata));
    attributes.extend(named("tag", &object.tags));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_is_told_in_hexadecimal() {
        let expected = [("write-id", "w"), ("locator", "01ff00")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(identity(Some("w"), &[1, 255, 0]), expected);
        assert_eq!(identity(None, &[1, 255, 0]), expected[1..]);
    }

    #[test]
    fn each_kind_has_its_own_names() {
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let object = Projection { content: pair("expires", "x"), metadata: pair("a:b", "1"), tags: pair("t", "2") };
        let expected: Attributes = [("write-id", "w"), ("content:expires", "x"), ("metadata:a:b", "1"), ("tag:t", "2")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(attributes(Some("w"), &object), expected);
    }
}
