//! Browser forms: what a `multipart/form-data` body says before its file.

mod fields;
mod policy;
mod reader;
mod spool;

pub(crate) use fields::Fields;
pub(crate) use policy::Policy;
pub(crate) use reader::{Form, Part};
pub(crate) use spool::Spool;
