//! Access control lists: of buckets and objects, as documents and as headers.

use crate::auth::{Credentials, Head};
use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::access::{AccessControlList, CannedAcl, Grant, Grantee, MAX_GRANTS, Permission, RequestedAcl};
use sallyport_core::body::Body;
use sallyport_core::names::AccountId;

/// A list's document, in bytes.
const MAX_DOCUMENT: u64 = 128 << 10;
const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

const GRANT_HEADERS: [(&str, Permission); 5] = [
    ("x-amz-grant-read", Permission::Read),
    ("x-amz-grant-write", Permission::Write),
    ("x-amz-grant-read-acp", Permission::ReadAcp),
    ("x-amz-grant-write-acp", Permission::WriteAcp),
    ("x-amz-grant-full-control", Permission::FullControl),
];

/// GetBucketAcl.
pub(crate) async fn bucket(call: &Call) -> Result<Answer, S3Error> {
    let list = call.gateway.bucket_acl(&call.caller, &call.bucket()?).await?;
    Ok(answer::xml(document(call, &list)))
}

/// PutBucketAcl.
pub(crate) async fn set_bucket(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let acl = requested(call, body).await?;
    call.gateway.set_bucket_acl(&call.caller, &call.bucket()?, &acl).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetObjectAcl.
pub(crate) async fn object(call: &Call) -> Result<Answer, S3Error> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let (list, version) = call.gateway.object_acl(&call.caller, &bucket, &key, call.version()?).await?;
    let mut answer = answer::xml(document(call, &list));
    answer::set_version(&mut answer, version.as_ref());
    Ok(answer)
}

/// PutObjectAcl.
pub(crate) async fn set_object(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let acl = requested(call, body).await?;
    let (bucket, key) = (call.bucket()?, call.key()?);
    let version = call.gateway.set_object_acl(&call.caller, (&bucket, &key), call.version()?, &acl).await?;
    let mut answer = answer::empty(StatusCode::OK);
    answer::set_version(&mut answer, version.as_ref());
    Ok(answer)
}

/// What the headers of a request ask for; `None` when they say nothing.
pub(crate) fn from_headers(call: &Call) -> Result<Option<RequestedAcl>, S3Error> {
    let head = &call.head;
    let canned = head.header("x-amz-acl").map(canned).transpose()?;
    let grants = grants(call.credentials.as_ref(), head)?;
    match (canned, grants) {
        (Some(_), Some(_)) => {
            let message = "Specifying both Canned ACLs and Header Grants is not allowed";
            Err(S3Error::because(Code::InvalidRequest, message))
        }
        (Some(canned), None) => Ok(Some(RequestedAcl::Canned(canned))),
        (None, Some(grants)) => Ok(Some(RequestedAcl::Grants(grants))),
        (None, None) => Ok(None),
    }
}

/// A canned list by its name.
pub(crate) fn canned(name: &str) -> Result<CannedAcl, S3Error> {
    if name == "aws-exec-read" {
        return Err(S3Error::not_implemented("The canned ACL aws-exec-read").with("Header", "x-amz-acl"));
    }
    CannedAcl::parse(name).ok_or_else(|| S3Error::argument("x-amz-acl", name, ""))
}

fn grants(credentials: &dyn Credentials, head: &Head) -> Result<Option<Vec<Grant>>, S3Error> {
    let mut grants: Option<Vec<Grant>> = None;
    for (name, permission) in GRANT_HEADERS {
        let Some(text) = head.joined(name) else { continue };
        let list = grants.get_or_insert_default();
        for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let invalid = || S3Error::argument(name, one, "Argument format not recognized");
            let (kind, value) = one.split_once('=').ok_or_else(invalid)?;
            let value = value.trim().trim_matches('"');
            let grantee = match kind.trim() {
                "id" => account(credentials, value)?,
                "emailAddress" => by_email(credentials, value)?,
                "uri" => group(value)?,
                _ => return Err(invalid()),
            };
            list.push(Grant { grantee, permission });
        }
    }
    if grants.as_ref().is_some_and(|grants| grants.len() > MAX_GRANTS) {
        return Err(malformed());
    }
    Ok(grants)
}

/// A canned list, grants in headers, or a document: one of them.
async fn requested(call: &Call, body: Body) -> Result<RequestedAcl, S3Error> {
    let text = call.document(body, MAX_DOCUMENT).await?;
    match from_headers(call)? {
        Some(_) if !text.is_empty() => {
            Err(S3Error::because(Code::UnexpectedContent, "This request contains unsupported content."))
        }
        Some(acl) => Ok(acl),
        None if text.is_empty() => Err(S3Error::because(
            Code::MissingSecurityHeader,
            "Your request was missing a required header: x-amz-acl, x-amz-grant-*, or a body with a list.",
        )
        .with("MissingHeaderName", "x-amz-acl")),
        None => Ok(RequestedAcl::List(read(call.credentials.as_ref(), &text)?)),
    }
}

