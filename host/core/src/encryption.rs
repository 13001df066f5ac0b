//! Server-side encryption: what clients ask for, the format of sealed bytes, and the port to keys.

mod chunks;
mod keys;
mod model;
mod open;
mod parameters;
mod seal;

pub use chunks::{CHUNK, Position, RunCipher, TAG, sealed_size};
pub use keys::{CipherFailure, CustomerKey, DataKey, KeyError, KeyService, NoKeys, WrappedKey, WrappingKey};
pub use model::{BucketEncryption, BucketMethod, Method, ObjectEncryption, S3_KEY, SealedRun};
pub use open::{Plan, open};
pub use parameters::{CustomerParameters, EncryptionParameters, EncryptionRefusal, Requested};
pub use seal::{seal, seal_whole};

#[cfg(test)]
mod tests;
