//! Forms of browsers, and the policies in them.

use super::frames::{block_on, cut};
use crate::error::Code;
use crate::form::{Fields, Form, Policy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use time::OffsetDateTime;

const IDLE: Duration = Duration::from_secs(60);
const BUCKET: &str = "bucket";

/// Takes a line with the Content-Type, and a body.
pub fn form(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = input.split_at(end);
    let Ok(content_type) = std::str::from_utf8(line) else { return };
    let content_type = content_type.trim_end_matches('\r');
    let body = body.get(1..).unwrap_or_default();
    let whole = read(content_type, body, &[]);
    // Where frames end says nothing of the form.
    for sizes in [&[1][..], &[7, 1, 64]] {
        if sizes.len() > 1 || body.len() < 4096 {
            assert_eq!(read(content_type, body, sizes), whole, "in frames of {sizes:?}");
        }
    }
    let Ok((fields, file)) = whole else { return };
    written_and_read_again(&fields, &file);
    policies(&fields);
}

fn read(content_type: &str, body: &[u8], sizes: &[usize]) -> Result<(Fields, Vec<u8>), Code> {
    block_on(async {
        let mut form = Form::read(content_type, cut(body, sizes), IDLE).await.map_err(|error| error.code)?;
        let mut file = Vec::new();
        while let Some(chunk) = form.file.chunk().await.map_err(|error| error.code)? {
            file.extend_from_slice(&chunk);
        }
        Ok((form.fields, file))
    })
}

/// What a form said, said in another form.
fn written_and_read_again(fields: &Fields, file: &[u8]) {
    const BOUNDARY: &str = "0123456789abcdef-unlikely";
    let is_plain =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte)) && name != "file";
    let may_hold = |bytes: &[u8]| !bytes.windows(BOUNDARY.len()).any(|window| window == BOUNDARY.as_bytes());
    if !fields.iter().all(|(name, value)| is_plain(name) && may_hold(value.as_bytes())) || !may_hold(file) {
        return;
    }
    let mut body = Vec::new();
    for (name, value) in fields.iter() {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    // The name of the file is put where fields ask for it: asked for again, they get the question.
    let head =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"${{filename}}\"\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let read = read(&format!("multipart/form-data; boundary={BOUNDARY}"), &body, &[]);
    assert_eq!(read, Ok((fields.clone(), file.to_vec())));
}

/// A policy is base64 in a form; one that begins with a brace is taken as what that would hold.
fn policies(fields: &Fields) {
    let Some(text) = fields.value("policy") else { return };
    let encoded = if text.starts_with('{') { STANDARD.encode(text) } else { text.to_owned() };
    let Ok(policy) = Policy::parse(&encoded) else { return };
    let (least, most) = policy.length();
    let _ = least.max(most);
    let early = OffsetDateTime::UNIX_EPOCH - time::Duration::days(365 * 200);
    let outcome = policy.check(fields, BUCKET, early);
    let late = time::PrimitiveDateTime::MAX.assume_utc();
    let is_read = encoded != text && !text.contains("9999");
    assert!(!is_read || policy.check(fields, BUCKET, late).is_err(), "no policy is for ever");
    if outcome.is_err() {
        return;
    }
    for (name, _) in fields.iter() {
        let free = ["awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"].contains(&name)
            || name.starts_with("x-ignore-")
            || name.starts_with("x-amz-checksum-");
        // Escapes in JSON would hide a name: then nothing can be said here.
        let document = text.to_ascii_lowercase();
        let says = !text.starts_with('{') || document.contains('\\') || document.contains(name);
        assert!(free || says, "{name} is in no condition");
    }
    let mut more = fields.clone();
    more.push("x-amz-meta-that-nobody-names", "1".to_owned());
    let named = encoded != text && text.to_ascii_lowercase().contains("that-nobody-names");
    assert!(named || encoded == text || text.contains('\\') || policy.check(&more, BUCKET, early).is_err());
}
