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
    let root = Element::parse(&call.document(body, MAX_DOCUMENT).await?, "RequestPaymentConfiguration")?;
    root.only(&["Payer"])?;
    let pays = match root.required_text("Payer")?.trim() {
        "Requester" => true,
        "BucketOwner" => false,
        _ => return Err(malformed()),
    };
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
    let root = Element::parse(&call.document(body, MAX_DOCUMENT).await?, "AccelerateConfiguration")?;
    root.only(&["Status"])?;
    let accelerated = match root.required_text("Status")?.trim() {
        "Enabled" => true,
        "Suspended" => false,
        _ => return Err(malformed()),
    };
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
