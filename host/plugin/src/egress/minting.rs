//! Requests that would make an upstream hand out credentials: they are refused before they are
//! signed, so that no such answer ever reaches a plugin.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use percent_encoding::percent_decode_str;

/// Actions of AWS's query interfaces that answer with credentials.
const ACTIONS: [&str; 5] =
    ["assumerole", "getsessiontoken", "getfederationtoken", "createaccesskey", "createservicespecificcredential"];
/// Elements and members by which credentials are known in an answer that was not expected.
pub(super) const MINTED: [&[u8]; 6] = [
    b"<SecretAccessKey>",
    b"<SessionToken>",
    b"\"SecretAccessKey\"",
    b"\"secretAccessKey\"",
    b"<SignedOid>",
    // Ceph's users.
    b"\"secret_key\"",
];

/// What a request would have minted, by its name; `None` for all that is fine.
pub(super) fn minted_by(request: &Parts, sigv4: bool) -> Option<&'static str> {
    let query = request.uri.query().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().to_ascii_lowercase();
        match (decode(name).as_str(), decode(value).as_str()) {
            ("action", action) if ACTIONS.iter().any(|known| action.starts_with(known)) => return Some("STS"),
            ("session", _) if sigv4 => return Some("CreateSession"),
            ("comp", "userdelegationkey") => return Some("Get User Delegation Key"),
            _ => {}
        }
    }
    if !sigv4 {
        return None;
    }
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // S3 has no such bodies at this path, and the action of STS stands in them, out of sight. An
    // object may well be of that type: its path has a key.
    const FORM: &str = "application/x-www-form-urlencoded";
    let is_form = |text: &str| text.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM));
    let may_be = request.method == http::Method::POST && matches!(request.uri.path(), "" | "/");
    if may_be && is_form(header(CONTENT_TYPE.as_str())) {
        return Some("a form of AWS's query interfaces");
    }
    let target = header("x-amz-target").to_ascii_lowercase();
    if ["securitytoken", "credential", "accesskey"].iter().any(|word| target.contains(word)) {
        return Some("credentials");
    }
    let mut labels = request.uri.host().unwrap_or_default().split('.').take(2);
    labels.any(|label| label.eq_ignore_ascii_case("sts")).then_some("STS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uri: &str, headers: &[(&str, &str)], sigv4: bool) -> Option<&'static str> {
        let mut request = http::Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        minted_by(&request.body(()).expect("a request").into_parts().0, sigv4)
    }

    #[test]
    fn what_mints_credentials_is_known_by_name() {
        for (uri, headers, name) in [
            ("https://minio:9000/?Action=AssumeRole&Version=2011-06-15", &[][..], "STS"),
            ("https://minio:9000/?%41ction=assumerolewithwebidentity", &[], "STS"),
            ("https://h/?Action=GetSessionToken", &[], "STS"),
            ("https://bucket.s3express-use1-az4.us-east-1.amazonaws.com/?session", &[], "CreateSession"),
            ("https://h/?session=", &[], "CreateSession"),
            (
                "https://acc.blob.core.windows.net/?restype=service&comp=userdelegationkey",
                &[],
                "Get User Delegation Key",
            ),
            (
                "https://minio:9000/",
                &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
                "a form of AWS's query interfaces",
            ),
            (
                "https://cognito/",
                &[("x-amz-target", "AWSCognitoIdentityService.GetCredentialsForIdentity")],
                "credentials",
            ),
            ("https://sts.eu-west-1.amazonaws.com/", &[], "STS"),
        ] {
            assert_eq!(ask(uri, headers, true), Some(name), "{uri}");
        }
    }

    #[test]
    fn what_storage_is_asked_passes() {
        for uri in [
            "https://h/bucket?list-type=2&prefix=session",
            "https://h/bucket/Action=AssumeRole",
            "https://h/bucket/key?uploadId=x&partNumber=1",
            "https://sts-like-bucket-name.s3.amazonaws.com/x?acl",
            "https://acc.blob.core.windows.net/c?comp=list",
        ] {
            let found = ask(uri, &[("content-type", "application/xml")], true);
            assert_eq!(found, None, "{uri}");
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(ask("https://h/bucket/key?uploads", &form, true), None, "an object of that type");
        assert_eq!(ask("https://dfs/?action=append", &[], true), None);
        assert_eq!(ask("https://h/?session", &[], false), None);
    }
}
