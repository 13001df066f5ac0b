//! Who a request turned out to come from, with what its body is bound to.

use crate::auth::credentials::Account;
use crate::auth::signing::{ALGORITHM, SigningKey};
use sallyport_core::access::{Signature, SignaturePlace};
use sallyport_core::names::AccountId;
use time::OffsetDateTime;

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
    /// What policies may ask of the signature; `None` when there is none.
    pub(crate) signature: Option<Signature>,
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
            signature: None,
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
            signature: None,
        }
    }

    /// With a signature of the version 2, which was made at this time if it says so.
    pub(crate) fn signed_v2(self, place: SignaturePlace, made: Option<OffsetDateTime>) -> Self {
        Self { signature: Some(Signature { version: "AWS", place, made }), ..self }
    }

    /// With a signature of the version 4.
    pub(crate) fn signed_v4(self, place: SignaturePlace, made: Option<OffsetDateTime>) -> Self {
        Self { signature: Some(Signature { version: ALGORITHM, place, made }), ..self }
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
