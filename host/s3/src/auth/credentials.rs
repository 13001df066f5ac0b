//! Who may come in: accounts, and the secrets that they sign with.

use sallyport_core::names::AccountId;
use std::fmt;

/// Finds accounts by access key.
pub trait Credentials: Send + Sync {
    /// The account that owns the key, with the key's secret.
    fn lookup(&self, access_key: &str) -> Option<Account>;
    /// Who has this canonical id.
    fn account(&self, id: &AccountId) -> Option<Person>;
    /// Who has this address.
    fn by_email(&self, email: &str) -> Option<Person>;
}

/// An account, as one of its access keys finds it.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its canonical id.
    pub id: AccountId,
    /// The twelve digits of its ARN.
    pub short_id: String,
    /// The name shown as owner.
    pub display_name: String,
    /// What the access key signs with.
    pub secret: Secret,
}

/// An account as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Its canonical id.
    pub id: AccountId,
    /// The twelve digits of its ARN.
    pub short_id: String,
    /// The name shown as owner or grantee.
    pub display_name: String,
}

/// A secret access key; never shown, not even to a debugger's formatter.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret from where it is kept.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for signing.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}
