//! Fills the pages of a listing, where the backend's own are of another size or are none.

use crate::listing::{Entry, ListResponse};

/// One page that is being filled, in the backend's order.
///
/// Whoever fills it walks from where its cursor says and stops when [`Page::push`] refuses an entry: that one, and all
/// behind it, are for later pages.
#[derive(Debug)]
pub struct Page {
    limit: usize,
    entries: Vec<Entry>,
    /// Something did not fit.
    goes_on: bool,
}

impl Page {
    /// An empty page of at most `limit` entries, one at least.
    pub fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX).max(1), entries: Vec::new(), goes_on: false }
    }

    /// Adds an entry; `false` when the page is full, and the entry was left out.
    pub fn push(&mut self, entry: Entry) -> bool {
        if self.entries.len() >= self.limit {
            self.goes_on = true;
            return false;
        }
        self.entries.push(entry);
        true
    }

    /// How many entries fit still.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.entries.len())
    }

    /// The answer. Its cursor is made of the last entry, and there is none on the last page.
    pub fn finish(self, cursor: impl FnOnce(&Entry) -> String) -> ListResponse {
        let last = self.entries.last().filter(|_| self.goes_on);
        ListResponse { cursor: last.map(cursor), entries: self.entries, attributes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(names: &[&str], limit: u32, after: Option<&str>) -> (Vec<String>, Option<String>) {
        let mut page = Page::new(limit);
        let behind = names.iter().filter(|name| after.is_none_or(|after| **name > after));
        for name in behind {
            let entry = Entry {
                name: (*name).to_owned(),
                locator: Vec::new(),
                size: 0,
                last_modified: None,
                write_id: None,
                attributes: Vec::new(),
            };
            if !page.push(entry) {
                break;
            }
        }
        let answer = page.finish(|last| last.name.clone());
        (answer.entries.into_iter().map(|entry| entry.name).collect(), answer.cursor)
    }

    #[test]
    fn pages_show_everything_once_and_the_last_one_has_no_cursor() {
        let names = ["a", "b", "c", "d"];
        for limit in 0..6 {
            let (mut all, mut cursor) = walk(&names, limit, None);
            while let Some(after) = cursor {
                let (more, next) = walk(&names, limit, Some(&after));
                assert!(!more.is_empty());
                all.extend(more);
                cursor = next;
            }
            assert_eq!(all, names, "{limit}");
        }
        assert_eq!(walk(&names, 4, None).1, None, "a page that is just full is the last one");
        assert_eq!(walk(&[], 4, None), (Vec::new(), None));
    }
}
