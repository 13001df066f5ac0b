//! Lists what a collection has: the members that a PROPFIND shows, page by page.

use crate::place::{Root, Stored};
use sallyport_plugin_sdk::http::{Response, date};
use sallyport_plugin_sdk::listing::{Entry, ListRequest, ListResponse};
use sallyport_plugin_sdk::paging::Page;
use sallyport_plugin_sdk::types::Failure;
use sallyport_plugin_sdk::{failure, path, xml};
use serde::Deserialize;

/// The most that is read of what a server says of one collection, in bytes: some 30,000 members. WebDAV has no pages.
const LONGEST: usize = 16 << 20;

/// What is asked of each member.
pub const WANTED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop>\
                          <resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>";

/// A page of everything below the root. `members` answers the PROPFIND of a collection, `None` when that is absent.
pub async fn list<F>(root: &Root, request: &ListRequest, members: impl Fn(String) -> F) -> Result<ListResponse, Failure>
where
    F: Future<Output = Result<Option<Response>, Failure>>,
{
    if request.prefix.is_some() {
        return Err(failure::unsupported("a file does not show its bucket"));
    }
    let after = request.cursor.as_deref().map(|write_id| Stored::new(write_id, 0)).transpose()?;
    let start = after.as_ref().map(|after| (root.shard(after).to_owned(), after.write_id().to_owned()));
    let mut page = Page::new(request.limit);
    for shard in names(members(root.path().to_owned()).await?, true).await? {
        let behind = start.as_ref().filter(|(first, _)| *first == shard.name).map(|(_, write_id)| write_id.as_str());
        if !Root::is_shard(&shard.name) || start.as_ref().is_some_and(|(first, _)| shard.name < *first) {
            continue;
        }
        for file in names(members(format!("{}{}/", root.path(), shard.name)).await?, false).await? {
            // What is no file of a write there is not ours.
            let Some(entry) = entry(root, &shard.name, &file) else { continue };
            if behind.is_none_or(|behind| file.name.as_str() > behind) && !page.push(entry) {
                return Ok(page.finish(|last| last.name.clone()));
            }
        }
    }
    Ok(page.finish(|last| last.name.clone()))
}

/// One member of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: String,
    is_collection: bool,
    size: u64,
    modified: Option<u64>,
}

fn entry(root: &Root, shard: &str, file: &Member) -> Option<Entry> {
    let stored = Stored::new(&file.name, file.size).ok().filter(|stored| root.shard(stored) == shard)?;
    Some(Entry {
        name: file.name.clone(),
        locator: stored.locator(),
        size: file.size,
        last_modified: file.modified,
        write_id: Some(file.name.clone()),
        attributes: Vec::new(),
    })
}

/// The collections or the files among the members, in the order of their names.
async fn names(answer: Option<Response>, collections: bool) -> Result<Vec<Member>, Failure> {
    let Some(answer) = answer else { return Ok(Vec::new()) };
    let mut members = parse(&answer.read_to_limit(LONGEST).await?)?;
    members.retain(|member| member.is_collection == collections);
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}

#[derive(Deserialize)]
struct Multistatus {
    #[serde(rename = "response", default)]
    responses: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    href: String,
    #[serde(rename = "propstat", default)]
    properties: Vec<Properties>,
}

impl Described {
    /// Without the slash that a collection may end with.
    fn path(&self) -> &str {
        self.href.trim_end_matches('/')
    }
}

/// Properties that share a status: one for what is there, one for what is not.
#[derive(Deserialize)]
struct Properties {
    #[serde(default)]
    status: String,
    prop: Found,
}

#[derive(Deserialize)]
struct Found {
    resourcetype: Option<ResourceType>,
    getcontentlength: Option<String>,
    getlastmodified: Option<String>,
}

#[derive(Deserialize)]
struct ResourceType {
    collection: Option<Empty>,
}

#[derive(Deserialize)]
struct Empty {}

/// The members that a multistatus shows. The collection itself is among its responses and is left out: by being above
/// all others and not by its path, which something in between may have changed.
fn parse(multistatus: &[u8]) -> Result<Vec<Member>, Failure> {
    let mut responses = xml::read::<Multistatus>(multistatus)?.responses;
    let own = responses.iter().map(|response| response.path().to_owned()).min_by_key(String::len).unwrap_or_default();
    let is_inside = |path: &str| path.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/'));
    responses.retain(|response| is_inside(response.path()));
    Ok(responses.into_iter().filter_map(member).collect())
}

