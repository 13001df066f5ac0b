//! Every answer that is not the one the client hoped for: S3's codes, statuses and texts.

use http::StatusCode;
use sallyport_core::names::LocationName;

macro_rules! codes {
    ($($name:ident $status:literal $message:literal;)*) => {
        /// S3's error codes, by S3's names for them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", stringify!($name), "`: ", $message)] $name,)*
        }

        impl Code {
            /// The code as clients read it.
            pub fn name(self) -> &'static str {
                match self.identifier() {
                    "KmsDisabledException" => "KMS.DisabledException",
                    "KmsNotFoundException" => "KMS.NotFoundException",
                    name => name,
                }
            }

            fn identifier(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            fn number(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What is said unless something better is known.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

// The one table: code, status, text.
codes! {
    AccessDenied 403 "Access Denied";
    AccessForbidden 403 "Access Forbidden";
    AuthorizationHeaderMalformed 400 "The authorization header is malformed.";
    AuthorizationQueryParametersError 400 "The authorization query parameters are malformed.";
    BadDigest 400 "The Content-MD5 or checksum you specified did not match what we received.";
    BadRequest 400 "The request is not well-formed.";
    BucketAlreadyExists 409 "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    AccessControlListNotSupported 400 "The bucket does not allow ACLs";
    BucketAlreadyOwnedByYou 409 "Your previous request to create the named bucket succeeded and you already own it.";
    BucketNotEmpty 409 "The bucket you tried to delete is not empty.";
    ConditionalRequestConflict 409 "A conflicting operation occurred during the processing of this request. Try again.";
    EntityTooLarge 400 "Your proposed upload exceeds the maximum allowed size.";
    EntityTooSmall 400 "Your proposed upload is smaller than the minimum allowed size.";
    IdMismatch 400 "Document ID does not match the specified configuration ID.";
    IllegalVersioningConfigurationException 400 "The Versioning element must be specified";
    IncompleteBody 400 "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    InternalError 500 "We encountered an internal error. Please try again.";
    InvalidAccessKeyId 403 "The AWS Access Key Id you provided does not exist in our records.";
    InvalidArgument 400 "Invalid Argument";
    InvalidBucketAclWithObjectOwnership 400 "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    InvalidBucketState 409 "The request is not valid with the current state of the bucket.";
    InvalidBucketName 400 "The specified bucket is not valid.";
    InvalidChunkSizeError 403 "Only the last chunk is allowed to have a size less than 8192 bytes.";
    InvalidDigest 400 "The Content-MD5 you specified is not valid.";
    InvalidEncryptionAlgorithmError 400 "The encryption request you specified is not valid. The valid value is AES256.";
    InvalidLocationConstraint 400 "The specified location constraint is not valid.";
    InvalidPart 400 "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    InvalidPartNumber 416 "The requested partnumber is not satisfiable.";
    InvalidPartOrder 400 "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
    InvalidPolicyDocument 400 "The content of the form does not meet the conditions specified in the policy document.";
    InvalidRange 416 "The requested range is not satisfiable.";
    InvalidRedirectLocation 400 "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.";
    InvalidRequest 400 "The request is not valid.";
    InvalidRetentionPeriod 400 "Default retention period must be a positive integer value.";
    InvalidS3DestinationBucket 400 "The destination bucket is not valid.";
    InvalidStorageClass 400 "The storage class you specified is not valid.";
    InvalidTag 400 "The tag provided was not a valid tag.";
    InvalidTargetBucketForLogging 400 "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group.";
    InvalidToken 400 "The provided token is malformed or otherwise invalid.";
    InvalidURI 400 "Could not parse the specified URI.";
    KeyTooLongError 400 "Your key is too long.";
    KmsDisabledException 400 "The key is disabled.";
    KmsNotFoundException 400 "The key does not exist.";
    LocationNotFound 424 "The object's data is no longer at its location.";
    MalformedACLError 400 "The XML you provided was not well-formed or did not validate against our published schema";
    MalformedPolicy 400 "Policy has invalid syntax";
    MalformedXML 400 "The XML you provided was not well-formed or did not validate against our published schema.";
    MalformedPOSTRequest 400 "The body of your POST request is not well-formed multipart/form-data.";
    MaxMessageLengthExceeded 400 "Your request was too large.";
    MaxPostPreDataLengthExceeded 400 "Your POST request fields preceding the upload file were too large.";
    MetadataTooLarge 400 "Your metadata headers exceed the maximum allowed metadata size.";
    MethodNotAllowed 405 "The specified method is not allowed against this resource.";
    MissingContentLength 411 "You must provide the Content-Length HTTP header.";
    MissingRequestBodyError 400 "Request body is empty.";
    MissingSecurityHeader 400 "Your request is missing a required header.";
    NoSuchBucket 404 "The specified bucket does not exist.";
    NoSuchBucketPolicy 404 "The bucket policy does not exist";
    NoSuchCORSConfiguration 404 "The CORS configuration does not exist";
    NoSuchKey 404 "The specified key does not exist.";
    NoSuchLifecycleConfiguration 404 "The lifecycle configuration does not exist";
    NoSuchObjectLockConfiguration 404 "The specified object does not have a ObjectLock configuration";
    NoSuchConfiguration 404 "The specified configuration does not exist.";
    NoSuchPublicAccessBlockConfiguration 404 "The public access block configuration was not found";
    NoSuchQuota 404 "The specified resource does not have a quota.";
    NoSuchTagSet 404 "The TagSet does not exist";
    NoSuchUpload 404 "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed.";
    NoSuchVersion 404 "The specified version does not exist.";
    NoSuchWebsiteConfiguration 404 "The specified bucket does not have a website configuration";
    NotImplemented 501 "A header or query you provided implies functionality that is not implemented.";
    NotModified 304 "Not Modified";
    ObjectLockConfigurationNotFoundError 404 "Object Lock configuration does not exist for this bucket";
    OperationAborted 409 "A conflicting conditional operation is currently in progress against this resource. Please try again.";
    OwnershipControlsNotFoundError 404 "The bucket ownership controls were not found";
    PreconditionFailed 412 "At least one of the pre-conditions you specified did not hold";
    QuotaExceeded 429 "The quota set for the resource is exceeded.";
    ReplicationConfigurationNotFoundError 404 "The replication configuration was not found";
    RequestHeaderSectionTooLarge 400 "Your request header section exceeds the maximum allowed size.";
    RequestTimeout 400 "Your socket connection to the server was not read from or written to within the timeout period.";
    RequestTimeTooSkewed 403 "The difference between the request time and the current time is too large.";
    ServerSideEncryptionConfigurationNotFoundError 404 "The server side encryption configuration was not found";
    ServiceUnavailable 503 "Service is unable to handle request.";
    SignatureDoesNotMatch 403 "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    SlowDown 503 "Please reduce your request rate.";
    TooManyBuckets 400 "You have attempted to create more buckets than allowed.";
    TooManyConfigurations 400 "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.";
    UnexpectedContent 400 "This request contains unsupported content.";
    UnresolvableGrantByEmailAddress 400 "The e-mail address you provided does not match any account on record.";
    XAmzContentChecksumMismatch 400 "The provided checksum does not match what was computed.";
    XAmzContentSHA256Mismatch 400 "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

impl Code {
    /// The HTTP status that goes with the code.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// An error as a client receives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct S3Error {
    /// Says which it is.
    pub code: Code,
    /// One sentence for the client, without anything of the operator's.
    pub message: String,
    /// Further elements of the error document.
    pub fields: Vec<(&'static str, String)>,
    /// Further headers of the answer.
    pub headers: Vec<(&'static str, String)>,
    /// What only the operator is told.
    pub(crate) operator: Option<String>,
    /// The location that the message speaks of.
    pub(crate) location: Option<Box<LocationName>>,
}

impl S3Error {
    /// The code with the text that S3 has for it.
    pub fn new(code: Code) -> Self {
        Self::because(code, code.message())
    }

    /// The code with a text of its own.
    pub fn because(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new(), headers: Vec::new(), operator: None, location: None }
    }

    /// Adds an element to the error document.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same for somebody who may not know of the location that it speaks of.
    #[must_use]
    pub(crate) fn without_location(mut self) -> Self {
        self.message = self.code.message().to_owned();
        self.fields.retain(|(name, _)| *name != "Location");
        self
    }

    /// 501 for an operation or a header that is not there yet.
    pub fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::because(Code::NotImplemented, format!("{what} is not implemented by this server."))
    }

    /// 400 InvalidArgument in S3's form.
    pub fn argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        Self::because(Code::InvalidArgument, message).with("ArgumentName", name).with("ArgumentValue", value)
    }
}

impl From<Code> for S3Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}
