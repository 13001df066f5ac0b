//! Tags: the header, the documents and the three operations of objects.

use crate::error::{Code, S3Error};
use crate::ops::answer::{self, Answer};
use crate::ops::call::Call;
use crate::uri::{self, Query};
use crate::xml::{Document, Element, malformed};
use http::StatusCode;
use sallyport_core::body::Body;

/// As many as AWS allows an object.
const MAX_TAGS: usize = 10;
/// A document of tags, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;

pub(crate) type Tags = Vec<(String, String)>;

/// `x-amz-tagging`: a query string.
pub(crate) fn parse_header(text: &str) -> Result<Tags, S3Error> {
    let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without \
                   tag name duplicates.";
    let query = Query::parse(text).map_err(|_| S3Error::argument("x-amz-tagging", text, message))?;
    let tags: Tags = query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    check(&tags, MAX_TAGS)?;
    Ok(tags)
}

/// The header that says the same as a form's document.
pub(crate) fn as_header(document: &str) -> Result<String, S3Error> {
    let tags = parse_document(document.as_bytes(), MAX_TAGS)?;
    let pairs: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("{}={}", uri::encode(key.as_bytes()), uri::encode(value.as_bytes())))
        .collect();
    Ok(pairs.join("&"))
}

/// A document of at most so many tags.
pub(crate) fn parse_document(document: &[u8], most: usize) -> Result<Tags, S3Error> {
    let root = Element::parse(document, "Tagging")?;
    root.only(&["TagSet"])?;
    let set = root.optional("TagSet")?.ok_or_else(malformed)?;
    set.only(&["Tag"])?;
    parse_set(set, most)
}

/// The tags in an element.
pub(crate) fn parse_set(set: &Element, most: usize) -> Result<Tags, S3Error> {
    let tags = set
        .all("Tag")
        .map(|tag| {
            tag.only(&["Key", "Value"])?;
            Ok((tag.required_text("Key")?.to_owned(), tag.required_text("Value")?.to_owned()))
        })
        .collect::<Result<Tags, S3Error>>()?;
    check(&tags, most)?;
    Ok(tags)
}

/// The document of some tags, by their keys: a set has no order of its own.
pub(crate) fn document(tags: &Tags) -> String {
    let mut tags = tags.clone();
    tags.sort();
    Document::s3("Tagging", |root| {
        root.nest("TagSet", |set| {
            for (key, value) in &tags {
                set.nest("Tag", |tag| {
                    tag.text("Key", key);
                    tag.text("Value", value);
                });
            }
        });
    })
}

fn check(tags: &Tags, most: usize) -> Result<(), S3Error> {
    let invalid = |message: &str| Err(S3Error::because(Code::InvalidTag, message));
    if tags.len() > most {
        let what = if most == MAX_TAGS { "Object" } else { "Bucket" };
        return invalid(&format!("{what} tags cannot be greater than {most}"));
    }
    for (position, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 || key.starts_with("aws:") {
            return invalid("The TagKey you have provided is invalid");
        }
        if value.chars().count() > 256 {
            return invalid("The TagValue you have provided is invalid");
        }
        if tags.iter().take(position).any(|(earlier, _)| earlier == key) {
            return invalid("Cannot provide multiple Tags with the same key");
        }
    }
    Ok(())
}

/// GetObjectTagging.
pub(crate) async fn get(call: &Call) -> Result<Answer, S3Error> {
    let (tags, version) = call.gateway.tags(&call.caller(), &call.bucket()?, &call.key()?, call.version()?).await?;
    let mut answer = answer::xml(document(&tags));
    answer::set_version(&mut answer, version.as_ref());
    Ok(answer)
}

/// PutObjectTagging.
pub(crate) async fn put(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let tags = parse_document(&call.document(body, MAX_DOCUMENT).await?, MAX_TAGS)?;
    replace(call, tags, StatusCode::OK).await
}

/// DeleteObjectTagging.
pub(crate) async fn delete(call: &Call) -> Result<Answer, S3Error> {
    replace(call, Vec::new(), StatusCode::NO_CONTENT).await
}

async fn replace(call: &Call, tags: Tags, status: StatusCode) -> Result<Answer, S3Error> {
    let version = call.gateway.set_tags(&call.caller(), &call.bucket()?, &call.key()?, call.version()?, tags).await?;
    let mut answer = answer::empty(status);
    answer::set_version(&mut answer, version.as_ref());
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_header_and_document() {
        let expected = vec![("a b".to_owned(), "1".to_owned()), ("c".to_owned(), String::new())];
        assert_eq!(parse_header("a%20b=1&c="), Ok(expected.clone()));
        let document = b"<Tagging><TagSet><Tag><Key>a b</Key><Value>1</Value></Tag>\
                         <Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>";
        assert_eq!(parse_document(document, MAX_TAGS), Ok(expected));
    }

    #[test]
    fn illegal_tags_are_refused() {
        let many: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
        for text in [many.join("&"), "a=1&a=2".into(), "=x".into(), format!("{}=x", "k".repeat(129))] {
            assert_eq!(parse_header(&text).expect_err("refused").code, Code::InvalidTag);
        }
    }
}
