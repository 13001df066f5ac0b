//! The line of a version in a report: all values in quotes, without a header above them.

use super::{IncludedVersions, InventoryConfiguration, InventoryField};
use crate::access::{AccessControlList, Grant, Grantee, Permission};
use crate::encryption::Method;
use crate::lifecycle::{Candidate, Lifecycle, Standing};
use crate::metadata::Version;
use crate::object_lock::RetentionMode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

/// What a key's line does not show as it is. A blank is `%20`, which both ways of reading
/// encoded keys understand; of `+` one makes a blank.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The version of the form that lists have.
const LIST_VERSION: &str = "2022-11-10";
/// What there is to say of the owner and the list of what has no list.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// A version's line, with its end; `None` when the report is not about it.
pub(crate) fn row(
    configuration: &InventoryConfiguration,
    version: &Version,
    list: &AccessControlList,
    lifecycle: Option<&Lifecycle>,
) -> Option<String> {
    let mut line = String::new();
    push(&mut line, version.bucket.as_str());
    push(&mut line, &utf8_percent_encode(version.key.as_str(), ESCAPED).to_string());
    match configuration.versions {
        IncludedVersions::Current if !version.is_current || version.is_delete_marker => return None,
        IncludedVersions::Current => {}
        IncludedVersions::All => {
            // Of null versions S3 writes no id.
            push(&mut line, if version.id.is_null() { "" } else { version.id.as_str() });
            push(&mut line, truth(version.is_current));
            push(&mut line, truth(version.is_delete_marker));
        }
    }
    for field in InventoryField::ALL.iter().filter(|field| configuration.fields.contains(field)) {
        push(&mut line, &value(*field, version, list, lifecycle));
    }
    line.push('\n');
    Some(line)
}

fn push(line: &mut String, value: &str) {
    if !line.is_empty() {
        line.push(',');
    }
    line.push('"');
    line.push_str(&value.replace('"', "\"\""));
    line.push('"');
}

fn value(field: InventoryField, version: &Version, list: &AccessControlList, lifecycle: Option<&Lifecycle>) -> String {
    let lock = version.attributes.lock;
    let method = version.attributes.encryption.as_ref().map(|encryption| &encryption.method);
    match field {
        InventoryField::LastModifiedDate => date(version.last_modified),
        InventoryField::ObjectAccessControlList => STANDARD.encode(access(version, list).to_string()),
        InventoryField::ObjectOwner if version.is_delete_marker => UNAVAILABLE.to_owned(),
        InventoryField::ObjectOwner => list.owner.to_string(),
        // What follows a marker does not have.
        _ if version.is_delete_marker => String::new(),
        InventoryField::Size => version.size.to_string(),
        InventoryField::ETag => version.etag.clone(),
        InventoryField::StorageClass => version.storage_class.clone(),
        InventoryField::IsMultipartUploaded => truth(version.etag.contains('-')).to_owned(),
        InventoryField::ReplicationStatus | InventoryField::IntelligentTieringAccessTier => String::new(),
        InventoryField::EncryptionStatus => match method {
            None => "NOT-SSE",
            Some(Method::S3) => "SSE-S3",
            Some(Method::Kms { .. }) => "SSE-KMS",
            Some(Method::Customer) => "SSE-C",
        }
        .to_owned(),
        InventoryField::BucketKeyStatus => match method {
            Some(Method::Kms { bucket_key: true, .. }) => "ENABLED",
            Some(Method::Kms { bucket_key: false, .. }) => "DISABLED",
            None | Some(Method::S3 | Method::Customer) => "",
        }
        .to_owned(),
        InventoryField::ObjectLockRetainUntilDate => {
            lock.retention.map(|retention| date(retention.until)).unwrap_or_default()
        }
        InventoryField::ObjectLockMode => match lock.retention.map(|retention| retention.mode) {
            None => "",
            Some(RetentionMode::Governance) => "GOVERNANCE",
            Some(RetentionMode::Compliance) => "COMPLIANCE",
        }
        .to_owned(),
        InventoryField::ObjectLockLegalHoldStatus => {
            if lock.legal_hold == Some(true) { "On" } else { "Off" }.to_owned()
        }
        InventoryField::ChecksumAlgorithm => {
            version.checksums.first().map(|checksum| checksum.algorithm.to_uppercase()).unwrap_or_default()
        }
        InventoryField::LifecycleExpirationDate => expiration(version, lifecycle).unwrap_or_default(),
    }
}

fn expiration(version: &Version, lifecycle: Option<&Lifecycle>) -> Option<String> {
    if !version.is_current {
        return None;
    }
    let candidate = Candidate {
        key: version.key.as_str(),
        tags: &version.object.tags,
        size: version.size,
        is_marker: version.is_delete_marker,
        created: version.last_modified,
        standing: Standing::Current { is_only: false },
    };
    lifecycle?.expiry(&candidate).map(|expiry| date(expiry.at))
}

/// A list in [S3's form](https://docs.aws.amazon.com/AmazonS3/latest/userguide/objectacl.html).
fn access(version: &Version, list: &AccessControlList) -> Value {
    if version.is_delete_marker {
        return json!({ "version": LIST_VERSION, "status": UNAVAILABLE, "grants": null });
    }
    let grants: Vec<Value> = list.grants.iter().map(grant).collect();
    json!({ "version": LIST_VERSION, "status": "AVAILABLE", "grants": grants })
}

