//! AWS's published examples, and every way in which a signature can be wrong.

use super::example::{Example, SECRET};
use super::*;
use http::Request;
use time::macros::datetime;

const WEEK: Duration = Duration::from_secs(604_800);

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Head {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Head::parse(&request.body(()).expect("legal").into_parts().0).expect("legal")
}

fn v4(signed: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={signed},Signature={signature}"
    )
}

const DAY: OffsetDateTime = datetime!(2013-05-24 00:00:00 UTC);
const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

fn verify(head: &Head, now: OffsetDateTime) -> Result<Identity, S3Error> {
    authenticate(head, None, &Example, WEEK, now)
}

#[test]
fn aws_v4_get_with_a_range() {
    let authorization = v4(
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    let request = head(
        "GET",
        "/test.txt",
        &[
            HOST,
            DATE,
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("authorization", &authorization),
        ],
    );
    assert_eq!(verify(&request, DAY).expect("genuine").display_name, "example");
}

#[test]
fn aws_v4_put_with_a_dollar_in_the_key() {
    let authorization = v4(
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    let headers = [
        HOST,
        DATE,
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
        ("authorization", &authorization),
    ];
    // Sent with and without encoding the dollar: the same key, the same signature.
    for path in ["/test%24file.text", "/test$file.text"] {
        assert!(verify(&head("PUT", path, &headers), DAY).is_ok(), "{path}");
    }
}

#[test]
fn aws_v4_subresource_and_listing() {
    let signed = "host;x-amz-content-sha256;x-amz-date";
    for (uri, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let authorization = v4(signed, signature);
        let headers = [HOST, DATE, ("x-amz-content-sha256", EMPTY_SHA256), ("authorization", &authorization)];
        assert!(verify(&head("GET", uri, &headers), DAY).is_ok(), "{uri}");
    }
}

const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524\
     %2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
     &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn aws_v4_presigned_until_it_expires() {
    let request = head("GET", PRESIGNED, &[HOST]);
    assert!(verify(&request, DAY + time::Duration::hours(24)).is_ok());
    let error = verify(&request, DAY + time::Duration::seconds(86_401)).expect_err("expired");
    assert_eq!((error.code, error.message.as_str()), (Code::AccessDenied, "Request has expired"));
    let error = verify(&request, DAY - time::Duration::minutes(16)).expect_err("early");
    assert_eq!((error.code, error.message.as_str()), (Code::AccessDenied, "Request is not valid yet"));
}

#[test]
fn a_presigned_url_lasts_a_week_at_most() {
    let request = head("GET", &PRESIGNED.replace("=86400", "=604801"), &[HOST]);
    assert_eq!(verify(&request, DAY).expect_err("refused").code, Code::AuthorizationQueryParametersError);
}

#[test]
fn a_presigned_url_without_a_part_is_malformed() {
    let request = head("GET", &PRESIGNED.replace("X-Amz-Expires=86400&", ""), &[HOST]);
    assert_eq!(verify(&request, DAY).expect_err("refused").code, Code::AuthorizationQueryParametersError);
}

fn list_with(headers: &[(&str, &str)], now: OffsetDateTime) -> S3Error {
    verify(&head("GET", "/?max-keys=2&prefix=J", headers), now).expect_err("refused")
}

#[test]
fn each_wrong_v4_header_has_its_own_code() {
    let good =
        v4("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    let payload = ("x-amz-content-sha256", EMPTY_SHA256);
    let code = |authorization: &str, now| list_with(&[HOST, DATE, payload, ("authorization", authorization)], now).code;
    assert_eq!(code(&good, DAY + time::Duration::minutes(16)), Code::RequestTimeTooSkewed);
    assert_eq!(code(&good.replace("34b4", "35b4"), DAY), Code::SignatureDoesNotMatch);
    assert_eq!(code(&good.replace("AKIA", "BKIA"), DAY), Code::InvalidAccessKeyId);
    assert_eq!(code(&good.replace("/s3/", "/ec2/"), DAY), Code::AuthorizationHeaderMalformed);
    assert_eq!(code(&good.replace("20130524", "20130523"), DAY), Code::AuthorizationHeaderMalformed);
    assert_eq!(code("AWS4-HMAC-SHA256 nonsense", DAY), Code::AuthorizationHeaderMalformed);
    assert_eq!(code("Basic abc", DAY), Code::InvalidArgument);
    let error = list_with(&[HOST, DATE, ("authorization", &good)], DAY);
    assert_eq!(error.code, Code::MissingSecurityHeader);
    let error = list_with(&[HOST, DATE, payload, ("x-amz-meta-a", "b"), ("authorization", &good)], DAY);
    assert_eq!(error.code, Code::AccessDenied);
    assert!(error.fields.contains(&("HeadersNotSigned", "x-amz-meta-a".to_owned())));
}

#[test]
fn any_region_of_the_scope_is_accepted() {
    let key = signing::SigningKey::derive(
        &Secret::new(SECRET),
        &signing::Credential::parse("AKIAIOSFODNN7EXAMPLE/20130524/aws-test/s3/aws4_request").expect("legal"),
    );
    let request = |authorization: &str| {
        head("GET", "/", &[HOST, DATE, ("x-amz-content-sha256", EMPTY_SHA256), ("authorization", authorization)])
    };
    let signed = ["host", "x-amz-content-sha256", "x-amz-date"];
    let canonical = signing::canonical_request(&request(""), &signed, EMPTY_SHA256, None);
    let text = signing::string_to_sign("20130524T000000Z", "20130524/aws-test/s3/aws4_request", &canonical);
    let authorization = v4(&signed.join(";"), &key.sign(&text)).replace("us-east-1", "aws-test");
    assert!(verify(&request(&authorization), DAY).is_ok());
}

#[test]
fn a_signature_that_differs_shows_what_was_compared() {
    let authorization = v4("host;x-amz-content-sha256;x-amz-date", "00");
    let error = list_with(&[HOST, DATE, ("x-amz-content-sha256", "x"), ("authorization", &authorization)], DAY);
    let names: Vec<&str> = error.fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "AWSAccessKeyId",
            "StringToSign",
            "SignatureProvided",
            "StringToSignBytes",
            "CanonicalRequest",
            "CanonicalRequestBytes"
        ]
    );
    assert!(!format!("{error:?}").contains(SECRET));
}

#[test]
fn who_does_not_sign_is_anonymous() {
    for headers in [&[HOST][..], &[HOST, ("authorization", "")]] {
        let identity = authenticate(&head("GET", "/", headers), None, &Example, WEEK, OffsetDateTime::UNIX_EPOCH);
        assert!(identity.expect("nobody to refuse").account.is_anonymous());
    }
}

const V2_HOST: (&str, &str) = ("host", "johnsmith.s3.amazonaws.com");

fn v2(method: &str, uri: &str, date: &str, signature: &str, more: &[(&str, &str)]) -> Result<Identity, S3Error> {
    let authorization = format!("AWS AKIAIOSFODNN7EXAMPLE:{signature}");
    let mut headers = vec![V2_HOST, ("date", date), ("authorization", &authorization)];
    headers.extend(more);
    let now = datetime!(2007-03-27 20:30:00 UTC);
    let time = dates::parse_http(date).unwrap_or(now);
    authenticate(&head(method, uri, &headers), Some("johnsmith"), &Example, WEEK, time)
}

#[test]
fn aws_v2_examples() {
    for (method, uri, date, signature) in [
        ("GET", "/photos/puppy.jpg", "Tue, 27 Mar 2007 19:36:42 +0000", "bWq2s1WEIj+Ydj0vQ697zp+IXMU="),
        (
            "GET",
            "/?prefix=photos&max-keys=50&marker=puppy",
            "Tue, 27 Mar 2007 19:42:41 +0000",
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
        ),
        ("GET", "/?acl", "Tue, 27 Mar 2007 19:44:46 +0000", "c2WLPFtWHVgbEmeEG93a4cG37dM="),
    ] {
        assert!(v2(method, uri, date, signature, &[]).is_ok(), "{uri}");
    }
    let jpeg = [("content-type", "image/jpeg"), ("content-length", "94328")];
    let date = "Tue, 27 Mar 2007 21:15:45 +0000";
    assert!(v2("PUT", "/photos/puppy.jpg", date, "MyyxeRY7whkBe+bq8fHCL/2kKUg=", &jpeg).is_ok());
    let error = v2("PUT", "/photos/puppy.jpg", date, "NyyxeRY7whkBe+bq8fHCL/2kKUg=", &jpeg).expect_err("refused");
    assert_eq!(error.code, Code::SignatureDoesNotMatch);
}

#[test]
fn aws_v2_presigned_until_it_expires() {
    let uri = "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D\
               &Expires=1175139620";
    let request = head("GET", uri, &[V2_HOST]);
    let end = OffsetDateTime::from_unix_timestamp(1_175_139_620).expect("legal");
    let at = |now| authenticate(&request, Some("johnsmith"), &Example, WEEK, now);
    assert!(at(end - time::Duration::hours(1)).is_ok());
    assert_eq!(at(end + time::Duration::seconds(1)).expect_err("expired").message, "Request has expired");
    assert_eq!(at(end - time::Duration::days(8)).expect_err("too far").code, Code::AccessDenied);
}

#[test]
fn wrong_v2_headers_answer_as_s3_does() {
    let code = |authorization: &str, date: &str| {
        let request = head("GET", "/", &[V2_HOST, ("date", date), ("authorization", authorization)]);
        verify(&request, datetime!(2007-03-27 19:36:42 UTC)).expect_err("refused").code
    };
    let date = "Tue, 27 Mar 2007 19:36:42 +0000";
    assert_eq!(code("AWS HAHAHA", date), Code::InvalidArgument);
    assert_eq!(code("AWS AKIAIGR7ZNNBHC5BKSUB:FWeDfwojDSdS2Ztmpfeubhd9isU=", date), Code::InvalidAccessKeyId);
    assert_eq!(code("AWS AKIAIOSFODNN7EXAMPLE:abc=", "Bad Date"), Code::AccessDenied);
    assert_eq!(code("AWS AKIAIOSFODNN7EXAMPLE:abc=", "Tue, 07 Jul 2037 21:53:04 GMT"), Code::RequestTimeTooSkewed);
}
