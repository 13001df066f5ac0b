//! newplugin: objects as files on a WebDAV server.
//!
//! Each write is a file of its own, named by its write id, and reaches its name by a MOVE: nothing
//! is ever overwritten, nothing half-written is ever seen, and a key may be any text. What is where
//! is decided in `place`, what a location may say in `description`; both are plain Rust with plain
//! tests. This file is the contract in terms of HTTP.

mod description;
mod listing;
mod place;

use place::{Root, Stored};
use sallyport_plugin_sdk::http::{Method, Request, Response};
use sallyport_plugin_sdk::listing::{ListRequest, ListResponse};
use sallyport_plugin_sdk::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, Found,
    GetRequest, GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest,
    Validation, ValidationRequest,
};
use sallyport_plugin_sdk::retry::Retry;
use sallyport_plugin_sdk::types::{self, Expectation, Failure};
use sallyport_plugin_sdk::{Body, Complete, Listing, Storage, export_plugin, failure};

/// A server that was opened as a location.
pub struct Server {
    root: Root,
}

export_plugin!(Server, features = [listing]);

impl Storage for Server {
    fn describe() -> Description {
        description::describe()
    }

    fn validate(request: ValidationRequest) -> Validation {
        description::validate(&request)
    }

    async fn open(request: OpenRequest) -> Result<Self, Failure> {
        Ok(Self { root: description::root(&request.details)? })
    }

    async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Failure> {
        let mut answer = self.send(Method::Other("PROPFIND".to_owned()), self.root.path()).await?;
        if answer.status() == 404 && request.thorough {
            self.make_collection(self.root.path()).await?;
            answer = self.send(Method::Other("PROPFIND".to_owned()), self.root.path()).await?;
        }
        match answer.status() {
            207 => Ok(CheckResponse { warnings: Vec::new(), attributes: Vec::new() }),
            404 => Err(failure::unavailable("the collection is missing, and is made at the next start")),
            status => Err(failure::of_status(status, format!("PROPFIND was answered with {status}"))),
        }
    }

    /// No two writes share a place, so the buckets of one server never meet.
    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse {
        NamespaceResponse { namespace: format!("{}#{}/", self.root, request.bucket), attributes: Vec::new() }
    }

    async fn put(
        &self,
        request: PutRequest,
        body: Body,
        // The body is handed on: the host cuts the request when the upload fails.
        _: Complete,
    ) -> Result<types::Stored, Failure> {
        let stored = Stored::new(&request.write_id, request.size)?;
        match &request.expect {
            // A write's file is a place of its own, where nothing was before.
            Expectation::Anything | Expectation::Nothing => {}
            Expectation::Bytes(locator) => {
                self.present(&Stored::read(locator)?).await?;
            }
        }
        let unfinished = self.root.unfinished(&stored);
        // Unread, the body's bytes never enter the plugin, and the call is as cheap for 5 GiB as for 5 bytes.
        let sent = self.request(Method::Put, &unfinished).stream(body, request.size).send().await;
        let finished = match sent {
            Ok(answer) if answer.is_success() => self.finish(&stored, &unfinished).await,
            Ok(answer) => Err(refused("PUT", &answer)),
            Err(failure) => Err(failure),
        };
        if finished.is_err() {
            // Best effort: what stays behind is no object, only a file that nobody asks for.
            let _ = self.send(Method::Delete, &unfinished).await;
        }
        finished?;
        Ok(types::Stored { locator: stored.locator(), checksums: Vec::new(), attributes: Vec::new() })
    }

    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
        let stored = Stored::read(&request.locator)?;
        let path = self.root.file(&stored);
        let answer = Retry::default()
            .run(|| async {
                let answer = self.request(Method::Get, &path).span(request.span).send().await?;
                match (answer.status(), request.span.is_some()) {
                    (200, false) | (206, true) => Ok(answer),
                    _ => Err(refused("GET", &answer)),
                }
            })
            .await?;
        let (offset, length) = answer.extent(stored.size)?;
        Ok((GetResponse { offset, length, attributes: Vec::new() }, answer.into_stream()?))
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure> {
        let stored = Stored::read(&request.locator)?;
        self.present(&stored).await?;
        Ok(HeadResponse { size: stored.size, attributes: Vec::new() })
    }

    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure> {
        let path = self.root.file(&Stored::read(&request.locator)?);
        let delete = || async {
            let answer = self.send(Method::Delete, &path).await?;
            match answer.status() {
                200..300 | 404 => Ok(()),
                _ => Err(refused("DELETE", &answer)),
            }
        };
        Retry::default().run(delete).await?;
        Ok(DeleteResponse { attributes: Vec::new() })
    }

