//! The key service of an operator who has one: data keys are wrapped there, and what the
//! embedded keys wrapped before still opens.

use super::aws_kms::{AwsKms, AwsKmsOptions};
use super::{AWS_KEY, EmbeddedKeys};
use async_trait::async_trait;
use sallyport_core::encryption::{DataKey, KeyError, KeyService, S3_KEY, WrappedKey};
use serde_json::Value;

/// The version of what is wrapped outside; versions of embedded keys begin at 1.
const OUTSIDE: u32 = 0;
/// The context of a data key for which no client named one: AWS's log shows whose it is.
const PURPOSE: &str = "sallyport";

/// [`KeyService`] on an external KMS.
pub struct ExternalKeys {
    service: AwsKms,
    /// The key for SSE-S3, and for SSE-KMS where nobody names one.
    default_key: String,
    /// Opens what was wrapped before.
    embedded: EmbeddedKeys,
}

impl ExternalKeys {
    /// The service. Nobody is asked before a key is needed.
    ///
    /// # Errors
    /// When the system's authorities cannot be read.
    pub fn new(options: AwsKmsOptions, default_key: String, embedded: EmbeddedKeys) -> Result<Self, KeyError> {
        Ok(Self { service: AwsKms::new(options)?, default_key, embedded })
    }

    fn key<'a>(&'a self, name: &'a str) -> &'a str {
        let is_default = name == S3_KEY || name.strip_prefix("alias/").unwrap_or(name) == AWS_KEY;
        if is_default { &self.default_key } else { name }
    }
}

#[async_trait]
impl KeyService for ExternalKeys {
    async fn wrap(&self, name: &str, key: &DataKey, context: &str) -> Result<WrappedKey, KeyError> {
        let bytes = self.service.encrypt(self.key(name), key.reveal(), bound(name, context)).await?;
        Ok(WrappedKey { version: OUTSIDE, bytes })
    }

    async fn unwrap(&self, name: &str, wrapped: &WrappedKey, context: &str) -> Result<DataKey, KeyError> {
        if wrapped.version != OUTSIDE {
            return self.embedded.unwrap(name, wrapped, context).await;
        }
        let opened = self.service.decrypt(self.key(name), &wrapped.bytes, bound(name, context)).await?;
        DataKey::from_bytes(&opened).ok_or_else(|| KeyError::Unreadable(name.to_owned()))
    }

    /// Which version of its own key wrapped something is the service's affair.
    async fn is_current(&self, _: &str, wrapped: &WrappedKey) -> Result<bool, KeyError> {
        Ok(wrapped.version == OUTSIDE)
    }
}

/// The encryption context: the client's own pairs, and what tells apart whom it was wrapped for.
fn bound(name: &str, context: &str) -> Value {
    let mut pairs = match serde_json::from_str(context) {
        Ok(Value::Object(pairs)) => pairs,
        _ => serde_json::Map::new(),
    };
    pairs.insert(PURPOSE.to_owned(), name.into());
    Value::Object(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_context_has_the_clients_pairs_and_ours() {
        assert_eq!(bound("k", ""), json!({ "sallyport": "k" }));
        assert_eq!(bound("k", "{\"a\":\"b\"}"), json!({ "a": "b", "sallyport": "k" }));
        assert_eq!(bound("k", "{\"sallyport\":\"x\"}"), json!({ "sallyport": "k" }), "nobody passes for another");
    }
}
