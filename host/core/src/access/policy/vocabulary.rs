//! The names that a policy may use: a statement that misspells one would protect nothing.

use super::pattern::{Glob, Template};
use super::steps::Steps;
use super::{MalformedPolicy, Policy, Statement};
use crate::access::Action;

/// Actions of S3 [on objects](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html)
/// that nothing here asks for.
const OTHERS_ON_OBJECTS: &[&str] = &[
    "getobjecttorrent",
    "getobjectversionforreplication",
    "getobjectversiontorrent",
    "initiatereplication",
    "objectowneroverridetobucketowner",
    "replicatedelete",
    "replicateobject",
    "replicatetags",
    "restoreobject",
    "updateobjectencryption",
];
/// The same on buckets.
const OTHERS_ON_BUCKETS: &[&str] = &[
    "createbucketmetadatatableconfiguration",
    "deletebucketmetadatatableconfiguration",
    "getbucketabac",
    "getbucketmetadatatableconfiguration",
    "listtagsforresource",
    "pausereplication",
    "putanalyticsconfiguration",
    "putbucketabac",
    "putintelligenttieringconfiguration",
    "putmetricsconfiguration",
    "tagresource",
    "untagresource",
    "updatebucketmetadatainventorytableconfiguration",
    "updatebucketmetadatajournaltableconfiguration",
];
/// Condition keys of S3, in lower case; those with `/` take a tag's name.
const KEYS_OF_S3: &[&str] = &[
    "accessgrantsinstancearn",
    "accesspointnetworkorigin",
    "accesspointtag/",
    "authtype",
    "buckettag/",
    "dataaccesspointaccount",
    "dataaccesspointarn",
    "delimiter",
    "destinationregion",
    "existingobjecttag/",
    "if-match",
    "if-none-match",
    "inventoryaccessibleoptionalfields",
    "isreplicationpauserequest",
    "locationconstraint",
    "max-keys",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-remaining-retention-days",
    "object-lock-retain-until-date",
    "objectcreationoperation",
    "prefix",
    "requestobjecttag/",
    "requestobjecttagkeys",
    "resourceaccount",
    "signatureage",
    "signatureversion",
    "tlsversion",
    "versionid",
    "x-amz-acl",
    "x-amz-bucket-namespace",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];
/// [Condition keys of all services](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html).
const KEYS_OF_AWS: &[&str] = &[
    "assumedroot",
    "calledvia",
    "calledviafirst",
    "calledvialast",
    "chatbotsourcearn",
    "currenttime",
    "ec2instancesourceprivateipv4",
    "ec2instancesourcevpc",
    "epochtime",
    "federatedprovider",
    "multifactorauthage",
    "multifactorauthpresent",
    "principalaccount",
    "principalarn",
    "principalisawsservice",
    "principalorgid",
    "principalorgpaths",
    "principalservicename",
    "principalservicenameslist",
    "principaltag/",
    "principaltype",
    "referer",
    "requestedregion",
    "requesttag/",
    "resourceaccount",
    "resourceorgid",
    "resourceorgpaths",
    "resourcetag/",
    "securetransport",
    "sourceaccount",
    "sourcearn",
    "sourceidentity",
    "sourceinstancearn",
    "sourceip",
    "sourceorgid",
    "sourceorgpaths",
    "sourcevpc",
    "sourcevpcarn",
    "sourcevpce",
    "tagkeys",
    "tokenissuetime",
    "useragent",
    "userid",
    "username",
    "viaawsservice",
    "vpceaccount",
    "vpceorgid",
    "vpceorgpaths",
    "vpcsourceip",
];

/// What actions are done to, and resources are.
#[derive(Debug, Clone, Copy, Default)]
struct Levels {
    buckets: bool,
    objects: bool,
}

impl Levels {
    fn meet(self, other: Self) -> bool {
        self.buckets && other.buckets || self.objects && other.objects
    }
}

impl Policy {
    /// Refuses a policy with an action or a condition key that S3 does not have, or with a
    /// deny of an action that is done to none of its statement's resources. Not asked of policies that
    /// are stored, which hold as they are.
    ///
    /// # Errors
    /// [`MalformedPolicy`].
    pub fn check_names(&self) -> Result<(), MalformedPolicy> {
        self.statements.iter().try_for_each(Statement::check_names)
    }
}

impl Statement {
    fn check_names(&self) -> Result<(), MalformedPolicy> {
        let resources: Vec<Levels> = self.resources.members.iter().map(of_resource).collect();
        for action in &self.actions.members {
            let Some(levels) = of_action(action) else {
                return Err(MalformedPolicy("Policy has invalid action".to_owned()));
            };
            // What `NotAction` and `NotResource` leave is never nothing, and an allow of nothing opens nothing.
            let is_checked = !self.allows && !self.actions.is_negated && !self.resources.is_negated;
            if is_checked && !resources.iter().any(|resource| resource.meet(levels)) {
                return Err(MalformedPolicy("Action does not apply to any resource(s) in statement".to_owned()));
            }
        }
        if self.conditions.iter().any(|condition| !is_key(condition.key())) {
            return Err(MalformedPolicy("Policy has an invalid condition key".to_owned()));
        }
        Ok(())
    }
}

