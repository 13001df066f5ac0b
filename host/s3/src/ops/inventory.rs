//! Inventories of a bucket: their documents, one by one and in pages.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::{Call, bucket_name};
use crate::xml::{Document, Element, malformed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use sallyport_core::body::Body;
use sallyport_core::inventory::{
    Frequency, IncludedVersions, InventoryAccounts, InventoryConfiguration, InventoryDestination, InventoryField,
    ReportEncryption,
};
use sallyport_core::names::{AccountId, BucketName};

/// A configuration, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;
/// Configurations that one answer lists.
const PAGE: usize = 100;
/// The longest id, in characters.
const LONGEST_ID: usize = 64;
/// What a destination's ARN begins with, but for its partition.
const ARN: [&str; 2] = ["arn", "s3"];

/// PutBucketInventoryConfiguration.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let configuration = parse(&call.document(body, MAX_DOCUMENT).await?)?;
    if id(call)? != configuration.id {
        return Err(Code::IdMismatch.into());
    }
    let accounts = accounts(call, &configuration.destination).await?;
    call.gateway.set_inventory(&call.caller(), &call.bucket()?, configuration, accounts).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketInventoryConfiguration.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let configuration = call.gateway.inventory(&call.caller(), &call.bucket()?, id(call)?).await?;
    Ok(answer::xml(Document::s3("InventoryConfiguration", |root| describe(root, &configuration))))
}

/// ListBucketInventoryConfigurations.
pub(crate) async fn list(call: &Call) -> Result<Answer, S3Error> {
    let token = call.head.query.value("continuation-token");
    let after = token.map(read_token).transpose()?;
    let (page, goes_on) = call.gateway.inventories(&call.caller(), &call.bucket()?, after.as_deref(), PAGE).await?;
    Ok(answer::xml(Document::s3("ListInventoryConfigurationsResult", |root| {
        for configuration in &page {
            root.nest("InventoryConfiguration", |element| describe(element, configuration));
        }
        root.text("IsTruncated", goes_on.to_string());
        if let Some(token) = token {
            root.text("ContinuationToken", token);
        }
        if let Some(last) = page.last().filter(|_| goes_on) {
            root.text("NextContinuationToken", URL_SAFE_NO_PAD.encode(&last.id));
        }
    })))
}

/// DeleteBucketInventoryConfiguration.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.delete_inventory(&call.caller(), &call.bucket()?, id(call)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `id`.
fn id(call: &Call) -> Result<&str, S3Error> {
    let id = call.head.query.value("id").unwrap_or_default();
    if is_id(id) { Ok(id) } else { Err(S3Error::argument("id", id, "The specified configuration ID is not valid.")) }
}

fn is_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(legal)
}

fn read_token(token: &str) -> Result<String, S3Error> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| S3Error::argument("continuation-token", token, "The continuation token provided is incorrect"))
}

/// Who owns the buckets that a configuration is about. An account that does not own the
/// destination stands for itself, so that nobody is taken for its owner.
async fn accounts(call: &Call, destination: &InventoryDestination) -> Result<InventoryAccounts, S3Error> {
    let short_id = |owner: &AccountId| call.credentials.account(owner).map(|person| person.short_id);
    let owner = call.gateway.bucket(&call.bucket()?).await?.owner;
    let mut accounts = InventoryAccounts { source: short_id(&owner).unwrap_or_default(), destination: None };
    if let Some(account) = &destination.account {
        let owner = call.gateway.bucket(&destination.bucket).await.ok().map(|bucket| bucket.owner);
        let named = owner.filter(|owner| short_id(owner).is_some_and(|id| id == *account));
        accounts.destination = Some(named.unwrap_or_else(|| AccountId::new(account.clone())));
    }
    Ok(accounts)
}

