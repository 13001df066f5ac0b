//! The location that was opened: the contract in terms of files.

use crate::description;
use crate::layout::{Stored, WriteId};
use crate::walk::{Folders, Listed, Walked, walk};
use sallyport_plugin_sdk::details::Details;
use sallyport_plugin_sdk::listing::{Entry, ListRequest, ListResponse};
use sallyport_plugin_sdk::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, Found,
    GetRequest, GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest,
    Validation, ValidationRequest,
};
use sallyport_plugin_sdk::types::{self, Expectation, Failure};
use sallyport_plugin_sdk::{Body, Complete, Listing, Storage, failure, files};

/// Below this many free bytes the operator is told.
const FEW_BYTES: u64 = 1 << 30;

/// A folder that was opened.
#[derive(Debug)]
pub struct Local {
    target: String,
}

impl Storage for Local {
    fn describe() -> Description {
        description::describe()
    }

    fn validate(request: ValidationRequest) -> Validation {
        description::validate(&request)
    }

    async fn open(request: OpenRequest) -> Result<Self, Failure> {
        let mut details = Details::parse(&request.details);
        let target = description::target(&mut details, &request.location);
        match details.into_problems().first() {
            None => Ok(Self { target }),
            Some(problem) => Err(failure::invalid(format!("{} {}", problem.path, problem.message))),
        }
    }

    async fn check(&self, _: CheckRequest) -> Result<CheckResponse, Failure> {
        let free = files::check().await?;
        Ok(CheckResponse { warnings: space_warning(free).into_iter().collect(), attributes: Vec::new() })
    }

    /// No two writes share a place, so the buckets of one folder never meet.
    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse {
        NamespaceResponse { namespace: format!("{}#{}/", self.target, request.bucket), attributes: Vec::new() }
    }

    async fn put(
        &self,
        request: PutRequest,
        body: Body,
        // The body is handed on: the host cuts the write when the upload fails.
        _: Complete,
    ) -> Result<types::Stored, Failure> {
        let stored = Stored { write: WriteId::from_host(&request.write_id)?, size: request.size };
        match request.expect {
            // A write's file is a place of its own, where nothing was before.
            Expectation::Anything | Expectation::Nothing => {}
            Expectation::Bytes(locator) => {
                present(&Stored::read(&locator)?).await?;
            }
        }
        let write = files::WriteRequest {
            path: stored.write.path(),
            size: stored.size,
            replace: false,
            attributes: Vec::new(),
        };
        files::write(write, body).await?;
        Ok(types::Stored { locator: stored.locator(), checksums: Vec::new(), attributes: Vec::new() })
    }

    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
        let stored = Stored::read(&request.locator)?;
        if request.size != stored.size {
            return Err(failure::invalid(format!(
                "{} bytes are asked of a locator that names {}",
                request.size, stored.size
            )));
        }
        let read = files::ReadRequest { path: stored.write.path(), span: request.span, attributes: Vec::new() };
        let (response, body) = match files::read(read).await {
            Ok(found) => found,
            // A span may end beyond the file because it was cut short.
            Err(failure) if failure.code == "invalid" => {
                present(&stored).await?;
                return Err(failure);
            }
            Err(failure) => return Err(failure),
        };
        stored.verify_size(response.size)?;
        let response = GetResponse { offset: response.offset, length: response.length, attributes: Vec::new() };
        Ok((response, body))
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure> {
        let stored = Stored::read(&request.locator)?;
        present(&stored).await?;
        Ok(HeadResponse { size: stored.size, attributes: Vec::new() })
    }

    /// Removes the write's file, which is never another write's, whatever became of it.
    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure> {
        let stored = Stored::read(&request.locator)?;
        files::remove(stored.write.path()).await?;
        Ok(DeleteResponse { attributes: Vec::new() })
    }

    /// Without a write id there is nothing to find: a name has no place of its own.
    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure> {
        let found = match request.write_id {
            Some(id) => find_write(WriteId::from_host(&id)?).await?,
            None => None,
        };
        Ok(FindResponse { found, attributes: Vec::new() })
    }
}

