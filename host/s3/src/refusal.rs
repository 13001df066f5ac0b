//! What each of the gateway's errors is to a client of S3: the one table.

use crate::dates;
use crate::error::{Code, S3Error};
use sallyport_core::Error;
use sallyport_core::body::Refusal;
use sallyport_core::encryption::{EncryptionRefusal, KeyError};
use sallyport_core::metadata::MetadataError;
use sallyport_core::names::LocationName;

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        let (operator, location) = (for_operator(&error), location(&error));
        Self { operator, location, ..Self::worded(error) }
    }
}

impl S3Error {
    fn worded(error: Error) -> Self {
        match error {
            Error::AccessDenied => Code::AccessDenied.into(),
            Error::NotTheOwnersAccount => Code::MethodNotAllowed.into(),
            Error::AccessControlListNotSupported => Code::AccessControlListNotSupported.into(),
            Error::InvalidBucketAclWithObjectOwnership => Code::InvalidBucketAclWithObjectOwnership.into(),
            Error::MalformedPolicy(malformed) => Self::because(Code::MalformedPolicy, malformed.to_string()),
            Error::ObjectLocked => {
                Self::because(Code::AccessDenied, "Access Denied because object protected by object lock.")
            }
            Error::QuotaExceeded => Code::QuotaExceeded.into(),
            Error::InvalidBucketState(message) => Self::because(Code::InvalidBucketState, message),
            Error::NoSuchBucket(bucket) => Self::new(Code::NoSuchBucket).with("BucketName", bucket.as_str()),
            Error::BucketAlreadyExists(bucket) => {
                Self::new(Code::BucketAlreadyExists).with("BucketName", bucket.as_str())
            }
            Error::BucketAlreadyOwnedByYou(bucket) => {
                Self::new(Code::BucketAlreadyOwnedByYou).with("BucketName", bucket.as_str())
            }
            Error::BucketNotEmpty(bucket) => Self::new(Code::BucketNotEmpty).with("BucketName", bucket.as_str()),
            Error::InvalidLocationConstraint(location) => Self::because(
                Code::InvalidLocationConstraint,
                format!(
                    "The specified location-constraint is not valid: {location} is not listed in locationConfig.json"
                ),
            )
            .with("LocationConstraint", location),
            Error::ColdLocation(location) => Self::because(
                Code::InvalidLocationConstraint,
                format!("The specified location-constraint is not valid: {location} is cold, and takes no new buckets"),
            )
            .with("LocationConstraint", location),
            Error::InvalidObjectLocation(location) => Self::argument(
                "x-amz-meta-scal-location-constraint",
                &location,
                "Object Location Error: Your object's location constraint is not listed in locationConfig.json",
            ),
            Error::InvalidStorageClass(class) => {
                Self::new(Code::InvalidStorageClass).with("StorageClassRequested", class)
            }
            Error::NoSuchKey { marker: None } => Code::NoSuchKey.into(),
            Error::NoSuchKey { marker: Some(marker) } => Self::new(Code::NoSuchKey)
                .with_header("x-amz-delete-marker", "true")
                .with_header("x-amz-version-id", marker),
            Error::NoSuchVersion => Code::NoSuchVersion.into(),
            Error::MethodNotAllowedOnMarker { marker, last_modified } => Self::new(Code::MethodNotAllowed)
                .with("ResourceType", "DeleteMarker")
                .with_header("x-amz-delete-marker", "true")
                .with_header("x-amz-version-id", marker)
                .with_header("last-modified", dates::header(last_modified))
                .with_header("allow", "DELETE"),
            Error::InvalidDestination { arn, why } => Self::because(
                Code::InvalidArgument,
                format!("Unable to validate the following destination configurations: {arn}: {why}"),
            )
            .with("ArgumentName", arn)
            .with("ArgumentValue", why),
            Error::InvalidTargetBucket(why) => Self::because(Code::InvalidTargetBucketForLogging, why),
            Error::InvalidDestinationBucket(why) => Self::because(Code::InvalidS3DestinationBucket, why),
            Error::TooManyConfigurations(_) => Code::TooManyConfigurations.into(),
            Error::NoSuchConfiguration => Code::NoSuchConfiguration.into(),
            Error::NoSuchUpload => Code::NoSuchUpload.into(),
            Error::InvalidPart(Some(number)) => Self::new(Code::InvalidPart).with("PartNumber", number.to_string()),
            Error::InvalidPart(None) => Code::InvalidPart.into(),
            Error::InvalidPartOrder => Code::InvalidPartOrder.into(),
            Error::EntityTooSmall { number, size, minimum } => {
                let error = Self::new(Code::EntityTooSmall).with("ProposedSize", size.to_string());
                let error = match minimum {
                    Some(minimum) => error.with("MinSizeAllowed", minimum.to_string()),
                    None => error,
                };
                error.with("PartNumber", number.to_string())
            }
            Error::EntityTooLarge { size, limit } => Self::new(Code::EntityTooLarge)
                .with("ProposedSize", size.to_string())
                .with("MaxSizeAllowed", limit.to_string()),
            Error::TooLargeForLocation => Code::EntityTooLarge.into(),
            Error::InvalidPartNumber(number) => {
                Self::new(Code::InvalidPartNumber).with("PartNumberRequested", number.to_string())
            }
            Error::InvalidRange { size } => Self::new(Code::InvalidRange)
                .with("ActualObjectSize", size.to_string())
                .with_header("content-range", format!("bytes */{size}")),
            Error::PreconditionFailed(condition) => Self::new(Code::PreconditionFailed).with("Condition", condition),
            Error::NotModified { etag, last_modified, version } => {
                let error = Self::new(Code::NotModified)
                    .with_header("etag", format!("\"{etag}\""))
                    .with_header("last-modified", dates::header(last_modified));
                match version {
                    Some(version) => error.with_header("x-amz-version-id", version),
                    None => error,
                }
            }
            Error::Refused(refusal) => refused(refusal),
            Error::IncompleteBody(_) => Code::IncompleteBody.into(),
            Error::RequestTimeout => Code::RequestTimeout.into(),
            Error::InvalidArgument { argument, message } => Self::argument(argument, "", message),
            Error::InvalidRequest(message) => Self::because(Code::InvalidRequest, message),
            Error::Encryption(refusal) => Self::because(encryption(refusal), refusal.to_string()),
            Error::Key(error) => key(error),
            Error::NotImplemented(what) => Self::not_implemented(what),
            // Whoever may use a location is helped by knowing what it waits for.
            Error::LocationUnavailable { location, cause, retry_after } => {
                let message = format!("The location {location} is not available now: {cause}");
                let error = Self::because(Code::ServiceUnavailable, message).with("Location", location.as_str());
                match retry_after {
                    // Whole seconds, rounded up: who comes back too early is refused again.
                    Some(wait) => error.with_header("retry-after", wait.as_millis().div_ceil(1000).to_string()),
                    None => error,
                }
            }
            Error::LocationLost { location } => Self::because(
                Code::LocationNotFound,
                format!("The object's data is not in the location {location} any more."),
            ),
            Error::SlowDown(_) => Code::SlowDown.into(),
            Error::NoSpace(location) => {
                Self::because(Code::ServiceUnavailable, format!("The location {location} is full."))
            }
            Error::Metadata(MetadataError::Busy) => Code::SlowDown.into(),
            Error::Metadata(MetadataError::Full) => {
                Self::because(Code::ServiceUnavailable, "The server's disk is full. Please try again later.")
            }
            Error::Internal(_) | Error::Metadata(MetadataError::Store(_) | MetadataError::Gone(_)) => {
                Code::InternalError.into()
            }
        }
    }
}

fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::Digest(what) => {
            S3Error::because(Code::BadDigest, format!("The {what} you specified did not match what we received."))
        }
        Refusal::ContentSha256 => Code::XAmzContentSHA256Mismatch.into(),
        Refusal::Signature => Code::SignatureDoesNotMatch.into(),
        Refusal::Malformed(why) => {
            S3Error::because(Code::InvalidRequest, format!("The chunked body is malformed: {why}."))
        }
    }
}

/// The code of what is wrong with a request's encryption; the text is S3's already.
fn encryption(refusal: EncryptionRefusal) -> Code {
    match refusal {
        EncryptionRefusal::Algorithm => Code::InvalidEncryptionAlgorithmError,
        EncryptionRefusal::UnknownMethod
        | EncryptionRefusal::Conflict
        | EncryptionRefusal::NotKms
        | EncryptionRefusal::KmsKeyName
        | EncryptionRefusal::Context
        | EncryptionRefusal::BucketKey
        | EncryptionRefusal::NoAlgorithm
        | EncryptionRefusal::NoKey
        | EncryptionRefusal::Key
        | EncryptionRefusal::NoMd5
        | EncryptionRefusal::Md5 => Code::InvalidArgument,
        EncryptionRefusal::KeyNeeded
        | EncryptionRefusal::NotApplicable
        | EncryptionRefusal::WrongKey
        | EncryptionRefusal::PartNeedsKey
        | EncryptionRefusal::PartTakesNoKey => Code::InvalidRequest,
    }
}

