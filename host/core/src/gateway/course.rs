//! Sees to it that a listing comes to an end: the pages of a plugin may lead round in circles, or nowhere.

use crate::backend::{BackendError, StoredPage};

/// Pages without an entry, one after the other, that a listing may have. Backends answer some
/// where they filter.
const EMPTY: u32 = 1_000;

/// The way of one listing, as far as it was followed. It remembers one cursor, however many
/// there were.
#[derive(Default)]
pub(super) struct Course {
    /// A cursor of a while ago: in a circle it comes again.
    mark: Option<String>,
    /// Pages since then, and how many there may be before another one is taken (Brent's way).
    since: u64,
    until: u64,
    empty: u32,
}

impl Course {
    /// Takes note of the next page.
    ///
    /// # Errors
    /// `Broke` when it leads back to where the listing was, or when there are only pages
    /// without entries.
    pub(super) fn follow(&mut self, page: &StoredPage) -> Result<(), BackendError> {
        self.empty = if page.entries.is_empty() { self.empty + 1 } else { 0 };
        if self.empty > EMPTY && page.cursor.is_some() {
            return Err(BackendError::Broke(format!("its listing goes on for {EMPTY} pages without an entry")));
        }
        let Some(cursor) = &page.cursor else { return Ok(()) };
        if self.mark.as_ref() == Some(cursor) {
            return Err(BackendError::Broke("its listing goes round in circles".to_owned()));
        }
        self.since += 1;
        if self.since > self.until {
            self.mark = Some(cursor.clone());
            (self.since, self.until) = (0, (self.until * 2).max(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Locator, StoredEntry};

    fn page(entries: usize, cursor: Option<u32>) -> StoredPage {
        let entry =
            StoredEntry { name: "k".into(), locator: Locator(vec![1]), size: 0, last_modified: None, write_id: None };
        StoredPage { entries: vec![entry; entries], cursor: cursor.map(|number| number.to_string()) }
    }

    /// Pages until one is refused; at most a hundred thousand.
    fn followed(entries: usize, cursors: impl Iterator<Item = u32>) -> usize {
        let mut course = Course::default();
        cursors.take(100_000).take_while(|cursor| course.follow(&page(entries, Some(*cursor))).is_ok()).count()
    }

    #[test]
    fn a_listing_that_moves_on_is_followed_to_its_end() {
        assert_eq!(followed(1, 0..), 100_000);
        assert!(Course::default().follow(&page(0, None)).is_ok());
    }

    #[test]
    fn a_circle_of_any_length_is_noticed_behind_any_beginning() {
        for (beginning, length) in [(0, 1), (0, 2), (3, 2), (10, 7), (1_000, 999), (0, 10_000)] {
            let circle = (0..beginning).chain((beginning..beginning + length).cycle());
            let pages = followed(1, circle);
            assert!(pages <= 4 * (beginning + length) as usize + 4, "{beginning} {length}: {pages} pages");
        }
    }

    #[test]
    fn pages_without_entries_have_an_end() {
        assert_eq!(followed(0, 0..), EMPTY as usize);
    }
}