pub(crate) fn parse(document: &[u8]) -> Result<InventoryConfiguration, S3Error> {
    let root = Element::parse(document, "InventoryConfiguration")?;
    root.only(&["Destination", "IsEnabled", "Filter", "Id", "IncludedObjectVersions", "OptionalFields", "Schedule"])?;
    let id = root.required_text("Id")?.trim();
    if !is_id(id) {
        return Err(S3Error::argument("Id", id, "The specified configuration ID is not valid."));
    }
    let is_enabled = match root.required_text("IsEnabled")?.trim() {
        "true" => true,
        "false" => false,
        _ => return Err(malformed()),
    };
    let versions = match root.required_text("IncludedObjectVersions")?.trim() {
        "All" => IncludedVersions::All,
        "Current" => IncludedVersions::Current,
        _ => return Err(malformed()),
    };
    let schedule = root.optional("Schedule")?.ok_or_else(malformed)?;
    schedule.only(&["Frequency"])?;
    let frequency = match schedule.required_text("Frequency")?.trim() {
        "Daily" => Frequency::Daily,
        "Weekly" => Frequency::Weekly,
        _ => return Err(malformed()),
    };
    let prefix = match root.optional("Filter")? {
        None => None,
        Some(filter) => {
            filter.only(&["Prefix"])?;
            Some(filter.required_text("Prefix")?.to_owned())
        }
    };
    let destination = root.optional("Destination")?.ok_or_else(malformed)?;
    destination.only(&["S3BucketDestination"])?;
    Ok(InventoryConfiguration {
        id: id.to_owned(),
        is_enabled,
        versions,
        frequency,
        prefix,
        fields: parse_fields(root.optional("OptionalFields")?)?,
        destination: parse_destination(destination.optional("S3BucketDestination")?.ok_or_else(malformed)?)?,
    })
}

fn parse_fields(element: Option<&Element>) -> Result<Vec<InventoryField>, S3Error> {
    let Some(element) = element else { return Ok(Vec::new()) };
    element.only(&["Field"])?;
    let mut fields = Vec::new();
    for field in element.all("Field") {
        let field = InventoryField::parse(field.text.trim()).ok_or_else(malformed)?;
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    Ok(fields)
}

fn parse_destination(element: &Element) -> Result<InventoryDestination, S3Error> {
    element.only(&["AccountId", "Bucket", "Encryption", "Format", "Prefix"])?;
    match element.required_text("Format")?.trim() {
        "CSV" => {}
        format @ ("ORC" | "Parquet") => {
            return Err(S3Error::not_implemented(format!("The format {format} of an inventory (CSV is)")));
        }
        _ => return Err(malformed()),
    }
    Ok(InventoryDestination {
        bucket: parse_arn(element.required_text("Bucket")?.trim())?,
        account: element.optional_text("AccountId")?.map(|account| account.trim().to_owned()),
        prefix: element.optional_text("Prefix")?.map(str::to_owned),
        encryption: element.optional("Encryption")?.map(parse_encryption).transpose()?.flatten(),
    })
}

/// `arn:aws:s3:::bucket`, in any partition.
fn parse_arn(text: &str) -> Result<BucketName, S3Error> {
    let refused = |why: &str| S3Error::because(Code::InvalidS3DestinationBucket, why);
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        [arn, _, service, "", "", bucket] if [*arn, *service] == ARN => bucket_name(bucket),
        [arn, _, service, _, _, _] if [*arn, *service] == ARN => {
            Err(refused("Bucket ARN should not specify a namespace."))
        }
        _ => Err(refused("Invalid bucket ARN.")),
    }
}

fn parse_encryption(element: &Element) -> Result<Option<ReportEncryption>, S3Error> {
    element.only(&["SSE-S3", "SSE-KMS"])?;
    match (element.optional("SSE-S3")?, element.optional("SSE-KMS")?) {
        (None, None) => Ok(None),
        (Some(_), None) => Ok(Some(ReportEncryption::S3)),
        (None, Some(kms)) => {
            kms.only(&["KeyId"])?;
            Ok(Some(ReportEncryption::Kms { key: kms.required_text("KeyId")?.trim().to_owned() }))
        }
        (Some(_), Some(_)) => Err(malformed()),
    }
}

pub(crate) fn describe(element: &mut Document, configuration: &InventoryConfiguration) {
    element.text("Id", &configuration.id);
    element.text("IsEnabled", configuration.is_enabled.to_string());
    if let Some(prefix) = &configuration.prefix {
        element.nest("Filter", |filter| filter.text("Prefix", prefix));
    }
    element.nest("Destination", |element| {
        element.nest("S3BucketDestination", |element| describe_destination(element, &configuration.destination));
    });
    element.nest("Schedule", |schedule| {
        schedule.text(
            "Frequency",
            match configuration.frequency {
                Frequency::Daily => "Daily",
                Frequency::Weekly => "Weekly",
            },
        );
    });
    element.text(
        "IncludedObjectVersions",
        match configuration.versions {
            IncludedVersions::All => "All",
            IncludedVersions::Current => "Current",
        },
    );
    if !configuration.fields.is_empty() {
        element.nest("OptionalFields", |element| {
            for field in &configuration.fields {
                element.text("Field", field.name());
            }
        });
    }
}

