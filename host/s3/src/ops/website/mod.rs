//! Websites: their configuration, and the pages that visitors get.

pub(crate) mod configuration;
mod pages;

pub(crate) use configuration::{delete, get, put};
pub(crate) use pages::visit;
