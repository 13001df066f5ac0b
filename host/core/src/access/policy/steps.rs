//! How much may be compared for one decision.

use std::cell::Cell;

/// Characters that one decision may look at. A policy has 20 KB and a request a few: a
/// decision that people mean takes some thousands.
const MOST: usize = 4 << 20;

/// What is left of it. Whoever writes a policy may write one that a long header makes
/// expensive; the server serves others, too.
#[derive(Debug)]
pub(crate) struct Steps(Cell<usize>);

impl Default for Steps {
    fn default() -> Self {
        Self(Cell::new(MOST))
    }
}

impl Steps {
    /// Takes some; `false` when there are not so many left, and none are from then on.
    pub(super) fn take(&self, count: usize) -> bool {
        let left = self.0.get().checked_sub(count);
        self.0.set(left.unwrap_or_default());
        left.is_some_and(|left| left > 0)
    }

    /// Whether something could not be compared.
    pub(super) fn are_spent(&self) -> bool {
        self.0.get() == 0
    }
}
