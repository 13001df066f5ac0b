//! Walks keys in byte order and folds what shares a prefix up to a delimiter.

/// Most rows that a page asks for at once.
const MOST_ROWS: usize = 1001;
/// Rows to ask for when nearly all of them are folded away.
const FEWEST_ROWS: usize = 16;

/// Where the next row is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// At this key or behind it.
    From(Vec<u8>),
    /// At this key, behind the row that was there last.
    Within(Vec<u8>),
}

/// What a row is in the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Folded into a prefix that was shown.
    Hidden,
    /// A line of its own.
    Line,
    /// The first one of a common prefix.
    Prefix(String),
}

/// A walk through one page.
#[derive(Debug)]
pub(super) struct Walk {
    prefix: Vec<u8>,
    delimiter: Option<Vec<u8>>,
    position: Position,
    rows: usize,
    shown: usize,
}

impl Walk {
    /// Starts behind `after` and all that is folded with it. With `within` the walk starts
    /// at the key `after` itself, unless that is folded.
    pub(super) fn start(prefix: &str, delimiter: Option<&str>, after: Option<&str>, within: bool) -> Self {
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty()).map(|it| it.as_bytes().to_vec());
        let prefix = prefix.as_bytes().to_vec();
        let mut walk = Self { prefix, delimiter, position: Position::From(Vec::new()), rows: 0, shown: 0 };
        walk.rows = if walk.delimiter.is_some() { FEWEST_ROWS * 4 } else { MOST_ROWS };
        walk.position = match after {
            Some(after) if after.as_bytes() >= walk.prefix.as_slice() => walk.behind(after.as_bytes(), within),
            _ => Position::From(walk.prefix.clone()),
        };
        walk
    }

    fn behind(&self, after: &[u8], within: bool) -> Position {
        match self.fold(after) {
            Some(folded) => Position::From(beyond(folded)),
            None if within => Position::Within(after.to_vec()),
            None => Position::From(next(after)),
        }
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// First key that is not in the page any more.
    pub(super) fn end(&self) -> Vec<u8> {
        beyond(&self.prefix)
    }

    /// How many rows to ask for, when the page takes `wanted` more lines.
    pub(super) fn rows(&self, wanted: usize) -> usize {
        if self.delimiter.is_some() { self.rows } else { self.rows.min(wanted.saturating_add(1)) }
    }

    /// Judges a row; rows come in the order of their keys.
    pub(super) fn judge(&mut self, key: &[u8]) -> Verdict {
        if let Position::From(from) = &self.position
            && key < from.as_slice()
        {
            return Verdict::Hidden;
        }
        self.shown += 1;
        let folded = self.fold(key).map(|folded| (beyond(folded), String::from_utf8_lossy(folded).into_owned()));
        match folded {
            Some((beyond, prefix)) => {
                self.position = Position::From(beyond);
                Verdict::Prefix(prefix)
            }
            None => {
                self.position = Position::Within(key.to_vec());
                Verdict::Line
            }
        }
    }

    /// Ends a batch that began within a key or not: whether there may be more rows when `came`
    /// of those that were `asked` for came.
    pub(super) fn goes_on(&mut self, was_within: bool, asked: usize, came: usize) -> bool {
        self.rows = (self.shown * 4).clamp(FEWEST_ROWS, MOST_ROWS);
        self.shown = 0;
        if came >= asked {
            return true;
        }
        if let (true, Position::Within(key)) = (was_within, &self.position) {
            // Nothing is left of that key; others follow.
            self.position = Position::From(next(key));
        }
        was_within
    }

    /// What a key is folded into.
    fn fold<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.strip_prefix(self.prefix.as_slice())?;
        let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len())
    }
}

/// Greater than every key that starts so, since no UTF-8 holds the byte 255.
pub(super) fn beyond(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[0xFF]].concat()
}

/// The least bytes greater than a key.
pub(super) fn next(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
