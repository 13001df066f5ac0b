//! The account of AWS's published examples, for tests and the fuzzer.

use crate::auth::signing::{Credential, SigningKey};
use crate::auth::{Account, Credentials, Person, Secret, SeedSignature};
use sallyport_core::names::AccountId;

/// Its access key.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Knows this account and no other.
pub(crate) struct Example;

impl Credentials for Example {
    fn lookup(&self, access_key: &str) -> Option<Account> {
        (access_key == ACCESS_KEY).then(|| Account {
            id: AccountId::new("example"),
            short_id: "123456789012".into(),
            display_name: "example".into(),
            secret: Secret::new(SECRET),
        })
    }

    fn account(&self, _: &AccountId) -> Option<Person> {
        None
    }

    fn by_email(&self, _: &str) -> Option<Person> {
        None
    }
}

/// The start of a chain of its signatures.
pub(crate) fn seed(time: &str, signature: &str) -> SeedSignature {
    let credential = Credential {
        access_key: ACCESS_KEY.into(),
        date: "20130524".into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    };
    SeedSignature {
        key: SigningKey::derive(&Secret::new(SECRET), &credential),
        time: time.into(),
        scope: credential.scope(),
        signature: signature.into(),
    }
}
