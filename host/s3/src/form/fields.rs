//! The fields of a form, whose names are case-insensitive.

/// What replaces the name of the uploaded file.
const FILE_NAME: &str = "${filename}";

/// Fields in the order they came, their names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a field.
    pub(crate) fn push(&mut self, name: &str, value: String) {
        self.0.push((name.to_ascii_lowercase(), value));
    }

    /// The first value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// The name of a field that is there more than once, if one is.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let mut fields = self.0.iter().enumerate();
        let earlier = |index: usize, name: &str| self.0.iter().take(index).any(|(other, _)| other == name);
        fields.find(|(index, (name, _))| earlier(*index, name)).map(|(_, (name, _))| name.as_str())
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts the file's name where `${filename}` stands. Browsers may send a whole path, of
    /// which the last part is the name.
    pub(crate) fn expand(&mut self, file_name: &str) {
        let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        for (field, value) in &mut self.0 {
            // What is signed stays as it was signed.
            if field != "policy" && value.contains(FILE_NAME) {
                *value = value.replace(FILE_NAME, name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_to_the_files_name() {
        for path in ["C:\\Program Files\\a b.txt", "/home/me/a b.txt", "a b.txt"] {
            let mut fields = Fields::default();
            fields.push("Key", "user/${filename}".to_owned());
            fields.push("policy", "${filename}".to_owned());
            fields.expand(path);
            assert_eq!(fields.value("key"), Some("user/a b.txt"));
            assert_eq!(fields.value("policy"), Some("${filename}"));
        }
    }
}
