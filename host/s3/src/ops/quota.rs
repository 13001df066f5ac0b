//! Quotas of buckets, as CloudServer has them.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::xml::Document;
use http::StatusCode;
use sallyport_core::body::Body;

/// The document has one number in it.
const MAX_DOCUMENT: u64 = 4 << 10;

/// GetBucketQuota.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let bucket = call.bucket()?;
    let quota = call.gateway.quota(&call.caller(), &bucket).await?.ok_or(Code::NoSuchQuota)?;
    Ok(answer::xml(Document::bare("GetBucketQuota", |root| {
        root.text("Name", bucket.as_str());
        root.number("Quota", quota.most);
    })))
}

/// PutBucketQuota.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let quota = parse(&call.document(body, MAX_DOCUMENT).await?)?;
    call.gateway.set_quota(&call.caller(), &call.bucket()?, Some(quota)).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// DeleteBucketQuota.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    call.gateway.set_quota(&call.caller(), &call.bucket()?, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `{"quota": 1000}`, the number perhaps as a text.
fn parse(document: &[u8]) -> Result<u64, S3Error> {
    let invalid = |message: &str| S3Error::because(Code::InvalidArgument, message);
    let value: serde_json::Value =
        serde_json::from_slice(document).map_err(|_| invalid("Request body must be a JSON object"))?;
    let fields = value.as_object().ok_or_else(|| invalid("Request body must be a JSON object"))?;
    let number = fields.get("quota").and_then(|quota| match quota {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    let number = number.ok_or_else(|| invalid("Quota Value should be a number"))?;
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| invalid("Quota value must be a positive number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_positive_number_of_bytes() {
        assert_eq!(parse(br#"{"quota": 1000}"#), Ok(1000));
        assert_eq!(parse(br#"{"quota": "1000"}"#), Ok(1000));
        for wrong in
            [&b""[..], b"[]", b"{}", br#"{"quota": 0}"#, br#"{"quota": -1}"#, br#"{"quota": "x"}"#, b"<Quota/>"]
        {
            assert_eq!(parse(wrong).expect_err("refused").code, Code::InvalidArgument);
        }
    }
}
