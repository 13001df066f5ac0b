//! Where the account's blob service answers.

/// The blob service's URL, in parts.
///
/// An endpoint is taken as it is written: one with a path (`http://127.0.0.1:10000/account`,
/// as Azurite has it) names the account there, one without names it in the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `https`, unless the operator wrote `http`.
    pub(crate) secure: bool,
    /// Lower case.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty, or a slash and more, without one at the end.
    pub(crate) path: String,
}

/// What every public and sovereign cloud has in the names of its blob services.
const SERVICE: &str = ".blob.";

impl Endpoint {
    /// The account's public endpoint.
    pub(crate) fn of_account(account: &str) -> Self {
        Self { secure: true, host: format!("{account}.blob.core.windows.net"), port: 443, path: String::new() }
    }

    /// Reads a URL, `host:port` or a host; the error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("\"{}\" {what}", without_userinfo(text));
        let (secure, rest) = match text.split_once("://") {
            None => (true, text),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err(wrong("starts with neither https:// nor http://")),
        };
        if rest.contains(['?', '#']) {
            return Err(wrong("has a query; a shared access signature belongs in sasToken"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("has a user name in it"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong("has no valid port"))?;
        if !is_host(host) {
            return Err(wrong("has no valid host"));
        }
        let path = path.trim_end_matches('/');
        if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)) || path.contains("..") {
            return Err(wrong("has a path that is not one of an account"));
        }
        if !path.is_empty() && host.contains(SERVICE) {
            return Err(wrong("has a path; the container belongs in azureContainerName"));
        }
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(if secure { 443 } else { 80 }),
            path: path.to_owned(),
        })
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn has_default_port(&self) -> bool {
        self.port == if self.secure { 443 } else { 80 }
    }

    /// The host, with its port when that is not the scheme's.
    pub(crate) fn authority(&self) -> String {
        if self.has_default_port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// `scheme://host:port`.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme(), self.host, self.port)
    }

    /// The URL without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), self.path)
    }

    /// What the operator might have meant differently.
    pub(crate) fn doubts(&self, account: &str) -> Option<String> {
        if let Some((named, _)) = self.host.split_once(SERVICE) {
            let named = named.strip_suffix("-secondary").unwrap_or(named);
            return (named != account && !named.contains('.')).then(|| {
                format!("azureStorageEndpoint belongs to the account {named}, azureStorageAccountName is {account}")
            });
        }
        let is_address = self.host == "localhost" || self.host.parse::<std::net::Ipv4Addr>().is_ok();
        (is_address && self.path.is_empty()).then(|| {
            format!("azureStorageEndpoint names no account; an emulator's is usually {}/{account}", self.url())
        })
    }
}

fn without_userinfo(text: &str) -> &str {
    let text = text.rsplit_once('@').map_or(text, |(_, behind)| behind);
    text.split(['?', '#']).next().unwrap_or_default()
}

/// `None` when there is a port that is none.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let in_brackets = authority.starts_with('[') && authority.ends_with(']');
    match authority.rsplit_once(':') {
        Some((host, port)) if !in_brackets => {
            let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
            Some((host, Some(port)))
        }
        _ => Some((authority, None)),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
    };
    !host.is_empty() && host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_endpoint_is_the_same_one() {
        let account = Endpoint::of_account("acc");
        for text in [
            "https://acc.blob.core.windows.net/",
            "https://acc.blob.core.windows.net",
            "HTTPS://ACC.blob.core.windows.net:443/",
            "acc.blob.core.windows.net",
        ] {
            assert_eq!(Endpoint::parse(text), Ok(account.clone()));
        }
        assert_eq!(account.url(), "https://acc.blob.core.windows.net");
        assert_eq!(account.origin(), "https://acc.blob.core.windows.net:443");
    }

    #[test]
    fn a_path_is_kept_as_it_is() {
        let azurite = Endpoint::parse("http://127.0.0.1:10000/devstoreaccount1/").unwrap();
        assert_eq!(azurite.url(), "http://127.0.0.1:10000/devstoreaccount1");
        assert_eq!(azurite.origin(), "http://127.0.0.1:10000");
        assert_eq!(azurite.doubts("devstoreaccount1"), None);
        assert_eq!(Endpoint::parse("http://[::1]:10000/a").unwrap().authority(), "[::1]:10000");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_its_secrets() {
        for text in [
            "ftp://acc",
            "https://",
            "https://a b/",
            "https://acc:99999/",
            "https://user:secret@acc/",
            "https://acc.blob.core.windows.net/?sig=secret",
            "https://acc.blob.core.windows.net/container",
            "https://acc/../x",
        ] {
            let message = Endpoint::parse(text).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn an_endpoint_of_another_account_is_doubted() {
        assert!(Endpoint::of_account("one").doubts("two").is_some());
        assert!(Endpoint::of_account("one").doubts("one").is_none());
        assert!(Endpoint::parse("http://127.0.0.1:10000").unwrap().doubts("one").is_some());
    }
}
