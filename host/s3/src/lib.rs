//! The S3 protocol: requests in, calls on the gateway out, answers and errors in S3's words.

mod service;

mod access;
mod auth;
mod dates;
mod drain;
mod error;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod log_line;
mod ops;
mod payload;
mod refusal;
mod router;
mod tally;
mod uri;
mod xml;

pub use auth::{Account, Credentials, Person, Secret};
pub use error::{Code, S3Error};
pub use service::{S3Options, S3Service};
