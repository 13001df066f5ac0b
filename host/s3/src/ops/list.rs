//! Listings of objects and versions.

use crate::dates;
use crate::error::S3Error;
use crate::ops::answer::{self, Answer, quoted};
use crate::ops::call::Call;
use crate::uri;
use crate::xml::Document;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_core::metadata::{ListQuery, Listed, ListedPage, Version, VersionQuery};
use sallyport_core::names::{AccountId, VersionId};

/// The most that a page holds.
pub(crate) const MAX_PAGE: u32 = 1000;

/// What all listings have in common.
pub(crate) struct Page<'a> {
    call: &'a Call,
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    pub(crate) limit: u32,
    pub(crate) url: bool,
}

/// Where a page starts that is ordered by keys and ids.
#[derive(Clone, Copy)]
pub(crate) struct Marker<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// Reads prefix, delimiter, encoding and the parameter that limits the page.
    pub(crate) fn parse(call: &'a Call, limit: &'static str) -> Result<Self, S3Error> {
        let url = match call.head.query.value("encoding-type") {
            None | Some("") => false,
            Some("url") => true,
            Some(other) => {
                return Err(S3Error::argument("encoding-type", other, "Invalid Encoding Method specified in Request"));
            }
        };
        let delimiter = call.head.query.value("delimiter").filter(|delimiter| !delimiter.is_empty());
        // Ceph's extension: every order is allowed, so ours is, but folding needs an order.
        if delimiter.is_some() && call.head.query.value("allow-unordered") == Some("true") {
            let message = "allow-unordered cannot be combined with a delimiter";
            return Err(S3Error::argument("allow-unordered", "true", message));
        }
        let limit = match call.head.query.value(limit) {
            None | Some("") => MAX_PAGE,
            Some(_) => call.number(limit)?.unwrap_or(MAX_PAGE).min(MAX_PAGE),
        };
        Ok(Self { call, prefix: call.head.query.value("prefix").unwrap_or_default(), delimiter, limit, url })
    }

    /// A key as the client asked to have it.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.url { uri::encode_listed(key) } else { key.to_owned() }
    }

    /// A parameter that is neither absent nor empty.
    pub(crate) fn marker(&self, name: &str) -> Option<&'a str> {
        self.call.head.query.value(name).filter(|marker| !marker.is_empty())
    }

    fn head(&self, root: &mut Document, limit: &str) {
        root.text("Name", self.call.bucket.as_deref().unwrap_or_default());
        root.text("Prefix", self.key(self.prefix));
        if let Some(delimiter) = self.delimiter {
            root.text("Delimiter", self.key(delimiter));
        }
        root.number(limit, self.limit);
        if self.url {
            root.text("EncodingType", "url");
        }
    }

    /// Where the page starts and, when there is one, the next: by key, then by the id that
    /// `id` names.
    pub(crate) fn markers(&self, root: &mut Document, id: &str, from: Marker<'_>, next: Option<Marker<'_>>) {
        root.text("KeyMarker", self.key(from.key.unwrap_or_default()));
        root.text(&format!("{id}Marker"), from.id.unwrap_or_default());
        root.text("IsTruncated", next.is_some().to_string());
        let Some(next) = next else { return };
        root.text("NextKeyMarker", self.key(next.key.unwrap_or_default()));
        if let Some(next) = next.id {
            root.text(&format!("Next{id}Marker"), next);
        }
    }

    pub(crate) fn owner(&self, element: &mut Document, name: &str, owner: &AccountId) {
        element.nest(name, |element| {
            element.text("ID", owner.as_str());
            element.text("DisplayName", self.call.display_name(owner));
        });
    }

    pub(crate) fn common_prefixes<'b>(&self, root: &mut Document, prefixes: impl Iterator<Item = &'b str>) {
        for prefix in prefixes {
            root.nest("CommonPrefixes", |element| element.text("Prefix", self.key(prefix)));
        }
    }

    fn entries(&self, root: &mut Document, entries: &[Listed], with_owner: bool) {
        for version in objects(entries) {
            root.nest("Contents", |element| self.object(element, version, with_owner));
        }
        self.common_prefixes(root, prefixes(entries));
    }

    fn object(&self, element: &mut Document, version: &Version, with_owner: bool) {
        element.text("Key", self.key(version.key.as_str()));
        element.text("LastModified", dates::document(version.last_modified));
        element.text("ETag", quoted(&version.etag));
        for checksum in &version.checksums {
            element.text("ChecksumAlgorithm", checksum.algorithm.to_ascii_uppercase());
            element.text("ChecksumType", answer::kind(checksum.kind));
        }
        element.number("Size", version.size);
        if with_owner {
            self.owner(element, "Owner", &version.owner);
        }
        element.text("StorageClass", &version.storage_class);
    }

    async fn objects(&self, after: Option<&str>) -> Result<ListedPage, S3Error> {
        let query = ListQuery {
            bucket: self.call.bucket()?,
            prefix: self.prefix.to_owned(),
            delimiter: self.delimiter.map(str::to_owned),
            after: after.map(str::to_owned),
            limit: self.limit as usize,
        };
        Ok(self.call.gateway.list(&self.call.caller(), &query).await?)
    }
}

