//! The S3 protocol: requests in, calls on the gateway out, answers and errors in S3's words.

pub mod auth;
mod error;
mod uri;

pub use error::{Code, S3Error};