/// What the actions that a pattern fits are done to; `None` when it fits none.
fn of_action(pattern: &Glob) -> Option<Levels> {
    let steps = Steps::default();
    let fits = |name: &str| pattern.matches(&format!("s3:{name}"), &steps);
    let ours = |on_objects: bool| {
        let actions = Action::ALL.iter().filter(move |action| action.is_on_objects() == on_objects);
        actions.into_iter().any(|action| pattern.matches(&action.name().to_ascii_lowercase(), &steps))
    };
    let buckets = ours(false) || OTHERS_ON_BUCKETS.iter().any(|name| fits(name));
    let objects = ours(true) || OTHERS_ON_OBJECTS.iter().any(|name| fits(name));
    (buckets || objects).then_some(Levels { buckets, objects })
}

fn of_resource(resource: &Template) -> Levels {
    let text = resource.text(usize::MAX, &|_| Vec::new());
    // What a variable stands for may be anything.
    let Some(text) = text else { return Levels { buckets: true, objects: true } };
    let has_key = text.contains('/');
    Levels { buckets: !has_key, objects: has_key || text.contains(['*', '?']) }
}

fn is_key(key: &str) -> bool {
    let folded = key.to_ascii_lowercase();
    let Some((service, name)) = folded.split_once(':') else { return false };
    let known = match service {
        "s3" => KEYS_OF_S3,
        "aws" => KEYS_OF_AWS,
        _ => return false,
    };
    match name.split_once('/') {
        None => known.contains(&name),
        Some((kind, tag)) => !tag.is_empty() && known.iter().any(|known| known.strip_suffix('/') == Some(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(statement: &Value) -> Result<(), String> {
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        Policy::try_from(policy).expect("well formed").check_names().map_err(|error| error.to_string())
    }

    fn of(action: &Value, resource: &Value) -> Result<(), String> {
        check(&json!({ "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource }))
    }

    #[test]
    fn actions_are_those_of_s3() {
        for action in ["s3:GetObject", "S3:getobject", "s3:Get*", "s3:*", "*", "s3:RestoreObject", "s3:Put?bjectAcl"] {
            assert_eq!(of(&json!(action), &json!("arn:aws:s3:::b/*")), Ok(()), "{action}");
        }
        for action in ["s3:GetObejct", "s3:Gets*", "s3:x"] {
            let refused = of(&json!(action), &json!("arn:aws:s3:::b/*"));
            assert_eq!(refused, Err("Policy has invalid action".to_owned()), "{action}");
        }
    }

    #[test]
    fn an_action_has_a_resource_that_it_can_be_done_to() {
        let (bucket, objects) = ("arn:aws:s3:::b", "arn:aws:s3:::b/*");
        for (action, resource, fits) in [
            (json!("s3:GetObject"), json!(objects), true),
            (json!("s3:GetObject"), json!(bucket), false),
            (json!("s3:ListBucket"), json!(bucket), true),
            (json!("s3:ListBucket"), json!(objects), false),
            (json!("s3:ListBucket"), json!([objects, bucket]), true),
            (json!(["s3:GetObject", "s3:ListBucket"]), json!(objects), false),
            (json!(["s3:GetObject", "s3:ListBucket"]), json!("arn:aws:s3:::b*"), true),
            (json!("s3:*"), json!(bucket), true),
            (json!("s3:GetObject"), json!("*"), true),
            (json!("s3:GetObject"), json!("arn:aws:s3:::${aws:username}"), true),
        ] {
            assert_eq!(of(&action, &resource).is_ok(), fits, "{action} {resource}");
        }
        let allow =
            json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b" });
        assert_eq!(check(&allow), Ok(()));
        let all_but =
            json!({ "Effect": "Deny", "Principal": "*", "NotAction": "s3:GetObject", "Resource": "arn:aws:s3:::b" });
        assert_eq!(check(&all_but), Ok(()));
    }

    #[test]
    fn condition_keys_are_those_of_s3_and_of_all_services() {
        let with = |key: &str| {
            let condition = json!({ "StringEquals": { key: "x" } });
            check(&json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::b/*", "Condition": condition }))
        };
        for key in ["s3:VersionId", "s3:x-amz-acl", "s3:ExistingObjectTag/a/b", "aws:SourceVpce", "AWS:sourceip"] {
            // The prefix is read as it is written.
            assert_eq!(with(&key.replace("AWS", "aws")), Ok(()), "{key}");
        }
        for key in ["s3:nonsense", "s3:ExistingObjectTag/", "s3:VersionId/x", "aws:SourceIPs", "s3:x-amz-meta-a"] {
            assert!(with(key).is_err(), "{key}");
        }
    }
}
