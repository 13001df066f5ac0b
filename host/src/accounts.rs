//! The accounts' keys, as the front asks for them; replaced as a whole when their file changed.

use crate::config::Configuration;
use arc_swap::ArcSwap;
use sallyport_core::names::AccountId;
use sallyport_s3::{Account, Credentials, Person};
use std::collections::HashMap;
use std::sync::Arc;

/// Who may sign; reading is free of locks.
pub struct Accounts(ArcSwap<Known>);

struct Known {
    keys: HashMap<String, Account>,
    /// Each account once, with its address.
    people: Vec<(Person, String)>,
}

impl Accounts {
    /// The accounts of a configuration.
    pub fn new(configuration: &Configuration) -> Self {
        Self(ArcSwap::from_pointee(Known::new(configuration)))
    }

    /// Takes over only what is not new: keys that another configuration has not, or as other
    /// accounts' keys, sign nothing from now on, and those with other secrets by these alone.
    pub fn revoke(&self, configuration: &Configuration) {
        let before = self.0.load();
        let mut known = Known::new(configuration);
        known.keys.retain(|key, account| before.keys.get(key).is_some_and(|old| old.id == account.id));
        self.0.store(Arc::new(known));
    }

    /// Takes over the accounts of another one: keys that are gone sign nothing from now on.
    pub fn change(&self, configuration: &Configuration) {
        self.0.store(Arc::new(Known::new(configuration)));
    }
}

impl Known {
    fn new(configuration: &Configuration) -> Self {
        let keys = configuration.accounts.iter().flat_map(|account| {
            account.keys.iter().map(|key| {
                let known = Account {
                    id: AccountId::new(account.canonical_id.clone()),
                    short_id: account.short_id.clone(),
                    display_name: account.name.clone(),
                    secret: sallyport_s3::Secret::new(key.secret.reveal()),
                };
                (key.access.clone(), known)
            })
        });
        let people = configuration.accounts.iter().map(|account| {
            let person = Person {
                id: AccountId::new(account.canonical_id.clone()),
                short_id: account.short_id.clone(),
                display_name: account.name.clone(),
            };
            (person, account.email.clone())
        });
        Self { keys: keys.collect(), people: people.collect() }
    }
}

impl Credentials for Accounts {
    fn lookup(&self, access_key: &str) -> Option<Account> {
        self.0.load().keys.get(access_key).cloned()
    }

    fn account(&self, id: &AccountId) -> Option<Person> {
        let known = self.0.load();
        known.people.iter().map(|(person, _)| person).find(|person| person.id == *id).cloned()
    }

    fn by_email(&self, email: &str) -> Option<Person> {
        let known = self.0.load();
        let found = known.people.iter().find(|(_, own)| own.eq_ignore_ascii_case(email));
        found.map(|(person, _)| person.clone())
    }
}