pub(crate) fn read(credentials: &dyn Credentials, text: &[u8]) -> Result<AccessControlList, S3Error> {
    let root = Element::parse(text, "AccessControlPolicy").map_err(|_| malformed_acl())?;
    root.only(&["Owner", "AccessControlList"])?;
    let owner = root.optional("Owner")?.ok_or_else(malformed_acl)?;
    let owner = owner.optional_text("ID")?.filter(|id| !id.is_empty()).ok_or_else(malformed_acl)?;
    let list = root.optional("AccessControlList")?.ok_or_else(malformed_acl)?;
    list.only(&["Grant"])?;
    let grants = list.all("Grant").map(|grant| read_grant(credentials, grant)).collect::<Result<Vec<_>, _>>()?;
    if grants.len() > MAX_GRANTS {
        return Err(malformed_acl());
    }
    Ok(AccessControlList { owner: AccountId::new(owner), grants })
}

/// One line of a list.
pub(crate) fn read_grant(credentials: &dyn Credentials, grant: &Element) -> Result<Grant, S3Error> {
    grant.only(&["Grantee", "Permission"])?;
    let permission = match grant.required_text("Permission")?.trim() {
        "FULL_CONTROL" => Permission::FullControl,
        "READ" => Permission::Read,
        "WRITE" => Permission::Write,
        "READ_ACP" => Permission::ReadAcp,
        "WRITE_ACP" => Permission::WriteAcp,
        _ => return Err(malformed()),
    };
    let grantee = grant.optional("Grantee")?.ok_or_else(malformed_acl)?;
    grantee.only(&["ID", "DisplayName", "URI", "EmailAddress"])?;
    let texts = (grantee.optional_text("ID")?, grantee.optional_text("URI")?, grantee.optional_text("EmailAddress")?);
    let grantee = match texts {
        (Some(id), None, None) => account(credentials, id)?,
        (None, Some(uri), None) => group(uri)?,
        (None, None, Some(email)) => by_email(credentials, email)?,
        _ => return Err(malformed_acl()),
    };
    Ok(Grant { grantee, permission })
}

fn account(credentials: &dyn Credentials, id: &str) -> Result<Grantee, S3Error> {
    let id = AccountId::new(id.trim());
    if credentials.account(&id).is_none() {
        return Err(S3Error::argument("CanonicalUser/ID", id.as_str(), "Invalid id"));
    }
    Ok(Grantee::Account(id))
}

fn by_email(credentials: &dyn Credentials, email: &str) -> Result<Grantee, S3Error> {
    let found = credentials.by_email(email.trim());
    found.map(|person| Grantee::Account(person.id)).ok_or_else(|| Code::UnresolvableGrantByEmailAddress.into())
}

fn group(uri: &str) -> Result<Grantee, S3Error> {
    match uri.trim() {
        ALL_USERS => Ok(Grantee::AllUsers),
        AUTHENTICATED_USERS => Ok(Grantee::AuthenticatedUsers),
        LOG_DELIVERY => Ok(Grantee::LogDelivery),
        other => Err(S3Error::argument("Group/URI", other, "Invalid group uri")),
    }
}

fn malformed_acl() -> S3Error {
    Code::MalformedACLError.into()
}

fn document(call: &Call, list: &AccessControlList) -> String {
    let name = |account: &AccountId| call.display_name(account);
    Document::s3("AccessControlPolicy", |root| {
        root.nest("Owner", |owner| person(owner, &list.owner, &name));
        root.nest("AccessControlList", |element| {
            // Groups first, as who reads lists by position has it.
            let is_account = |grant: &&Grant| matches!(grant.grantee, Grantee::Account(_));
            let (accounts, groups): (Vec<&Grant>, Vec<&Grant>) = list.grants.iter().partition(is_account);
            for grant in groups.into_iter().chain(accounts) {
                describe_grant(element, grant, &name);
            }
        });
    })
}

/// One line of a list, with the names of accounts.
pub(crate) fn describe_grant(element: &mut Document, grant: &Grant, name: &dyn Fn(&AccountId) -> String) {
    element.nest("Grant", |line| {
        let group = |line: &mut Document, uri: &str| {
            line.typed("Grantee", "Group", |grantee| grantee.text("URI", uri));
        };
        match &grant.grantee {
            Grantee::Account(account) => {
                line.typed("Grantee", "CanonicalUser", |grantee| person(grantee, account, name));
            }
            Grantee::AllUsers => group(line, ALL_USERS),
            Grantee::AuthenticatedUsers => group(line, AUTHENTICATED_USERS),
            Grantee::LogDelivery => group(line, LOG_DELIVERY),
        }
        line.text("Permission", permission_name(grant.permission));
    });
}

fn person(element: &mut Document, account: &AccountId, name: &dyn Fn(&AccountId) -> String) {
    element.text("ID", account.as_str());
    element.text("DisplayName", name(account));
}

fn permission_name(permission: Permission) -> &'static str {
    match permission {
        Permission::FullControl => "FULL_CONTROL",
        Permission::Read => "READ",
        Permission::Write => "WRITE",
        Permission::ReadAcp => "READ_ACP",
        Permission::WriteAcp => "WRITE_ACP",
    }
}
