//! DeleteObjects: up to a thousand at once, each with its own outcome.

use crate::dates;
use crate::error::S3Error;
use crate::log_line::Removed;
use crate::ops::answer::{self, Answer};
use crate::ops::call::{Call, object_key};
use crate::ops::{headers, object_lock};
use crate::xml::{Document, Element, malformed};
use futures::StreamExt;
use sallyport_core::DeleteObject;
use sallyport_core::body::Body;
use sallyport_core::metadata::{Deleted, WriteConditions};
use sallyport_core::names::{BucketName, VersionId};

const MAX_OBJECTS: usize = 1000;
/// As AWS limits it, in bytes.
const MAX_DOCUMENT: u64 = 2 << 20;
/// How many are deleted at a time.
const CONCURRENCY: usize = 16;

pub(crate) struct Asked {
    key: String,
    version: Option<String>,
    conditions: WriteConditions,
}

/// DeleteObjects.
pub(crate) async fn run(call: &Call, body: Body) -> Result<Answer, S3Error> {
    let bucket = call.bucket()?;
    let (asked, quiet) = parse(&call.configuration(body, MAX_DOCUMENT).await?)?;
    call.gateway.bucket(&bucket).await?;
    let outcomes: Vec<(Asked, Result<Deleted, S3Error>)> =
        futures::stream::iter(asked).map(|asked| delete(call, &bucket, asked)).buffered(CONCURRENCY).collect().await;
    let document = Document::s3("DeleteResult", |root| {
        for (asked, outcome) in &outcomes {
            match outcome {
                Ok(deleted) if !quiet => root.nest("Deleted", |element| describe(element, asked, deleted)),
                Ok(_) => {}
                Err(error) => root.nest("Error", |element| {
                    if let Some(cause) = &error.operator {
                        tracing::error!(request.id = call.request_id, code = error.code.name(), "{cause}");
                    }
                    element.text("Key", &asked.key);
                    if let Some(version) = &asked.version {
                        element.text("VersionId", version);
                    }
                    element.text("Code", error.code.name());
                    element.text("Message", &error.message);
                }),
            }
        }
    });
    let mut answer = answer::xml(document);
    answer.extensions_mut().insert(outcomes.iter().map(removed).collect::<Vec<_>>());
    Ok(answer)
}

/// For the bucket's log.
fn removed((asked, outcome): &(Asked, Result<Deleted, S3Error>)) -> Removed {
    let (key, version) = (asked.key.clone(), asked.version.clone().unwrap_or_default());
    match outcome {
        Ok(_) => Removed { key, version, status: 204, code: "" },
        Err(error) => Removed { key, version, status: error.code.status().as_u16(), code: error.code.name() },
    }
}

fn describe(element: &mut Document, asked: &Asked, deleted: &Deleted) {
    element.text("Key", &asked.key);
    if let Some(version) = &asked.version {
        element.text("VersionId", version);
    }
    let marker = match deleted {
        Deleted::Marker { id } | Deleted::Version { id, was_marker: true } => Some(id),
        Deleted::Nothing | Deleted::Object | Deleted::Version { .. } | Deleted::Refused(_) => None,
    };
    if let Some(marker) = marker {
        element.text("DeleteMarker", "true");
        element.text("DeleteMarkerVersionId", marker.as_str());
    }
}

async fn delete(call: &Call, bucket: &BucketName, asked: Asked) -> (Asked, Result<Deleted, S3Error>) {
    let key = match object_key(&asked.key) {
        Ok(key) => key,
        Err(error) => return (asked, Err(error)),
    };
    let request = DeleteObject {
        caller: call.caller(),
        bucket: bucket.clone(),
        key,
        version: asked.version.as_deref().map(VersionId::from_client),
        conditions: asked.conditions.clone(),
        bypass_governance: object_lock::bypass(&call.head),
    };
    let outcome = call.gateway.delete_object(request).await.map_err(S3Error::from);
    (asked, outcome)
}

pub(crate) fn parse(document: &[u8]) -> Result<(Vec<Asked>, bool), S3Error> {
    let root = Element::parse(document, "Delete")?;
    root.only(&["Object", "Quiet"])?;
    let quiet = root.optional_text("Quiet")?.is_some_and(|quiet| quiet.trim().eq_ignore_ascii_case("true"));
    let asked = root.all("Object").map(parse_object).collect::<Result<Vec<_>, S3Error>>()?;
    if asked.is_empty() || asked.len() > MAX_OBJECTS {
        return Err(malformed());
    }
    Ok((asked, quiet))
}

fn parse_object(object: &Element) -> Result<Asked, S3Error> {
    object.only(&["Key", "VersionId", "ETag", "LastModifiedTime", "Size"])?;
    let size = object.optional_text("Size")?.map(|size| size.trim().parse().map_err(|_| malformed()));
    // A condition that cannot be read must not be none.
    let time = object.optional_text("LastModifiedTime")?;
    let time = time.map(|time| dates::parse_header(time.trim()).ok_or_else(malformed));
    Ok(Asked {
        key: object.required_text("Key")?.to_owned(),
        version: object.optional_text("VersionId")?.filter(|version| !version.is_empty()).map(str::to_owned),
        conditions: WriteConditions {
            if_match: object.optional_text("ETag")?.map(headers::etags),
            if_none_match: None,
            if_last_modified: time.transpose()?,
            if_size: size.transpose()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_a_thousand_objects_are_taken() {
        let object = "<Object><Key>k</Key><VersionId>v</VersionId></Object>";
        let of = |count: usize| format!("<Delete>{}<Quiet>true</Quiet></Delete>", object.repeat(count));
        let (asked, quiet) = parse(of(1000).as_bytes()).expect("legal");
        assert_eq!((asked.len(), quiet), (1000, true));
        assert!(parse(of(0).as_bytes()).is_err());
        assert!(parse(of(1001).as_bytes()).is_err());
        assert!(parse(b"<Delete><Object/></Delete>").is_err());
        let timed = |time: &str| {
            let object = format!("<Object><Key>k</Key><LastModifiedTime>{time}</LastModifiedTime></Object>");
            parse(format!("<Delete>{object}</Delete>").as_bytes()).map(|(asked, _)| asked.len())
        };
        assert_eq!(timed("Mon, 12 Oct 2009 17:50:30 GMT"), Ok(1));
        assert!(timed("yesterday").is_err(), "the object would be deleted whenever it was changed");
    }
}