    /// Without a write id there is nothing to find: a name has no place of its own.
    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure> {
        let Some(write_id) = &request.write_id else {
            return Ok(FindResponse { found: None, attributes: Vec::new() });
        };
        let size = match self.size(&self.root.file(&Stored::new(write_id, 0)?)).await {
            Ok(size) => Some(size),
            Err(failure) if failure.code == "not-found" => None,
            Err(failure) => return Err(failure),
        };
        let found = match size {
            Some(size) => {
                let stored = Stored::new(write_id, size)?;
                Some(Found { locator: stored.locator(), size, checksums: Vec::new() })
            }
            None => None,
        };
        Ok(FindResponse { found, attributes: Vec::new() })
    }
}

/// Optional: with it, `sallyport fsck` sees files that no object refers to.
impl Listing for Server {
    async fn list(&self, request: ListRequest) -> Result<ListResponse, Failure> {
        listing::list(&self.root, &request, |collection| self.members(collection)).await
    }
}

impl Server {
    /// What a collection has in it; `None` when it is absent.
    async fn members(&self, collection: String) -> Result<Option<Response>, Failure> {
        let ask = || async {
            let request = self.request(Method::Other("PROPFIND".to_owned()), &collection).header("depth", "1");
            let request = request.header("content-type", "application/xml").bytes(listing::WANTED.into());
            let answer = request.send().await?;
            match answer.status() {
                207 => Ok(Some(answer)),
                404 => Ok(None),
                _ => Err(refused("PROPFIND", &answer)),
            }
        };
        Retry::default().run(ask).await
    }

    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, self.root.origin(), path)
    }

    async fn send(&self, method: Method, path: &str) -> Result<Response, Failure> {
        self.request(method, path).header("depth", "0").send().await
    }

    /// Gives a whole file its name, in a collection that may have to be made first.
    async fn finish(&self, stored: &Stored, unfinished: &str) -> Result<(), Failure> {
        let file = self.root.file(stored);
        let move_it = || {
            let request = self.request(Method::Other("MOVE".to_owned()), unfinished);
            request.header("destination", self.root.url(&file)).header("overwrite", "F").send()
        };
        let mut answer = move_it().await?;
        // 409 is the standard's word for a collection that is missing; some servers say 403 or 404.
        if matches!(answer.status(), 403 | 404 | 409) {
            self.make_collection(&self.root.collection(stored)).await?;
            answer = move_it().await?;
        }
        match answer.status() {
            200..300 => Ok(()),
            // The file was there a moment ago: nothing is known of the object's place.
            404 | 409 | 412 => Err(failure::unavailable(format!("MOVE was answered with {}", answer.status()))),
            _ => Err(refused("MOVE", &answer)),
        }
    }

    async fn make_collection(&self, path: &str) -> Result<(), Failure> {
        let make = || async {
            let answer = self.request(Method::Other("MKCOL".to_owned()), path).send().await?;
            match answer.status() {
                // 405: it is there already.
                200..300 | 405 => Ok(()),
                _ => Err(refused("MKCOL", &answer)),
            }
        };
        Retry::default().run(make).await
    }

    async fn present(&self, stored: &Stored) -> Result<(), Failure> {
        stored.verify_size(self.size(&self.root.file(stored)).await?)
    }

    async fn size(&self, path: &str) -> Result<u64, Failure> {
        let ask = || async {
            let answer = self.request(Method::Head, path).send().await?;
            match (answer.status(), answer.content_length()) {
                (200, Some(size)) => Ok(size),
                (200, None) => Err(failure::internal("a file without a length")),
                _ => Err(refused("HEAD", &answer)),
            }
        };
        Retry::default().run(ask).await
    }
}

fn refused(method: &str, answer: &Response) -> Failure {
    let status = answer.status();
    let mut failure = failure::of_status(status, format!("{method} was answered with {status}"));
    // What the server asks for wins over our own guess.
    if let Some(milliseconds) = answer.retry_after().filter(|_| failure.retry_after.is_some()) {
        failure.retry_after = Some(milliseconds);
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overloaded_server_is_asked_again_when_it_wants_to_be() {
        let failure = refused("GET", &Response::canned(503, &[("retry-after", "3")], ""));
        assert_eq!((failure.code.as_str(), failure.retry_after), ("unavailable", Some(3000)));
    }

    #[test]
    fn a_redirect_is_no_answer() {
        assert_eq!(refused("GET", &Response::canned(302, &[], "")).code, "internal");
    }
}
