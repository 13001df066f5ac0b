//! An opened location, with what its operations share.

use sallyport_plugin_sdk::http::Method;
use sallyport_plugin_sdk::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, GetRequest,
    GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest, Validation,
    ValidationRequest,
};
use sallyport_plugin_sdk::types::{Expectation, Failure, Name, Projection, Stored};
use sallyport_plugin_sdk::{Body, Complete, Storage, failure, log};

use crate::details::{Authentication, Details};
use crate::locator::{Locator, Unreadable};
use crate::projection::{Encoded, Header, Projected};
use crate::requests::{Blob, Container, if_match, if_nothing, repeat};
use crate::{description, health, objects};

/// A location: a container and how its blobs are named.
#[derive(Debug)]
pub struct Azure {
    pub(crate) container: Container,
    pub(crate) details: Details,
}

impl Azure {
    /// The blob for a name.
    pub(crate) fn blob_of(&self, name: &Name) -> String {
        self.details.naming.place(name)
    }

    /// What is at a blob's name now.
    pub(crate) async fn look(&self, blob: &str) -> Result<Option<Blob>, Failure> {
        match repeat(|| self.container.blob(Method::Head, blob, &[])).await {
            Ok(response) => Blob::read(&response).map(Some),
            Err(failure) if failure.code == "not-found" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The locator of the same bytes under the etag that they have by now.
    ///
    /// Metadata that somebody changed, or a tagging of which nobody heard the end, alters the
    /// etag and leaves the bytes and the id of their write. `None` for other bytes.
    pub(crate) async fn same_bytes(&self, locator: &Locator) -> Result<Option<Locator>, Failure> {
        // Some answer a condition on a blob that is not there as an unmet one.
        let Some(now) = self.look(&locator.blob).await? else {
            return Err(failure::not_found("the blob is gone"));
        };
        let is_same = now.write_id == locator.write_id && !locator.write_id.is_empty();
        Ok(is_same.then(|| now.locator(&locator.blob)))
    }

    /// Whether index tags may travel in the request that writes a blob. A signature may lack
    /// the permission for tags, and an application the role: the whole write would be refused.
    pub(crate) fn may_tag_in_writes(&self) -> bool {
        match self.details.authentication {
            Authentication::SharedKey { .. } => true,
            Authentication::SharedAccessSignature { .. } | Authentication::ClientSecret { .. } => false,
        }
    }
}

/// The projection in the request that writes a blob.
pub(crate) fn projected(object: &Projection) -> Projected<'_> {
    Projected { content: &object.content, metadata: &object.metadata, tags: &object.tags }
}

/// The headers of what could be encoded; the operator hears of the rest.
pub(crate) fn headers_of(blob: &str, encoded: Encoded) -> Vec<Header> {
    if !encoded.left_out.is_empty() {
        log::warn(&format!("blob {blob}: Azure cannot hold {}; left out there", encoded.left_out.join(", ")));
    }
    encoded.headers
}

/// The condition for a write to `blob`.
pub(crate) fn condition(expect: &Expectation, blob: &str) -> Result<Option<Header>, Failure> {
    match expect {
        Expectation::Anything => Ok(None),
        Expectation::Nothing => Ok(Some(if_nothing())),
        Expectation::Bytes(locator) => {
            let locator = Locator::decode(locator).map_err(unreadable)?;
            if locator.blob != blob {
                return Err(failure::changed("the expected bytes are at another place"));
            }
            Ok(Some(if_match(&locator.etag)))
        }
    }
}

/// A refused condition in the words of what was expected.
pub(crate) fn refused(failure: Failure, expect: &Expectation) -> Failure {
    match expect {
        Expectation::Nothing if failure.code == "changed" => failure::exists(failure.message),
        Expectation::Anything | Expectation::Nothing | Expectation::Bytes(_) => failure,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(crate) fn unreadable(error: Unreadable) -> Failure {
    failure::invalid(error.to_string())
}

impl Storage for Azure {
    fn describe() -> Description {
        description::describe()
    }

    fn validate(request: ValidationRequest) -> Validation {
        description::validate(&request)
    }

    async fn open(request: OpenRequest) -> Result<Self, Failure> {
        let details = Details::parse(&request.details).map_err(|problems| {
            let problems: Vec<String> =
                problems.iter().map(|problem| format!("{} {}", problem.path, problem.message)).collect();
            failure::invalid(problems.join("; "))
        })?;
        Ok(Self { container: Container::of(&details)?, details })
    }

    async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Failure> {
        health::check(self, request.thorough).await
    }

    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse {
        NamespaceResponse { namespace: self.details.namespace(&request.bucket), attributes: Vec::new() }
    }

    async fn put(&self, request: PutRequest, body: Body, complete: Complete) -> Result<Stored, Failure> {
        // The body is handed on: the host cuts the request when the upload fails.
        drop(complete);
        objects::put(self, request, body).await
    }

    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
        objects::get(self, request).await
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure> {
        objects::head(self, &request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure> {
        objects::delete(self, &request).await
    }

    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure> {
        objects::find(self, &request).await
    }
}
