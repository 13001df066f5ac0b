//! [Access control lists](https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html)
//! of buckets and objects.

use super::{Action, Caller};
use crate::logging::LOG_DELIVERY;
use crate::names::AccountId;
use serde::{Deserialize, Serialize};

/// Most grants of one list.
pub const MAX_GRANTS: usize = 100;

/// Who may do what beyond what policies say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessControlList {
    /// Whose it is.
    pub owner: AccountId,
    /// In the order they were given.
    pub grants: Vec<Grant>,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

/// To whom something is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grantee {
    /// An account.
    Account(AccountId),
    /// Everybody, without a signature too.
    AllUsers,
    /// Everybody who signs.
    AuthenticatedUsers,
    /// Who writes [access logs](https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html).
    LogDelivery,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// All of the others.
    FullControl,
    /// Lists a bucket; reads an object.
    Read,
    /// Writes and deletes a bucket's objects.
    Write,
    /// Reads the list itself.
    ReadAcp,
    /// Replaces the list.
    WriteAcp,
}

/// What a request asks a list to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedAcl {
    /// `x-amz-acl`.
    Canned(CannedAcl),
    /// `x-amz-grant-*`: these and no others.
    Grants(Vec<Grant>),
    /// A whole list, with the owner that it names.
    List(AccessControlList),
}

/// Lists that have a [name](https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannedAcl {
    /// `private`.
    Private,
    /// `public-read`.
    PublicRead,
    /// `public-read-write`.
    PublicReadWrite,
    /// `authenticated-read`.
    AuthenticatedRead,
    /// `bucket-owner-read`.
    BucketOwnerRead,
    /// `bucket-owner-full-control`.
    BucketOwnerFullControl,
    /// `log-delivery-write`.
    LogDeliveryWrite,
}

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Bucket,
    Object,
}

impl Permission {
    fn covers(self, wanted: Self) -> bool {
        self == Self::FullControl || self == wanted
    }
}

impl Grantee {
    fn is(&self, caller: &Caller, wanted: Permission) -> bool {
        match self {
            // Whoever did not sign may be anybody: who wrote something reads it, and changes nothing.
            Self::Account(account) if account.is_anonymous() => caller.is_anonymous() && wanted == Permission::Read,
            Self::Account(account) => *account == caller.account,
            Self::AllUsers => true,
            Self::AuthenticatedUsers => caller.is_account(),
            Self::LogDelivery => caller.is_service(LOG_DELIVERY),
        }
    }

    /// Whether people of whom nothing is known are meant; everybody who does not sign is one account.
    pub(crate) fn is_public(&self) -> bool {
        match self {
            Self::AllUsers | Self::AuthenticatedUsers => true,
            Self::Account(account) => account.is_anonymous(),
            Self::LogDelivery => false,
        }
    }
}

impl CannedAcl {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "private" => Self::Private,
            "public-read" => Self::PublicRead,
            "public-read-write" => Self::PublicReadWrite,
            "authenticated-read" => Self::AuthenticatedRead,
            "bucket-owner-read" => Self::BucketOwnerRead,
            "bucket-owner-full-control" => Self::BucketOwnerFullControl,
            "log-delivery-write" => Self::LogDeliveryWrite,
            _ => return None,
        })
    }

    fn grants(self, owner: &AccountId, bucket_owner: &AccountId) -> Vec<(Grantee, Permission)> {
        let bucket_owner = |permission| {
            if owner == bucket_owner { Vec::new() } else { vec![(Grantee::Account(bucket_owner.clone()), permission)] }
        };
        match self {
            Self::Private => Vec::new(),
            Self::PublicRead => vec![(Grantee::AllUsers, Permission::Read)],
            Self::PublicReadWrite => {
                vec![(Grantee::AllUsers, Permission::Read), (Grantee::AllUsers, Permission::Write)]
            }
            Self::AuthenticatedRead => vec![(Grantee::AuthenticatedUsers, Permission::Read)],
            Self::BucketOwnerRead => bucket_owner(Permission::Read),
            Self::BucketOwnerFullControl => bucket_owner(Permission::FullControl),
            Self::LogDeliveryWrite => {
                vec![(Grantee::LogDelivery, Permission::Write), (Grantee::LogDelivery, Permission::ReadAcp)]
            }
        }
    }
}

impl RequestedAcl {
    /// The list that it makes of something of `owner` in a bucket of `bucket_owner`.
    pub(crate) fn resolve(&self, owner: &AccountId, bucket_owner: &AccountId) -> AccessControlList {
        match self {
            Self::Canned(canned) => {
                let mut list = AccessControlList::private(owner.clone());
                let grants = canned.grants(owner, bucket_owner).into_iter();
                list.grants.extend(grants.map(|(grantee, permission)| Grant { grantee, permission }));
                list
            }
            Self::Grants(grants) => AccessControlList { owner: owner.clone(), grants: grants.clone() },
            Self::List(list) => AccessControlList { owner: owner.clone(), grants: list.grants.clone() },
        }
    }

    /// Whether it is what buckets without lists still accept: the bucket owner has everything.
    pub(crate) fn is_bucket_owners(&self) -> bool {
        *self == Self::Canned(CannedAcl::BucketOwnerFullControl)
    }
}

