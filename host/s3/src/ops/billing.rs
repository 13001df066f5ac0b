//! Who pays for requests and whether they are accelerated: kept and told, without effect.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::access::Action;
use sallyport_core::body::Body;
use sallyport_core::metadata::BucketSettings;

/// Either document, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;

/// PutBucketRequestPayment.
pub(crate) async fn set_payer(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let pays = parse_payer(&call.document(body, MAX_DOCUMENT).await?)?;
    let change = move |settings: &mut BucketSettings| settings.requester_pays = pays;
    call.gateway.configure(&call.caller, Action::PutBucketRequestPayment, &call.bucket()?, change).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketRequestPayment.
pub(crate) async fn payer(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetBucketRequestPayment).await?;
    let payer = if bucket.settings.requester_pays { "Requester" } else { "BucketOwner" };
    Ok(answer::xml(Document::s3("RequestPaymentConfiguration", |root| root.text("Payer", payer))))
}

/// PutBucketAccelerateConfiguration.
pub(crate) async fn set_acceleration(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let name = call.bucket()?;
    let accelerated = parse_acceleration(&call.document(body, MAX_DOCUMENT).await?)?;
    if name.as_str().contains('.') {
        let message = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names";
        return Err(S3Error::because(Code::InvalidRequest, message));
    }
    let change = move |settings: &mut BucketSettings| settings.accelerated = Some(accelerated);
    call.gateway.configure(&call.caller, Action::PutAccelerateConfiguration, &name, change).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// GetBucketAccelerateConfiguration.
pub(crate) async fn acceleration(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket_for(Action::GetAccelerateConfiguration).await?;
    Ok(answer::xml(Document::s3("AccelerateConfiguration", |root| match bucket.settings.accelerated {
        None => {}
        Some(true) => root.text("Status", "Enabled"),
        Some(false) => root.text("Status", "Suspended"),
    })))
}

/// Whether who asks pays.
pub(crate) fn parse_payer(document: &[u8]) -> Result<bool, S3Error> {
    let root = Element::parse(document, "RequestPaymentConfiguration")?;
    root.only(&["Payer"])?;
    match root.required_text("Payer")?.trim() {
        "Requester" => Ok(true),
        "BucketOwner" => Ok(false),
        _ => Err(malformed()),
    }
}

/// Whether it is on.
pub(crate) fn parse_acceleration(document: &[u8]) -> Result<bool, S3Error> {
    let root = Element::parse(document, "AccelerateConfiguration")?;
    root.only(&["Status"])?;
    match root.required_text("Status")?.trim() {
        "Enabled" => Ok(true),
        "Suspended" => Ok(false),
        _ => Err(malformed()),
    }
}
