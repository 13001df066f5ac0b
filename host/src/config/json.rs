//! JSON as operators write it: a key that appears twice is found, not overwritten.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A document and the paths of the keys that it gives more than once.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) repeated: Vec<String>,
}

/// Reads one document. A byte order mark in front is skipped.
pub(crate) fn read(text: &str) -> Result<Document, serde_json::Error> {
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let value = Node { path: String::new(), repeated: &mut repeated }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Document { value, repeated })
}

/// A value at a path, which reports keys that it meets twice.
struct Node<'a> {
    path: String,
    repeated: &'a mut Vec<String>,
}

impl Node<'_> {
    fn child(&mut self, key: &str) -> Node<'_> {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            parent => format!("{parent}.{key}"),
        };
        Node { path, repeated: self.repeated }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.child(&list.len().to_string()))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let child = self.child(&key);
            if map.contains_key(&key) {
                let path = child.path.clone();
                child.repeated.push(path);
            }
            let value = entries.next_value_seed(child)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_reported_with_its_path() {
        let document = read(r#"{"a":{"x":1,"x":2},"b":[{"y":1,"y":1}],"a":3}"#).unwrap();
        assert_eq!(document.repeated, ["a.x", "b.0.y", "a"]);
    }

    #[test]
    fn a_document_reads_as_serde_reads_it() {
        let text = r#"{"a":[1,-2,3.5,"x",null,true,{}],"b":{"c":{}}}"#;
        let document = read(&format!("\u{feff}{text}")).unwrap();
        assert_eq!(document.value, serde_json::from_str::<Value>(text).unwrap());
        assert!(document.repeated.is_empty());
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert!(read("{} x").is_err());
    }
}