fn grant(grant: &Grant) -> Value {
    let permission = match grant.permission {
        Permission::FullControl => "FULL_CONTROL",
        Permission::Read => "READ",
        Permission::Write => "WRITE",
        Permission::ReadAcp => "READ_ACP",
        Permission::WriteAcp => "WRITE_ACP",
    };
    let group = |name: &str| json!({ "uri": format!("http://acs.amazonaws.com/groups/{name}"), "type": "Group", "permission": permission });
    match &grant.grantee {
        Grantee::Account(account) => {
            json!({ "canonicalId": account.as_str(), "type": "CanonicalUser", "permission": permission })
        }
        Grantee::AllUsers => group("global/AllUsers"),
        Grantee::AuthenticatedUsers => group("global/AuthenticatedUsers"),
        Grantee::LogDelivery => group("s3/LogDelivery"),
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// `2009-10-12T17:50:30.000Z`.
fn date(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    time.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::configuration;
    use super::*;
    use crate::backend::Projection;
    use crate::metadata::{Attributes, ChecksumKind, ObjectChecksum};
    use crate::names::{AccountId, BucketName, ObjectKey, VersionId};
    use crate::object_lock::{ObjectLock, Retention};
    use proptest::prelude::*;

    fn version(key: &str) -> Version {
        Version {
            bucket: BucketName::parse("source").unwrap(),
            key: ObjectKey::parse(key).unwrap(),
            id: VersionId::from_client("v1"),
            sequence: 1,
            is_current: true,
            is_delete_marker: false,
            etag: "e".into(),
            size: 7,
            last_modified: 1_255_369_830_123,
            object: Projection::default(),
            attributes: Attributes::default(),
            checksums: Vec::new(),
            owner: AccountId::new("me"),
            storage_class: "STANDARD".into(),
            parts: Vec::new(),
            segments: Vec::new(),
        }
    }

    fn list() -> AccessControlList {
        AccessControlList::private(AccountId::new("me"))
    }

    fn all(version: &Version) -> String {
        let configuration = InventoryConfiguration { fields: InventoryField::ALL.to_vec(), ..configuration() };
        row(&configuration, version, &list(), None).unwrap()
    }

    #[test]
    fn all_values_are_in_quotes_and_in_the_order_of_the_schema() {
        let mut version = version("a b/ü+\"x\".txt");
        version.checksums =
            vec![ObjectChecksum { algorithm: "crc64nvme".into(), value: "v".into(), kind: ChecksumKind::FullObject }];
        let retention = Some(Retention { mode: RetentionMode::Compliance, until: 0 });
        version.attributes.lock = ObjectLock { retention, legal_hold: Some(true) };
        let acl = STANDARD.encode(access(&version, &list()).to_string());
        let expected = format!(
            "\"source\",\"a%20b/%C3%BC%2B%22x%22.txt\",\"v1\",\"true\",\"false\",\"7\",\"2009-10-12T17:50:30.123Z\",\
             \"e\",\"STANDARD\",\"false\",\"\",\"NOT-SSE\",\"1970-01-01T00:00:00.000Z\",\"COMPLIANCE\",\"On\",\"\",\
             \"\",\"CRC64NVME\",\"{acl}\",\"me\",\"\"\n"
        );
        assert_eq!(all(&version), expected);
    }

    #[test]
    fn lists_are_told_as_s3_tells_them() {
        let mut list = list();
        list.grants.push(Grant { grantee: Grantee::AllUsers, permission: Permission::Read });
        let owners = json!({ "canonicalId": "me", "type": "CanonicalUser", "permission": "FULL_CONTROL" });
        let uri = "http://acs.amazonaws.com/groups/global/AllUsers";
        let everybodys = json!({ "uri": uri, "type": "Group", "permission": "READ" });
        let expected = json!({ "version": "2022-11-10", "status": "AVAILABLE", "grants": [owners, everybodys] });
        assert_eq!(access(&version("k"), &list), expected);
    }

    #[test]
    fn of_a_delete_marker_only_its_time_is_told() {
        let marker =
            Version { is_delete_marker: true, id: VersionId::null(), size: 0, etag: String::new(), ..version("k") };
        let row = all(&marker);
        let values: Vec<&str> = row.trim_end().split(',').collect();
        assert_eq!(
            values.get(..7).unwrap(),
            ["\"source\"", "\"k\"", "\"\"", "\"true\"", "\"true\"", "\"\"", "\"2009-10-12T17:50:30.123Z\""]
        );
        assert_eq!(values.iter().filter(|value| **value == "\"UNAVAILABLE\"").count(), 1, "{row}");
    }

    #[test]
    fn a_report_of_current_objects_has_neither_markers_nor_old_versions() {
        let current = InventoryConfiguration { versions: IncludedVersions::Current, ..configuration() };
        let line = |version: &Version| row(&current, version, &list(), None);
        assert_eq!(line(&version("k")).as_deref(), Some("\"source\",\"k\"\n"));
        assert_eq!(line(&Version { is_current: false, ..version("k") }), None);
        assert_eq!(line(&Version { is_delete_marker: true, ..version("k") }), None);
    }

    proptest! {
        #[test]
        fn keys_stay_on_their_line_and_come_back(key in "[^\u{0}]{1,60}") {
            let current = InventoryConfiguration { versions: IncludedVersions::Current, ..configuration() };
            let line = row(&current, &version(&key), &list(), None).unwrap();
            let shown = line.strip_prefix("\"source\",\"").unwrap().strip_suffix("\"\n").unwrap();
            prop_assert!(!shown.contains(['"', ',', '\n', '\r', '+', ' ']));
            prop_assert_eq!(percent_encoding::percent_decode_str(shown).decode_utf8().unwrap(), key);
        }
    }
}