fn objects(entries: &[Listed]) -> impl Iterator<Item = &Version> {
    entries.iter().filter_map(|entry| match entry {
        Listed::Object(version) => Some(version.as_ref()),
        Listed::CommonPrefix(_) => None,
    })
}

fn prefixes(entries: &[Listed]) -> impl Iterator<Item = &str> {
    entries.iter().filter_map(|entry| match entry {
        Listed::Object(_) => None,
        Listed::CommonPrefix(prefix) => Some(prefix.as_str()),
    })
}

/// ListObjects.
pub(crate) async fn version1(call: &Call) -> Result<Answer, S3Error> {
    let page = Page::parse(call, "max-keys")?;
    let marker = page.marker("marker");
    let listed = page.objects(marker).await?;
    let document = Document::s3("ListBucketResult", |root| {
        page.head(root, "MaxKeys");
        root.text("Marker", page.key(marker.unwrap_or_default()));
        root.text("IsTruncated", listed.is_truncated.to_string());
        // Without a delimiter the last key is the marker, and S3 leaves this out.
        if let (true, Some(_), Some(last)) = (listed.is_truncated, page.delimiter, listed.entries.last()) {
            root.text("NextMarker", page.key(last.name()));
        }
        page.entries(root, &listed.entries, true);
    });
    Ok(answer::xml(document))
}

/// ListObjectsV2.
pub(crate) async fn version2(call: &Call) -> Result<Answer, S3Error> {
    let page = Page::parse(call, "max-keys")?;
    let token = call.head.query.value("continuation-token");
    let continued = token.filter(|token| !token.is_empty()).map(read_token).transpose()?;
    let start_after = page.marker("start-after");
    let listed = page.objects(continued.as_deref().or(start_after)).await?;
    let with_owner = call.head.query.value("fetch-owner") == Some("true");
    let document = Document::s3("ListBucketResult", |root| {
        page.head(root, "MaxKeys");
        root.number("KeyCount", listed.entries.len());
        root.text("IsTruncated", listed.is_truncated.to_string());
        if let Some(token) = token {
            root.text("ContinuationToken", token);
        }
        if let (true, Some(last)) = (listed.is_truncated, listed.entries.last()) {
            root.text("NextContinuationToken", write_token(last.name()));
        }
        if let Some(start_after) = start_after {
            root.text("StartAfter", page.key(start_after));
        }
        page.entries(root, &listed.entries, with_owner);
    });
    Ok(answer::xml(document))
}

/// Opaque to clients: where the page before ended.
fn write_token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn read_token(token: &str) -> Result<String, S3Error> {
    let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.filter(|name| !name.is_empty())
        .ok_or_else(|| S3Error::argument("continuation-token", token, "The continuation token provided is incorrect"))
}

/// ListObjectVersions.
pub(crate) async fn versions(call: &Call) -> Result<Answer, S3Error> {
    let page = Page::parse(call, "max-keys")?;
    let key_marker = page.marker("key-marker");
    // Paging clients send it empty after a common prefix.
    let version_marker = page.marker("version-id-marker");
    if let (Some(marker), None) = (version_marker, key_marker) {
        let problem = "A version-id marker cannot be specified without a key marker.";
        return Err(S3Error::argument("version-id-marker", marker, problem));
    }
    let query = VersionQuery {
        bucket: call.bucket()?,
        prefix: page.prefix.to_owned(),
        delimiter: page.delimiter.map(str::to_owned),
        key_marker: key_marker.map(str::to_owned),
        version_marker: version_marker.map(VersionId::from_client),
        limit: page.limit as usize,
    };
    let listed = call.gateway.list_versions(&call.caller(), &query).await?;
    let document = Document::s3("ListVersionsResult", |root| {
        page.head(root, "MaxKeys");
        let next = listed.entries.last().filter(|_| listed.is_truncated).map(|last| match last {
            Listed::Object(version) => Marker { key: Some(version.key.as_str()), id: Some(version.id.as_str()) },
            Listed::CommonPrefix(prefix) => Marker { key: Some(prefix), id: None },
        });
        page.markers(root, "VersionId", Marker { key: key_marker, id: version_marker }, next);
        for version in objects(&listed.entries) {
            version_element(&page, root, version);
        }
        page.common_prefixes(root, prefixes(&listed.entries));
    });
    Ok(answer::xml(document))
}

fn version_element(page: &Page<'_>, root: &mut Document, version: &Version) {
    let name = if version.is_delete_marker { "DeleteMarker" } else { "Version" };
    root.nest(name, |element| {
        element.text("Key", page.key(version.key.as_str()));
        element.text("VersionId", version.id.as_str());
        element.text("IsLatest", version.is_current.to_string());
        element.text("LastModified", dates::document(version.last_modified));
        if !version.is_delete_marker {
            element.text("ETag", quoted(&version.etag));
            element.number("Size", version.size);
            element.text("StorageClass", &version.storage_class);
        }
        page.owner(element, "Owner", &version.owner);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_key() {
        assert_eq!(read_token(&write_token("a/ä?")), Ok("a/ä?".to_owned()));
        assert!(read_token("").is_err());
        assert!(read_token("%%").is_err());
    }
}