impl Listing for Local {
    async fn list(&self, request: ListRequest) -> Result<ListResponse, Failure> {
        if request.prefix.is_some_and(|prefix| !prefix.is_empty()) {
            return Err(failure::unsupported("a file does not show its bucket"));
        }
        let after = match &request.cursor {
            Some(cursor) => Some(WriteId::from_host(cursor)?),
            None => None,
        };
        let limit = usize::try_from(request.limit.clamp(1, 1000)).unwrap_or(1000);
        let page = walk(&HostFolders, after, limit).await?;
        let last = page.files.last().map(|file| file.stored.write.to_string());
        Ok(ListResponse {
            entries: page.files.iter().map(entry).collect(),
            cursor: last.filter(|_| !page.is_last),
            attributes: Vec::new(),
        })
    }
}

/// The folders behind the host's interface.
struct HostFolders;

impl Folders for HostFolders {
    async fn list(&self, path: &str, after: Option<&str>, limit: u32) -> Result<Vec<Listed>, Failure> {
        let request = files::ListRequest {
            path: path.to_owned(),
            after: after.map(str::to_owned),
            limit,
            attributes: Vec::new(),
        };
        let listed = files::list(request).await?;
        Ok(listed
            .into_iter()
            .map(|entry| Listed {
                name: entry.name,
                is_folder: entry.folder,
                size: entry.size,
                modified: entry.modified,
            })
            .collect())
    }
}

/// Makes sure that the bytes are there, as they were stored.
async fn present(stored: &Stored) -> Result<(), Failure> {
    let stat = files::stat(stored.write.path()).await?;
    stored.verify_size(stat.size)
}

async fn find_write(write: WriteId) -> Result<Option<Found>, Failure> {
    match files::stat(write.path()).await {
        Ok(stat) => {
            let stored = Stored { write, size: stat.size };
            Ok(Some(Found { locator: stored.locator(), size: stored.size, checksums: Vec::new() }))
        }
        Err(failure) if failure.code == "not-found" => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn entry(file: &Walked) -> Entry {
    Entry {
        name: file.stored.write.path(),
        locator: file.stored.locator(),
        size: file.stored.size,
        last_modified: Some(file.modified),
        write_id: Some(file.stored.write.to_string()),
        attributes: Vec::new(),
    }
}

fn space_warning(free: u64) -> Option<String> {
    (free < FEW_BYTES).then(|| format!("only {} MiB are free", free >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    fn opened(details: &str) -> Result<Local, Failure> {
        block_on(Local::open(OpenRequest {
            location: "us-east-1".to_owned(),
            tenant: "t".to_owned(),
            details: details.to_owned(),
            attributes: Vec::new(),
        }))
    }

    fn namespace(local: &Local, bucket: &str) -> String {
        let request = NamespaceRequest { bucket: bucket.to_owned(), attributes: Vec::new() };
        local.namespace(request).namespace
    }

    #[test]
    fn no_bucket_shares_places_with_another() {
        let local = opened("{}").unwrap();
        let (short, long) = (namespace(&local, "logs"), namespace(&local, "logs2"));
        assert!(!long.starts_with(&short) && !short.starts_with(&long));
    }

    #[test]
    fn a_folder_within_a_folder_shares_no_places_with_it() {
        let outer = opened(r#"{"path": "/srv/a"}"#).unwrap();
        let inner = opened(r#"{"path": "/srv/a/b"}"#).unwrap();
        assert!(!namespace(&inner, "x").starts_with(&namespace(&outer, "x")));
    }

    #[test]
    fn a_location_with_wrong_details_does_not_open() {
        assert_eq!(opened(r#"{"path": 7}"#).unwrap_err().code, "invalid");
    }

    #[test]
    fn little_space_is_worth_a_warning() {
        assert_eq!(space_warning(2 << 30), None);
        assert_eq!(space_warning(5 << 20), Some("only 5 MiB are free".to_owned()));
    }

    #[test]
    fn an_entry_names_the_write_that_made_it() {
        let write = WriteId::from_host("0123456789abcdef0123456789abcdef").unwrap();
        let stored = Stored { write, size: 3 };
        let entry = entry(&Walked { stored, modified: 9 });
        assert_eq!(entry.write_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(Stored::read(&entry.locator), Ok(stored));
        assert_eq!((entry.size, entry.last_modified), (3, Some(9)));
    }
}