fn key(error: KeyError) -> S3Error {
    match error {
        KeyError::NotFound(name) => {
            S3Error::because(Code::KmsNotFoundException, format!("Key '{name}' does not exist"))
        }
        KeyError::Disabled(name) => S3Error::because(Code::KmsDisabledException, format!("{name} is disabled.")),
        KeyError::Denied(_) => Code::AccessDenied.into(),
        KeyError::InvalidName(_) => S3Error::because(Code::InvalidArgument, EncryptionRefusal::KmsKeyName.to_string()),
        KeyError::Unreadable(_) => Code::InternalError.into(),
        KeyError::Unavailable(_) => Code::ServiceUnavailable.into(),
    }
}

/// The location that an error speaks of.
fn location(error: &Error) -> Option<Box<LocationName>> {
    if let Error::LocationUnavailable { location, .. } | Error::LocationLost { location } | Error::NoSpace(location) =
        error
    {
        return Some(Box::new(location.clone()));
    }
    None
}

/// What an operator has to know of an error that its client is not told; `None` when it
/// tells all.
fn for_operator(error: &Error) -> Option<String> {
    match error {
        Error::Internal(_) | Error::Metadata(_) | Error::LocationUnavailable { .. } | Error::LocationLost { .. } => {
            Some(error.to_string())
        }
        Error::SlowDown(_) | Error::NoSpace(_) | Error::IncompleteBody(_) | Error::Key(_) => Some(error.to_string()),
        Error::AccessDenied
        | Error::NotTheOwnersAccount
        | Error::AccessControlListNotSupported
        | Error::InvalidBucketAclWithObjectOwnership
        | Error::MalformedPolicy(_)
        | Error::ObjectLocked
        | Error::QuotaExceeded
        | Error::InvalidBucketState(_)
        | Error::NoSuchBucket(_)
        | Error::BucketAlreadyExists(_)
        | Error::BucketAlreadyOwnedByYou(_)
        | Error::BucketNotEmpty(_)
        | Error::InvalidLocationConstraint(_)
        | Error::ColdLocation(_)
        | Error::InvalidObjectLocation(_)
        | Error::InvalidStorageClass(_)
        | Error::NoSuchKey { .. }
        | Error::NoSuchVersion
        | Error::MethodNotAllowedOnMarker { .. }
        | Error::InvalidDestination { .. }
        | Error::InvalidTargetBucket(_)
        | Error::InvalidDestinationBucket(_)
        | Error::TooManyConfigurations(_)
        | Error::NoSuchConfiguration
        | Error::NoSuchUpload
        | Error::InvalidPart(_)
        | Error::InvalidPartOrder
        | Error::EntityTooSmall { .. }
        | Error::EntityTooLarge { .. }
        | Error::TooLargeForLocation
        | Error::InvalidPartNumber(_)
        | Error::InvalidRange { .. }
        | Error::PreconditionFailed(_)
        | Error::NotModified { .. }
        | Error::Refused(_)
        | Error::RequestTimeout
        | Error::InvalidArgument { .. }
        | Error::InvalidRequest(_)
        | Error::Encryption(_)
        | Error::NotImplemented(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_core::names::LocationName;
    use std::time::Duration;

    #[test]
    fn client_and_operator_read_which_location_is_down_and_why() {
        let location = LocationName::parse("aws-test").expect("legal");
        let cause = "the connection was refused".to_owned();
        let error = S3Error::from(Error::LocationUnavailable {
            location,
            cause,
            retry_after: Some(Duration::from_millis(1200)),
        });
        assert_eq!(error.code, Code::ServiceUnavailable);
        assert!(error.message.contains("aws-test") && error.message.contains("refused"));
        assert!(error.operator.is_some_and(|text| text.contains("refused")));
        assert!(error.headers.contains(&("retry-after", "2".into())));
    }

    #[test]
    fn a_hidden_key_says_which_marker_hides_it() {
        let error = S3Error::from(Error::NoSuchKey { marker: Some("v1".into()) });
        assert_eq!(error.code.status(), 404);
        assert!(error.headers.contains(&("x-amz-delete-marker", "true".into())));
        assert!(error.headers.contains(&("x-amz-version-id", "v1".into())));
    }
}
