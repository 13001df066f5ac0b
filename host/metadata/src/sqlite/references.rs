//! Bytes that several versions share: who is the last to refer to them frees them.

use super::rows::{number, to_json};
use super::statement::Query;
use super::writer::Transaction;
use sallyport_core::metadata::{MetadataError, MetadataResult, Segment};
use sallyport_core::names::WriteId;

/// Whether bytes that were stored before are kept: something refers to them, or their deletion
/// has not begun (see [`super::jobs::Claim`]), and does not once something does.
pub(super) fn are_kept<'s>(
    transaction: &mut Transaction<'_>,
    segments: impl Iterator<Item = &'s Segment>,
) -> MetadataResult<()> {
    let of = |segment: &Segment| (segment.location.as_str().to_owned(), hex::encode(&segment.locator.0));
    let wanted: Vec<_> = segments.map(of).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let sql = "SELECT count(*) AS gone
        FROM (SELECT value ->> 0 AS location, unhex(value ->> 1) AS locator FROM json_each($1)) e
        WHERE NOT EXISTS (SELECT 1 FROM segment s WHERE s.location = e.location AND s.locator = e.locator)
        AND NOT EXISTS (SELECT 1 FROM part p WHERE p.locator IS NOT NULL AND p.location = e.location
            AND p.locator = e.locator)
        AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 0 AND j.owner = 0 AND j.attempts = 0
            AND j.location = e.location AND j.locator = e.locator)";
    let row = transaction.row(Query::of(sql).bind(to_json(&wanted)?))?;
    match row.map(|row| number(&row, "gone")).transpose()? {
        Some(0) => Ok(()),
        _ => Err(MetadataError::Gone("a part of the bytes")),
    }
}

/// The locators of bytes that were there before the write, if there are any.
pub(super) fn shared(write: &WriteId, segments: &[Segment]) -> MetadataResult<Option<String>> {
    let of_others = segments.iter().filter(|segment| segment.write_id != *write);
    let locators: Vec<_> = of_others.map(|segment| hex::encode(&segment.locator.0)).collect();
    if locators.is_empty() { Ok(None) } else { to_json(&locators).map(Some) }
}
