//! XML in both directions.

mod read;
mod write;

pub(crate) use read::{Element, malformed};
pub(crate) use write::{DECLARATION, Document};
