//! Signatures in the fields of a form: what they sign is the form's policy.

use crate::auth::credentials::{Account, Credentials};
use crate::auth::dates;
use crate::auth::identity::Identity;
use crate::auth::signing::{ALGORITHM, Credential, SigningKey};
use crate::auth::v2;
use crate::auth::v4::account;
use crate::error::{Code, S3Error};
use crate::form::Fields;
use sallyport_core::access::SignaturePlace;

/// Verifies the signature of the policy; the form has one.
pub(crate) fn authenticate_form(
    fields: &Fields,
    policy: &str,
    credentials: &dyn Credentials,
) -> Result<Identity, S3Error> {
    if fields.value("x-amz-security-token").is_some() {
        // No session tokens are given out here, so none can be genuine.
        return Err(Code::InvalidToken.into());
    }
    // A form's file has no hash and no chunks of its own.
    if fields.value("x-amz-algorithm").is_some() || fields.value("x-amz-signature").is_some() {
        let identity = Identity::from(version4(fields, policy, credentials)?);
        let made = fields.value("x-amz-date").and_then(dates::parse_basic);
        Ok(identity.signed_v4(SignaturePlace::Form, made))
    } else {
        let identity = Identity::from(version2(fields, policy, credentials)?);
        Ok(identity.signed_v2(SignaturePlace::Form, None))
    }
}

fn required<'a>(fields: &'a Fields, shown: &str) -> Result<&'a str, S3Error> {
    let value = fields.value(&shown.to_ascii_lowercase());
    value.filter(|value| !value.is_empty()).ok_or_else(|| missing(shown))
}

/// A field without which a form is refused.
pub(crate) fn missing(name: &str) -> S3Error {
    let message = format!(
        "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    );
    S3Error::argument(name, "", message)
}

fn version4(fields: &Fields, policy: &str, credentials: &dyn Credentials) -> Result<Account, S3Error> {
    if required(fields, "X-Amz-Algorithm")? != ALGORITHM {
        return Err(S3Error::argument("X-Amz-Algorithm", "", "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let text = required(fields, "X-Amz-Credential")?;
    let credential = Credential::parse(text).map_err(|why| {
        S3Error::argument("X-Amz-Credential", text, format!("Error parsing the X-Amz-Credential parameter; {why}"))
    })?;
    let date = required(fields, "X-Amz-Date")?;
    if !date.starts_with(&credential.date) {
        let message = "Invalid credential date: this date is not the same as X-Amz-Date.";
        return Err(S3Error::argument("X-Amz-Date", date, message));
    }
    let signature = required(fields, "X-Amz-Signature")?;
    let account = account(&credential.access_key, credentials)?;
    if SigningKey::derive(&account.secret, &credential).verifies(policy, signature) {
        return Ok(account);
    }
    Err(differs(&credential.access_key, policy, signature))
}

fn version2(fields: &Fields, policy: &str, credentials: &dyn Credentials) -> Result<Account, S3Error> {
    let access_key = required(fields, "AWSAccessKeyId")?;
    let signature = required(fields, "Signature")?;
    let account = account(access_key, credentials)?;
    if v2::verifies(&account.secret, policy, signature) {
        return Ok(account);
    }
    Err(differs(access_key, policy, signature))
}

fn differs(access_key: &str, policy: &str, signature: &str) -> S3Error {
    S3Error::new(Code::SignatureDoesNotMatch)
        .with("AWSAccessKeyId", access_key)
        .with("StringToSign", policy)
        .with("SignatureProvided", signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::example::Example;

    /// The policy and signature that AWS publishes as the example of
    /// [browser-based uploads](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html).
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    const SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";

    fn fields(signature: &str) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in [
            ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Date", "20151229T000000Z"),
            ("X-Amz-Signature", signature),
        ] {
            fields.push(name, value.to_owned());
        }
        fields
    }

    #[test]
    fn aws_own_example_is_genuine_and_a_changed_one_is_not() {
        let identity = authenticate_form(&fields(SIGNATURE), POLICY, &Example).expect("genuine");
        assert_eq!(identity.account.as_str(), "example");
        let changed = POLICY.replacen("eyAi", "eyBi", 1);
        let error = authenticate_form(&fields(SIGNATURE), &changed, &Example).expect_err("changed");
        assert_eq!(error.code, Code::SignatureDoesNotMatch);
    }

    #[test]
    fn a_policy_without_a_whole_signature_is_refused() {
        let mut partial = Fields::default();
        partial.push("AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE".to_owned());
        assert_eq!(authenticate_form(&partial, POLICY, &Example).expect_err("refused").code, Code::InvalidArgument);
        assert_eq!(authenticate_form(&fields(""), POLICY, &Example).expect_err("refused").code, Code::InvalidArgument);
    }
}
