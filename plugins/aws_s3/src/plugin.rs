//! Answers the contract's calls with the module that does each.

use sallyport_plugin_sdk::copy::{CopyPartRequest, CopyRequest};
use sallyport_plugin_sdk::listing::{ListRequest, ListResponse};
use sallyport_plugin_sdk::multipart::{
    AbortRequest, AbortResponse, CompleteRequest, CreateRequest, CreateResponse, FindUploadsRequest,
    FindUploadsResponse, KeepRequest, KeepResponse, PartRequest,
};
use sallyport_plugin_sdk::objects::{
    CheckRequest, CheckResponse, DeleteRequest, DeleteResponse, Description, FindRequest, FindResponse, GetRequest,
    GetResponse, HeadRequest, HeadResponse, NamespaceRequest, NamespaceResponse, OpenRequest, PutRequest, Validation,
    ValidationRequest,
};
use sallyport_plugin_sdk::tagging::{PutTagsRequest, PutTagsResponse};
use sallyport_plugin_sdk::types::{Failure, Stored, StoredPart};
use sallyport_plugin_sdk::versions::{HideRequest, HideResponse};
use sallyport_plugin_sdk::{Body, Complete, Listing, Multipart, ServerCopy, Storage, Tagging, Versions, failure};

use crate::backend::Backend;
use crate::details::Details;
use crate::{copy, description, health, listing, multipart, objects, tagging, versions};

/// A location whose objects are in a bucket that speaks S3.
#[derive(Debug)]
pub struct AwsS3 {
    backend: Backend,
}

impl Storage for AwsS3 {
    fn describe() -> Description {
        description::describe()
    }

    fn validate(request: ValidationRequest) -> Validation {
        description::validate(&request)
    }

    async fn open(request: OpenRequest) -> Result<Self, Failure> {
        let reading = Details::read(&request.details);
        let details = reading.details.ok_or_else(|| {
            let problems: Vec<_> = reading.problems.into_iter().map(|problem| problem.message).collect();
            failure::invalid(problems.join("; "))
        })?;
        Ok(Self { backend: Backend::new(details)? })
    }

    async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Failure> {
        health::check(&self.backend, request).await
    }

    fn namespace(&self, request: NamespaceRequest) -> NamespaceResponse {
        let backend = &self.backend;
        let namespace = format!("{}/{}", backend.details.target(), backend.naming.prefix(&request.bucket));
        NamespaceResponse { namespace, attributes: Vec::new() }
    }

    async fn put(&self, request: PutRequest, body: Body, complete: Complete) -> Result<Stored, Failure> {
        // The body is handed on, so the host itself cuts the request when the upload fails.
        drop(complete);
        objects::put(&self.backend, request, body).await
    }

    async fn get(&self, request: GetRequest) -> Result<(GetResponse, Body), Failure> {
        objects::get(&self.backend, request).await
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadResponse, Failure> {
        objects::head(&self.backend, request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<DeleteResponse, Failure> {
        objects::delete(&self.backend, request).await?;
        Ok(DeleteResponse { attributes: Vec::new() })
    }

    async fn find(&self, request: FindRequest) -> Result<FindResponse, Failure> {
        objects::find(&self.backend, request).await
    }
}

impl Multipart for AwsS3 {
    async fn create(&self, request: CreateRequest) -> Result<CreateResponse, Failure> {
        let (upload, attributes) = multipart::create(&self.backend, request).await?;
        Ok(CreateResponse { upload, attributes })
    }

    async fn put_part(&self, request: PartRequest, body: Body, complete: Complete) -> Result<StoredPart, Failure> {
        drop(complete);
        multipart::put_part(&self.backend, request, body).await
    }

    async fn complete(&self, request: CompleteRequest) -> Result<Stored, Failure> {
        multipart::complete(&self.backend, request).await
    }

    async fn abort(&self, request: AbortRequest) -> Result<AbortResponse, Failure> {
        multipart::abort(&self.backend, request).await?;
        Ok(AbortResponse { attributes: Vec::new() })
    }

    async fn keep(&self, request: KeepRequest) -> Result<KeepResponse, Failure> {
        multipart::keep(&request)?;
        Ok(KeepResponse { attributes: Vec::new() })
    }

    async fn find_uploads(&self, request: FindUploadsRequest) -> Result<FindUploadsResponse, Failure> {
        let uploads = multipart::find_uploads(&self.backend, request).await?;
        Ok(FindUploadsResponse { uploads, attributes: Vec::new() })
    }
}

impl ServerCopy for AwsS3 {
    async fn copy(&self, request: CopyRequest) -> Result<Stored, Failure> {
        copy::copy(&self.backend, request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<StoredPart, Failure> {
        copy::copy_part(&self.backend, request).await
    }
}

impl Tagging for AwsS3 {
    async fn put_tags(&self, request: PutTagsRequest) -> Result<PutTagsResponse, Failure> {
        let attributes = tagging::put_tags(&self.backend, &request).await?;
        Ok(PutTagsResponse { locator: request.locator, attributes })
    }
}

impl Versions for AwsS3 {
    async fn hide(&self, request: HideRequest) -> Result<HideResponse, Failure> {
        versions::hide(&self.backend, request).await
    }
}

impl Listing for AwsS3 {
    async fn list(&self, request: ListRequest) -> Result<ListResponse, Failure> {
        listing::list(&self.backend, request).await
    }
}
