//! Reads XML documents from clients, strictly and within limits.

use crate::error::{Code, S3Error};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::borrow::Cow;

/// The deepest that any of S3's documents goes, with room.
const MAX_DEPTH: usize = 16;
/// The most elements of a document: 10,000 parts of a completion with every checksum. An element
/// takes four bytes on the wire and a hundred here.
const MAX_ELEMENTS: usize = 150_000;

/// An element with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Without its namespace prefix.
    pub(crate) name: String,
    /// Unescaped, of all text nodes together.
    pub(crate) text: String,
    /// In order.
    pub(crate) children: Vec<Self>,
}

impl Element {
    /// The root of a document, which has to have this name.
    pub(crate) fn parse(document: &[u8], root: &str) -> Result<Self, S3Error> {
        let element = read(document).ok_or_else(malformed)?;
        if element.name != root {
            return Err(malformed());
        }
        Ok(element)
    }

    /// The one child of this name.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<&Self>, S3Error> {
        let mut children = self.children.iter().filter(|child| child.name == name);
        let first = children.next();
        if children.next().is_some() {
            return Err(malformed());
        }
        Ok(first)
    }

    /// The text of the one child of this name.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, S3Error> {
        Ok(self.optional(name)?.map(|child| child.text.as_str()))
    }

    /// The text of a child that has to be there.
    pub(crate) fn required_text(&self, name: &str) -> Result<&str, S3Error> {
        self.optional_text(name)?.ok_or_else(malformed)
    }

    /// All children of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Refuses children that are not in the schema.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), S3Error> {
        if self.children.iter().all(|child| names.contains(&child.name.as_str())) { Ok(()) } else { Err(malformed()) }
    }
}

/// 400 for whatever does not fit the schema.
pub(crate) fn malformed() -> S3Error {
    Code::MalformedXML.into()
}

fn read(document: &[u8]) -> Option<Element> {
    // NUL is no character of XML, and of no name or value of S3.
    let text = std::str::from_utf8(document).ok().filter(|text| !text.contains('\0'))?;
    let text = with_plain_ends_of_lines(text);
    let mut reader = Reader::from_str(&text);
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut count = 0;
    loop {
        let event = reader.read_event().ok()?;
        count += usize::from(matches!(event, Event::Start(_) | Event::Empty(_)));
        if count > MAX_ELEMENTS {
            return None;
        }
        match event {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH || root.is_some() {
                    return None;
                }
                open.push(named(start.local_name().as_ref()));
            }
            Event::Empty(start) => {
                let element = named(start.local_name().as_ref());
                close(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop()?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => match open.last_mut() {
                Some(element) => element.text.push_str(&text),
                None if text.chars().all(char::is_whitespace) => {}
                None => return None,
            },
            Event::CData(data) => open.last_mut()?.text.push_str(&data),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => entity(&reference)?,
                };
                open.last_mut()?.text.push(character);
            }
            // Entities of one's own are how documents grow without end.
            Event::DocType(_) => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return if open.is_empty() { root } else { None },
        }
    }
}

/// As [XML](https://www.w3.org/TR/xml/#sec-line-ends) has them whoever wrote the document. A
/// carriage return that is meant is written as a reference.
fn with_plain_ends_of_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return None,
    }
    Some(())
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Document;
    use proptest::prelude::*;

    #[test]
    fn a_document_is_read_as_it_is_meant() {
        let text = b"<?xml version=\"1.0\"?>\n<Delete xmlns=\"x\"><Quiet>true</Quiet><Object><Key>a&amp;&#x62;</Key></Object></Delete>";
        let root = Element::parse(text, "Delete").expect("legal");
        assert_eq!(root.required_text("Quiet").expect("there"), "true");
        assert_eq!(root.all("Object").next().expect("there").required_text("Key").expect("there"), "a&b");
        assert!(root.only(&["Quiet"]).is_err());
    }

    #[test]
    fn a_line_ends_alike_on_every_system() {
        let root = Element::parse(b"<a><b>1\r\n2\r3&#13;\n</b></a>", "a").expect("legal");
        assert_eq!(root.required_text("b"), Ok("1\n2\n3\r\n"));
        assert!(Element::parse(b"<a>\0</a>", "a").is_err());
    }

    #[test]
    fn what_is_not_one_whole_document_is_malformed() {
        for text in ["", "<a>", "<a></b>", "<a/><a/>", "text", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<b/>"] {
            assert_eq!(Element::parse(text.as_bytes(), "a").expect_err(text).code, Code::MalformedXML);
        }
        let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
        assert!(Element::parse(wide(MAX_ELEMENTS).as_bytes(), "a").is_err());
        assert!(Element::parse(wide(MAX_ELEMENTS - 1).as_bytes(), "a").is_ok());
        let deep = format!("{}{}", "<a>".repeat(20), "</a>".repeat(20));
        assert!(Element::parse(deep.as_bytes(), "a").is_err());
    }

    proptest! {
        #[test]
        fn text_survives_writing_and_reading(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{0,40}") {
            let document = Document::s3("Root", |root| root.text("Key", &text));
            let root = Element::parse(document.as_bytes(), "Root").expect("legal");
            prop_assert_eq!(root.required_text("Key").expect("there"), text.as_str());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Element::parse(&bytes, "a");
        }
    }
}
