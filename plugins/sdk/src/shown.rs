//! Tells the host what a stored object shows beside its bytes, when others stored it.

use crate::objects::FindRequest;
use crate::types::{Attributes, Projection};

/// Whether a `find` asks for it.
pub fn is_asked_for(request: &FindRequest) -> bool {
    request.attributes.iter().any(|(name, _)| name == "show")
}

/// The attributes of the answer.
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
