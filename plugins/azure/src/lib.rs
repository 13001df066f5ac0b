//! The plugin for locations of the type `azure`: block blobs in one container.
#![allow(dead_code)]

mod details;
mod endpoint;
mod names;
mod locator;
mod projection;
