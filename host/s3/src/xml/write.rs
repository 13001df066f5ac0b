//! Writes XML documents as S3 words them.

/// S3's namespace.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What every document begins with.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A document in the making.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
}

impl Document {
    /// Writes a document whose root is in S3's namespace.
    pub(crate) fn s3(root: &str, content: impl FnOnce(&mut Self)) -> String {
        Self::rooted(root, &format!(" xmlns=\"{NAMESPACE}\""), content)
    }

    /// Writes a document of one element with text in it.
    pub(crate) fn s3_text(root: &str, value: &str) -> String {
        Self::s3(root, |document| document.escape(value))
    }

    /// Writes a document without a namespace.
    pub(crate) fn bare(root: &str, content: impl FnOnce(&mut Self)) -> String {
        Self::rooted(root, "", content)
    }

    fn rooted(root: &str, attributes: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut document = Self { text: String::from(DECLARATION) };
        document.element(root, attributes, content);
        document.text
    }

    fn element(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Self)) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push_str(attributes);
        self.text.push('>');
        content(self);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// An element with elements in it.
    pub(crate) fn nest(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.element(name, "", content);
    }

    /// An element that says its type, as grantees do.
    pub(crate) fn typed(&mut self, name: &str, kind: &str, content: impl FnOnce(&mut Self)) {
        let attributes = format!(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\"");
        self.element(name, &attributes, content);
    }

    /// An element with text in it.
    pub(crate) fn text(&mut self, name: &str, value: impl AsRef<str>) {
        self.element(name, "", |document| document.escape(value.as_ref()));
    }

    /// An element with a number in it.
    pub(crate) fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.element(name, "", |document| document.text.push_str(&value.to_string()));
    }

    /// Text on its own. Characters that XML 1.0 cannot hold are written as references all the same, as S3
    /// does: who lists such keys asks for `encoding-type=url`.
    pub(crate) fn escape(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                control if (control as u32) < 0x20 && control != '\t' => {
                    self.text.push_str(&format!("&#x{:x};", control as u32));
                }
                other => self.text.push(other),
            }
        }
    }
}
