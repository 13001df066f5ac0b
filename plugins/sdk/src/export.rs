//! The macro that makes a component of a plugin's type.

use crate::failure;
use crate::types::Failure;
use std::cell::RefCell;
use std::rc::Rc;

/// Holds the instance that `open` made, for the calls that follow.
#[doc(hidden)]
#[derive(Debug)]
pub struct Opened<P>(RefCell<Option<Rc<P>>>);

impl<P> Opened<P> {
    /// Nothing was opened yet.
    pub const fn nothing() -> Self {
        Self(RefCell::new(None))
    }

    /// Keeps what `open` made.
    pub fn keep(&self, plugin: P) {
        self.0.replace(Some(Rc::new(plugin)));
    }

    /// What was opened; the contract promises that `open` came first.
    pub fn plugin(&self) -> Result<Rc<P>, Failure> {
        self.0.borrow().clone().ok_or_else(|| failure::invalid("called before `open`"))
    }
}

/// Exports a type that implements [`Storage`](crate::Storage) as a Sallyport plugin.
///
/// `features` names the optional interfaces that the type implements: `multipart`, `copy`,
/// `tagging`, `versions`, `listing`. The component exports these and no others.
///
/// ```ignore
/// sallyport_plugin_sdk::export_plugin!(Cellar, features = [multipart, listing]);
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ident) => {
        $crate::export_plugin!($plugin, features = []);
    };
    ($plugin:ident, features = [$($feature:ident),* $(,)?]) => {
        const _: () = {
            use $crate::objects;
            use $crate::types::{Failure, Stored, StoredPart};
            use $crate::{Body, Complete, Storage};

            // A native library cannot have symbols of these names, and tests need none.
            #[cfg_attr(
                not(target_arch = "wasm32"),
                allow(dead_code, reason = "exported from a component alone")
            )]
            struct Exports;

            std::thread_local! {
                static OPENED: $crate::Opened<$plugin> = const { $crate::Opened::nothing() };
            }

            fn opened() -> Result<std::rc::Rc<$plugin>, Failure> {
                OPENED.with($crate::Opened::plugin)
            }

            impl $crate::bindings::exports::sallyport::plugin::storage::Guest for Exports {
                fn describe() -> objects::Description {
                    <$plugin as Storage>::describe()
                }

                fn validate(request: objects::ValidationRequest) -> objects::Validation {
                    <$plugin as Storage>::validate(request)
                }

                async fn open(
                    request: objects::OpenRequest,
                ) -> Result<objects::OpenResponse, Failure> {
                    let plugin = <$plugin as Storage>::open(request).await?;
                    OPENED.with(|opened| opened.keep(plugin));
                    Ok(objects::OpenResponse { attributes: std::vec::Vec::new() })
                }

                async fn check(
                    request: objects::CheckRequest,
                ) -> Result<objects::CheckResponse, Failure> {
                    Storage::check(&*opened()?, request).await
                }

                fn namespace(request: objects::NamespaceRequest) -> objects::NamespaceResponse {
                    match opened() {
                        Ok(plugin) => Storage::namespace(&*plugin, request),
                        // The contract has no failure here; an empty namespace is a prefix of
                        // every other one, so that the host keeps this bucket apart.
                        Err(_) => objects::NamespaceResponse {
                            namespace: std::string::String::new(),
                            attributes: std::vec::Vec::new(),
                        },
                    }
                }

                async fn put(
                    request: objects::PutRequest,
                    body: Body,
                    complete: Complete,
                ) -> Result<Stored, Failure> {
                    Storage::put(&*opened()?, request, body, complete).await
                }

                async fn get(
                    request: objects::GetRequest,
                ) -> Result<(objects::GetResponse, Body), Failure> {
                    Storage::get(&*opened()?, request).await
                }

                async fn head(
                    request: objects::HeadRequest,
                ) -> Result<objects::HeadResponse, Failure> {
                    Storage::head(&*opened()?, request).await
                }

                async fn delete(
                    request: objects::DeleteRequest,
                ) -> Result<objects::DeleteResponse, Failure> {
                    Storage::delete(&*opened()?, request).await
                }

                async fn find(
                    request: objects::FindRequest,
                ) -> Result<objects::FindResponse, Failure> {
                    Storage::find(&*opened()?, request).await
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::bindings::__export_storage!(Exports with_types_in $crate::bindings);
            $( $crate::__export_feature!($feature, Exports, opened); )*
        };
    };
}