fn member(described: Described) -> Option<Member> {
    let last = described.path().rsplit('/').next()?.to_owned();
    let found = described.properties.into_iter().find(|all| all.status.split(' ').nth(1) == Some("200"))?.prop;
    let is_collection = found.resourcetype.is_some_and(|kind| kind.collection.is_some());
    Some(Member {
        name: path::decode(&last)?,
        is_collection,
        size: found.getcontentlength.and_then(|text| text.trim().parse().ok()).unwrap_or_default(),
        modified: found.getlastmodified.as_deref().and_then(date::milliseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_plugin_sdk::http::Origin;
    use std::collections::BTreeMap;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Two servers' spellings: prefixes, whole URLs, what is absent.
    const GO: &str = r#"<?xml version="1.0" encoding="UTF-8"?><D:multistatus xmlns:D="DAV:">
        <D:response><D:href>/store/ef/</D:href><D:propstat><D:prop><D:resourcetype><D:collection xmlns:D="DAV:"/>
        </D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
        <D:response><D:href>/store/ef/a%20b</D:href><D:propstat><D:prop><D:resourcetype></D:resourcetype>
        <D:getcontentlength>7</D:getcontentlength>
        <D:getlastmodified>Thu, 01 Jan 1970 00:00:02 GMT</D:getlastmodified></D:prop>
        <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"#;
    const PYTHON: &str = r#"<ns0:multistatus xmlns:ns0="DAV:"><ns0:response><ns0:href>http://h/ef</ns0:href>
        <ns0:propstat><ns0:prop><ns0:resourcetype><ns0:collection /></ns0:resourcetype></ns0:prop>
        <ns0:status>HTTP/1.1 200 OK</ns0:status></ns0:propstat></ns0:response>
        <ns0:response><ns0:href>http://h/ef/0f</ns0:href>
        <ns0:propstat><ns0:prop><ns0:resourcetype><ns0:collection /></ns0:resourcetype></ns0:prop>
        <ns0:status>HTTP/1.1 200 OK</ns0:status></ns0:propstat><ns0:propstat><ns0:prop><ns0:getcontentlength />
        </ns0:prop><ns0:status>HTTP/1.1 404 Not Found</ns0:status></ns0:propstat></ns0:response></ns0:multistatus>"#;

    /// Nothing here waits: what is asked answers at once.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn members_are_read_however_a_server_writes_them() {
        let members = parse(GO.as_bytes()).unwrap();
        let file = Member { name: "a b".to_owned(), is_collection: false, size: 7, modified: Some(2_000) };
        assert_eq!(members, [file]);
        let members = parse(PYTHON.as_bytes()).unwrap();
        assert_eq!((members.len(), members[0].is_collection, members[0].name.as_str()), (1, true, "0f"));
        assert_eq!(parse(b"<multistatus/>").unwrap(), []);
        assert_eq!(parse(b"<html>").unwrap_err().code, "unavailable");
    }

    /// A server's files by shard.
    fn server() -> BTreeMap<&'static str, Vec<String>> {
        let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for index in 0..9 {
            let shard = ["00", "7f", "ff"][index % 3];
            files.entry(shard).or_default().push(format!("{index:030x}{shard}"));
        }
        // Neither is of ours: a name, and a place.
        files.entry("7f").or_default().push("notes.txt".to_owned());
        files.entry("ff").or_default().push(format!("{:032x}", 0));
        files
    }

    fn shown(files: &BTreeMap<&str, Vec<String>>, collection: &str) -> Response {
        let response = |name: &str, kind: &str| {
            format!(
                "<response><href>{collection}{name}</href><propstat><prop><resourcetype>{kind}</resourcetype>\
                 <getcontentlength>3</getcontentlength></prop><status>HTTP/1.1 200 OK</status></propstat></response>"
            )
        };
        let shard = collection.trim_end_matches('/').rsplit('/').next().unwrap();
        let inside: String = match files.get(shard) {
            Some(names) => names.iter().map(|name| response(name, "")).collect(),
            None => files.keys().chain([&"other"]).map(|shard| response(shard, "<collection/>")).collect(),
        };
        let own = response("", "<collection/>");
        Response::canned(207, &[], &format!("<multistatus xmlns=\"DAV:\">{own}{inside}</multistatus>"))
    }

    #[test]
    fn pages_of_any_size_show_each_file_once() {
        let root = Root::new(Origin::parse("http://h", true).unwrap().0, "/store");
        let files = server();
        for limit in 1..11 {
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let request = ListRequest { prefix: None, cursor, limit, versions: false, attributes: Vec::new() };
                let members = |collection: String| {
                    let answer = shown(&files, &collection);
                    async move { Ok(Some(answer)) }
                };
                let page = now(list(&root, &request, members)).unwrap();
                assert!(page.entries.len() <= limit as usize);
                all.extend(page.entries.into_iter().map(|entry| entry.name));
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(all.len(), 9, "in pages of {limit}");
            let mut sorted = all.clone();
            sorted.sort_by_key(|name| (name[30..].to_owned(), name.clone()));
            sorted.dedup();
            assert_eq!(all, sorted, "in pages of {limit}");
        }
    }

    #[test]
    fn what_cannot_be_listed_is_said() {
        let root = Root::new(Origin::parse("http://h", true).unwrap().0, "");
        let listed = |prefix: Option<&str>, cursor: Option<&str>| {
            let request = ListRequest {
                prefix: prefix.map(str::to_owned),
                cursor: cursor.map(str::to_owned),
                limit: 10,
                versions: false,
                attributes: Vec::new(),
            };
            now(list(&root, &request, |_| async { Ok(None) })).map_err(|failure| failure.code)
        };
        assert_eq!(listed(Some("#bucket/"), None).unwrap_err(), "unsupported");
        assert_eq!(listed(None, Some("../x")).unwrap_err(), "invalid");
        assert!(listed(None, None).unwrap().entries.is_empty());
    }
}
