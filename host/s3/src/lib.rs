//! The S3 protocol: requests in, calls on the gateway out, answers and errors in S3's words.

mod auth;
mod error;
mod payload;
mod router;
mod uri;

pub use auth::{Account, Credentials, Secret};
pub use error::{Code, S3Error};