/// Exports one optional interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_feature {
    (multipart, $exports:ident, $opened:ident) => {
        impl $crate::bindings::multipart::exports::sallyport::plugin::multipart::Guest
            for $exports
        {
            async fn create(
                request: $crate::multipart::CreateRequest,
            ) -> Result<$crate::multipart::CreateResponse, $crate::types::Failure> {
                $crate::Multipart::create(&*$opened()?, request).await
            }

            async fn put_part(
                request: $crate::multipart::PartRequest,
                body: $crate::Body,
                complete: $crate::Complete,
            ) -> Result<$crate::types::StoredPart, $crate::types::Failure> {
                $crate::Multipart::put_part(&*$opened()?, request, body, complete).await
            }

            async fn complete(
                request: $crate::multipart::CompleteRequest,
            ) -> Result<$crate::types::Stored, $crate::types::Failure> {
                $crate::Multipart::complete(&*$opened()?, request).await
            }

            async fn abort(
                request: $crate::multipart::AbortRequest,
            ) -> Result<$crate::multipart::AbortResponse, $crate::types::Failure> {
                $crate::Multipart::abort(&*$opened()?, request).await
            }

            async fn keep(
                request: $crate::multipart::KeepRequest,
            ) -> Result<$crate::multipart::KeepResponse, $crate::types::Failure> {
                $crate::Multipart::keep(&*$opened()?, request).await
            }

            async fn find_uploads(
                request: $crate::multipart::FindUploadsRequest,
            ) -> Result<$crate::multipart::FindUploadsResponse, $crate::types::Failure> {
                $crate::Multipart::find_uploads(&*$opened()?, request).await
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::multipart::__export_multipart!(
            $exports with_types_in $crate::bindings::multipart
        );
    };
    (copy, $exports:ident, $opened:ident) => {
        impl $crate::bindings::copy::exports::sallyport::plugin::copy::Guest for $exports {
            async fn copy(
                request: $crate::copy::CopyRequest,
            ) -> Result<$crate::types::Stored, $crate::types::Failure> {
                $crate::ServerCopy::copy(&*$opened()?, request).await
            }

            async fn copy_part(
                request: $crate::copy::CopyPartRequest,
            ) -> Result<$crate::types::StoredPart, $crate::types::Failure> {
                $crate::ServerCopy::copy_part(&*$opened()?, request).await
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::copy::__export_copy!($exports with_types_in $crate::bindings::copy);
    };
    (tagging, $exports:ident, $opened:ident) => {
        impl $crate::bindings::tagging::exports::sallyport::plugin::tagging::Guest for $exports {
            async fn put_tags(
                request: $crate::tagging::PutTagsRequest,
            ) -> Result<$crate::tagging::PutTagsResponse, $crate::types::Failure> {
                $crate::Tagging::put_tags(&*$opened()?, request).await
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::tagging::__export_tagging!(
            $exports with_types_in $crate::bindings::tagging
        );
    };
    (versions, $exports:ident, $opened:ident) => {
        impl $crate::bindings::versions::exports::sallyport::plugin::versions::Guest
            for $exports
        {
            async fn hide(
                request: $crate::versions::HideRequest,
            ) -> Result<$crate::versions::HideResponse, $crate::types::Failure> {
                $crate::Versions::hide(&*$opened()?, request).await
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::versions::__export_versions!(
            $exports with_types_in $crate::bindings::versions
        );
    };
    (listing, $exports:ident, $opened:ident) => {
        impl $crate::bindings::listing::exports::sallyport::plugin::listing::Guest for $exports {
            async fn list(
                request: $crate::listing::ListRequest,
            ) -> Result<$crate::listing::ListResponse, $crate::types::Failure> {
                $crate::Listing::list(&*$opened()?, request).await
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::listing::__export_listing!(
            $exports with_types_in $crate::bindings::listing
        );
    };
}
