//! The services: how OpenDAL is told of each, and what differs between them.

use opendal_core::Operator;
use opendal_service_azblob::Azblob;
use opendal_service_webdav::Webdav;
use sallyport_plugin_sdk::failure;
use sallyport_plugin_sdk::http::Origin;
use sallyport_plugin_sdk::types::Failure;
use std::fmt;

/// One of OpenDAL's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Azblob,
    Webdav,
}

impl Service {
    pub(crate) const ALL: [Self; 2] = [Self::Azblob, Self::Webdav];

    /// As OpenDAL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Azblob => "azblob",
            Self::Webdav => "webdav",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// Whether files are in a container that somebody made.
    pub(crate) fn has_container(self) -> bool {
        matches!(self, Self::Azblob)
    }

    /// Whether a file is there whole or not at all, also when its request breaks off.
    pub(crate) fn is_atomic(self) -> bool {
        matches!(self, Self::Azblob)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name and a password, as HTTP's Basic authentication has them. The host does not sign with these: the password is a
/// secret that was revealed, or a stand-in that no server takes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Basic {
    pub(crate) account: String,
    pub(crate) password: String,
}

/// Never the password.
impl fmt::Debug for Basic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Basic").field("account", &self.account).finish_non_exhaustive()
    }
}

/// A location's details, all of which were verified.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    pub(crate) origin: Origin,
    /// The endpoint's path, without a slash at its end.
    pub(crate) path: String,
    /// Empty where there is none.
    pub(crate) container: String,
    /// The folder below which all files are, without slashes around it.
    pub(crate) root: String,
    /// Absent where the host signs, and where nobody has to.
    pub(crate) basic: Option<Basic>,
}

impl Settings {
    /// The container behind the location, and the folder in it.
    pub(crate) fn target(&self) -> String {
        let mut target = format!("{}+{}{}", self.service, self.origin, self.path);
        for part in [&self.container, &self.root] {
            if !part.is_empty() {
                target.push('/');
                target.push_str(part);
            }
        }
        target
    }

    /// OpenDAL's operator. It signs nothing, since the host does, but for Basic authentication.
    pub(crate) fn operator(&self) -> Result<Operator, Failure> {
        let endpoint = format!("{}{}", self.origin, self.path);
        let root = format!("/{}", self.root);
        let made = match self.service {
            Service::Azblob => Operator::new(
                Azblob::default().endpoint(&endpoint).container(&self.container).root(&root).skip_signature(),
            ),
            Service::Webdav => {
                // Folders are made where a file gets its name: what is unfinished lies in the root.
                let mut service = Webdav::default().endpoint(&endpoint).root(&root).disable_create_dir(true);
                if let Some(basic) = &self.basic {
                    service = service.username(&basic.account).password(&basic.password);
                }
                Operator::new(service)
            }
        };
        made.map_err(|error| failure::invalid(format!("{} cannot be set up: {}", self.service, error.kind())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_found_by_its_name_and_can_be_set_up() {
        for service in Service::ALL {
            assert_eq!(Service::parse(service.name()), Some(service));
            let settings = Settings {
                service,
                origin: Origin::parse("http://127.0.0.1:8080", true).unwrap().0,
                path: "/dav".to_owned(),
                container: if service.has_container() { "box".to_owned() } else { String::new() },
                root: "a/b".to_owned(),
                basic: Some(Basic { account: "somebody".to_owned(), password: "s3cr3t".to_owned() }),
            };
            assert!(settings.target().ends_with("/a/b"), "{}", settings.target());
            assert!(settings.operator().is_ok(), "{service}");
            assert!(!format!("{settings:?}{:?}", settings.operator()).contains("s3cr3t"));
        }
        assert_eq!(Service::parse("fs"), None);
    }
}
