//! Who a request turned out to come from, with what its body is bound to.

use crate::auth::credentials::Account;
use crate::auth::signing::SigningKey;
use sallyport_core::names::AccountId;

/// The verified sender of a request.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The account.
    pub(crate) account: AccountId,
    /// The twelve digits of the account's ARN.
    pub(crate) short_id: String,
    /// The account's name.
    pub(crate) display_name: String,
    /// What the signature says of the body (`x-amz-content-sha256`); `None` under SigV2.
    pub(crate) payload: Option<String>,
    /// Where the chain of chunk signatures begins; `None` under SigV2.
    pub(crate) seed: Option<SeedSignature>,
}

impl From<Account> for Identity {
    /// Somebody whose signature says nothing of the body.
    fn from(account: Account) -> Self {
        Self {
            account: account.id,
            short_id: account.short_id,
            display_name: account.display_name,
            payload: None,
            seed: None,
        }
    }
}

impl Identity {
    /// Who did not sign.
    pub(crate) fn anonymous() -> Self {
        Self {
            account: AccountId::anonymous(),
            short_id: String::new(),
            display_name: String::new(),
            payload: None,
            seed: None,
        }
    }

    /// Whether nobody signed.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.account.is_anonymous()
    }
}

/// The start of a chain of chunk signatures.
#[derive(Debug, Clone)]
pub(crate) struct SeedSignature {
    pub(crate) key: SigningKey,
    pub(crate) time: String,
    pub(crate) scope: String,
    pub(crate) signature: String,
}
