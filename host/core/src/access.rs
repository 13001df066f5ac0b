//! Who may do what: callers, actions, policies, access control lists.

mod acl;
mod action;
mod caller;
mod ownership;
mod policy;

pub(crate) use acl::Of;
pub use acl::{AccessControlList, CannedAcl, Grant, Grantee, MAX_GRANTS, Permission, RequestedAcl};
pub use action::Action;
pub use caller::{Caller, RequestContext, ServiceCall, Signature, SignaturePlace};
pub use ownership::{ObjectOwnership, PublicAccessBlock};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use policy::fuzz;
pub(crate) use policy::{Facts, Request, Steps};
pub use policy::{MalformedPolicy, Policy, Verdict};