fn describe_destination(element: &mut Document, destination: &InventoryDestination) {
    element.text("Format", "CSV");
    if let Some(account) = &destination.account {
        element.text("AccountId", account);
    }
    element.text("Bucket", format!("arn:aws:s3:::{}", destination.bucket));
    if let Some(prefix) = &destination.prefix {
        element.text("Prefix", prefix);
    }
    if let Some(encryption) = &destination.encryption {
        element.nest("Encryption", |element| match encryption {
            ReportEncryption::S3 => element.nest("SSE-S3", |_| {}),
            ReportEncryption::Kms { key } => element.nest("SSE-KMS", |kms| kms.text("KeyId", key)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUCKET: &str = "<Format>CSV</Format><Bucket>arn:aws:s3:::reports</Bucket>";

    fn document(destination: &str, more: &str) -> String {
        format!(
            "<InventoryConfiguration><Id>daily</Id><IsEnabled>true</IsEnabled>\
             <IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule>\
             <Destination><S3BucketDestination>{destination}</S3BucketDestination></Destination>{more}\
             </InventoryConfiguration>"
        )
    }

    fn refused(destination: &str, more: &str) -> Code {
        parse(document(destination, more).as_bytes()).expect_err(destination).code
    }

    #[test]
    fn what_is_no_inventory_is_refused_with_the_reason() {
        assert!(parse(document(BUCKET, "").as_bytes()).is_ok());
        for format in ["ORC", "Parquet"] {
            let destination = BUCKET.replace("CSV", format);
            assert_eq!(refused(&destination, ""), Code::NotImplemented);
        }
        for (arn, code) in [
            ("reports", Code::InvalidS3DestinationBucket),
            ("arn:aws:s3::123456789012:reports", Code::InvalidS3DestinationBucket),
            ("arn:aws:sqs:::reports", Code::InvalidS3DestinationBucket),
            ("arn:aws:s3:::Reports", Code::InvalidBucketName),
        ] {
            assert_eq!(refused(&BUCKET.replace("arn:aws:s3:::reports", arn), ""), code, "{arn}");
        }
        for more in [
            "<OptionalFields><Field>Colour</Field></OptionalFields>",
            "<Filter></Filter>",
            "<Filter><Tag/></Filter>",
            "<Id>twice</Id>",
            "<Unknown/>",
        ] {
            assert_eq!(refused(BUCKET, more), Code::MalformedXML, "{more}");
        }
        let both = format!("{BUCKET}<Encryption><SSE-S3/><SSE-KMS><KeyId>k</KeyId></SSE-KMS></Encryption>");
        assert_eq!(refused(&both, ""), Code::MalformedXML);
        let wrong_id = document(BUCKET, "").replace(">daily<", ">da ily<");
        assert_eq!(parse(wrong_id.as_bytes()).expect_err("refused").code, Code::InvalidArgument);
    }

    #[test]
    fn a_token_is_the_last_id_and_nothing_else() {
        assert_eq!(read_token(&URL_SAFE_NO_PAD.encode("daily")).as_deref(), Ok("daily"));
        assert_eq!(read_token("?").expect_err("refused").code, Code::InvalidArgument);
    }

    prop_compose! {
        fn configurations()(
            id in "[A-Za-z0-9_.-]{1,64}", is_enabled: bool, all: bool, weekly: bool,
            prefix in prop::option::of("[a-z&<]{0,9}"),
            fields in prop::sample::subsequence(InventoryField::ALL.to_vec(), 0..=InventoryField::ALL.len()),
            account in prop::option::of("[0-9]{12}"), reports in prop::option::of("[a-z/]{0,9}"),
            encryption in prop::option::of(prop::option::of("[a-z:/]{1,9}")),
        ) -> InventoryConfiguration {
            InventoryConfiguration {
                id,
                is_enabled,
                versions: if all { IncludedVersions::All } else { IncludedVersions::Current },
                frequency: if weekly { Frequency::Weekly } else { Frequency::Daily },
                prefix,
                fields,
                destination: InventoryDestination {
                    bucket: BucketName::parse("reports").expect("legal"),
                    account,
                    prefix: reports,
                    encryption: encryption.map(|key| {
                        key.map_or(ReportEncryption::S3, |key| ReportEncryption::Kms { key })
                    }),
                },
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_it_was(configuration in configurations()) {
            let written = Document::s3("InventoryConfiguration", |root| describe(root, &configuration));
            prop_assert_eq!(parse(written.as_bytes()), Ok(configuration));
        }
    }
}