impl AccessControlList {
    /// The owner may do everything, and nobody else anything.
    pub fn private(owner: AccountId) -> Self {
        let grant = Grant { grantee: Grantee::Account(owner.clone()), permission: Permission::FullControl };
        Self { owner, grants: vec![grant] }
    }

    /// Whether it is the list that everything has at first.
    pub(crate) fn is_private(&self) -> bool {
        *self == Self::private(self.owner.clone())
    }

    /// Whether it grants something to people of whom nothing is known.
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| grant.grantee.is_public())
    }

    /// Whether the list lets the caller do something; public grants may count for nothing.
    pub(crate) fn allows(&self, caller: &Caller, of: Of, action: Action, ignores_public: bool) -> bool {
        let Some(wanted) = permission(of, action) else { return false };
        let is_owner = self.owner == caller.account && caller.is_account();
        if is_owner && matches!(wanted, Permission::ReadAcp | Permission::WriteAcp) {
            return true;
        }
        let mut grants = self.grants.iter().filter(|grant| !(ignores_public && grant.grantee.is_public()));
        grants.any(|grant| grant.permission.covers(wanted) && grant.grantee.is(caller, wanted))
    }
}

/// What an action takes of a
/// [list](https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#acl-access-policy-permission-mapping);
/// `None` for what no list grants.
fn permission(of: Of, action: Action) -> Option<Permission> {
    Some(match (of, action) {
        (Of::Bucket, Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads) => {
            Permission::Read
        }
        (Of::Bucket, Action::PutObject | Action::DeleteObject) => Permission::Write,
        (Of::Bucket, Action::GetBucketAcl) => Permission::ReadAcp,
        (Of::Bucket, Action::PutBucketAcl) => Permission::WriteAcp,
        (Of::Object, Action::GetObject | Action::GetObjectVersion) => Permission::Read,
        (Of::Object, Action::GetObjectAttributes | Action::GetObjectVersionAttributes) => Permission::Read,
        (Of::Object, Action::GetObjectAcl | Action::GetObjectVersionAcl) => Permission::ReadAcp,
        (Of::Object, Action::PutObjectAcl | Action::PutObjectVersionAcl) => Permission::WriteAcp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> AccountId {
        AccountId::new(id)
    }

    fn caller(id: &str) -> Caller {
        Caller::of_account(account(id))
    }

    #[test]
    fn canned_lists_grant_what_their_names_say() {
        let resolve = |canned| RequestedAcl::Canned(canned).resolve(&account("writer"), &account("owner"));
        let reads = |list: &AccessControlList, id| list.allows(&caller(id), Of::Object, Action::GetObject, false);
        let changes = |list: &AccessControlList, id| list.allows(&caller(id), Of::Object, Action::PutObjectAcl, false);
        for (canned, reader, owner_reads, owner_changes) in [
            (CannedAcl::Private, false, false, false),
            (CannedAcl::PublicRead, true, true, false),
            (CannedAcl::AuthenticatedRead, true, true, false),
            (CannedAcl::BucketOwnerRead, false, true, false),
            (CannedAcl::BucketOwnerFullControl, false, true, true),
        ] {
            let list = resolve(canned);
            assert!(reads(&list, "writer") && changes(&list, "writer"), "{canned:?}");
            assert_eq!(reads(&list, "reader"), reader, "{canned:?}");
            assert_eq!(reads(&list, "owner"), owner_reads, "{canned:?}");
            assert_eq!(changes(&list, "owner"), owner_changes, "{canned:?}");
        }
    }

    #[test]
    fn public_grants_can_be_ignored() {
        let list = RequestedAcl::Canned(CannedAcl::PublicReadWrite).resolve(&account("a"), &account("a"));
        assert!(list.allows(&caller("b"), Of::Bucket, Action::PutObject, false));
        assert!(!list.allows(&caller("b"), Of::Bucket, Action::PutObject, true));
        assert!(list.allows(&caller("a"), Of::Bucket, Action::PutObject, true));
    }

    #[test]
    fn what_nobody_signed_is_read_by_everybody_unless_public_grants_are_ignored() {
        let nobody = AccountId::anonymous();
        let list = AccessControlList::private(nobody.clone());
        let anonymous = Caller::of_account(nobody);
        assert!(list.is_public());
        assert!(list.allows(&anonymous, Of::Object, Action::GetObject, false));
        assert!(!list.allows(&anonymous, Of::Object, Action::GetObject, true));
        for action in [Action::PutObjectAcl, Action::GetObjectAcl] {
            assert!(!list.allows(&anonymous, Of::Object, action, false), "{action:?}");
        }
    }

    #[test]
    fn an_owner_without_grants_still_changes_the_list() {
        let list = RequestedAcl::Grants(Vec::new()).resolve(&account("a"), &account("a"));
        assert!(!list.allows(&caller("a"), Of::Object, Action::GetObject, false));
        assert!(list.allows(&caller("a"), Of::Object, Action::PutObjectAcl, false));
        assert!(!list.allows(&caller("b"), Of::Object, Action::PutObjectAcl, false));
    }
}
