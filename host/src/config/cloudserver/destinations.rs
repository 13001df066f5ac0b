//! Reads `bucketNotificationDestinations` of `config.json`.

use std::path::Path;

use sallyport_core::notification::DestinationName;
use serde_json::{Map, Value};

use super::field::Fields;
use crate::config::destination::{DestinationConfiguration, DestinationTarget, NatsLogin, NatsTarget, WebhookTarget};
use crate::config::problem::{Problem, Problems, Severity};
use crate::config::secret::Secret;

const FIELD: &str = "bucketNotificationDestinations";
const NATS_PORT: u16 = 4222;
/// What can be written in `auth`, by which fields it is.
const LOGIN_FIX: &str = "write one of { \"token\" }, { \"user\", \"password\" }";

/// Reads the list, if there is one. What is wrong with one destination is fatal: events for it
/// would wait for nobody. A type of CloudServer's that we lack is a warning, since only
/// buckets that name it notice.
pub(super) fn read(
    file: &str,
    root: &Path,
    value: Option<Value>,
    problems: &mut Problems,
) -> Vec<DestinationConfiguration> {
    let entries = match value {
        None => return Vec::new(),
        Some(Value::Array(entries)) => entries,
        Some(_) => {
            problems
                .push(Problem::fatal(file, "is not a list", "write [ { \"resource\": …, \"type\": … } ]").at(FIELD));
            return Vec::new();
        }
    };
    let mut destinations: Vec<DestinationConfiguration> = Vec::new();
    for (position, entry) in entries.into_iter().enumerate() {
        let path = format!("{FIELD}.{position}");
        let Value::Object(map) = entry else {
            problems.push(Problem::fatal(file, "is not an object", "write { \"resource\": …, \"type\": … }").at(path));
            continue;
        };
        let mut reader = Reader { file, root, path, problems: Vec::new() };
        let read = reader.destination(map);
        problems.extend(reader.problems.drain(..));
        let Some(destination) = read else { continue };
        if destinations.iter().any(|earlier| earlier.name == destination.name) {
            let what = format!("{} is also that of an earlier destination", destination.name);
            let path = format!("{}.resource", reader.path);
            problems.push(Problem::fatal(file, what, "give each destination its own").at(path));
            continue;
        }
        destinations.push(destination);
    }
    destinations
}

struct Reader<'a> {
    file: &'a str,
    root: &'a Path,
    path: String,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn destination(&mut self, map: Map<String, Value>) -> Option<DestinationConfiguration> {
        let mut fields = Fields::new(self.file, &self.path, map);
        let name = self.name(&mut fields);
        let kind = fields.text("type");
        let target = match kind.as_deref() {
            Some("webhook" | "http" | "https") => self.webhook(&mut fields).map(DestinationTarget::Webhook),
            Some("nats") => self.nats(&mut fields).map(DestinationTarget::Nats),
            Some(other) => {
                let what = format!("{other:?} is no type of destination that Sallyport has: it is left out");
                let fix = "write webhook or nats, or leave it for CloudServer";
                self.problems.push(Problem::warning(self.file, what, fix).at(fields.path("type")));
                return None;
            }
            None => {
                self.wrong(fields.path("type"), "is missing", "write webhook or nats");
                None
            }
        };
        let authority = fields.text("ca").map(|path| self.root.join(path));
        self.problems.extend(fields.problems.iter().cloned().map(fatal));
        for key in fields.rest() {
            let problem = Problem::warning(self.file, "is not known", "correct its spelling, or remove it");
            self.problems.push(problem.at(key));
        }
        let is_wrong = self.problems.iter().any(|problem| problem.severity == Severity::Fatal);
        match (name, target) {
            (Some(name), Some(target)) if !is_wrong => Some(DestinationConfiguration { name, target, authority }),
            _ => None,
        }
    }

    fn name(&mut self, fields: &mut Fields<'_>) -> Option<DestinationName> {
        let before = fields.problems.len();
        let text = fields.text("resource");
        let name = text.as_deref().and_then(DestinationName::parse);
        if name.is_none() && fields.problems.len() == before {
            let what = text.map_or_else(|| "is missing".to_owned(), |text| format!("{text:?} is not a name"));
            let fix = "write 1 to 80 letters, digits, dots, hyphens and underscores";
            self.wrong(fields.path("resource"), what, fix);
        }
        name
    }

    fn webhook(&mut self, fields: &mut Fields<'_>) -> Option<WebhookTarget> {
        let (url, host, port) = (fields.text("url"), fields.text("host"), fields.port("port"));
        let header = self.header(fields);
        let field = fields.path(if url.is_some() || host.is_none() { "url" } else { "host" });
        let url = match (url, host, port) {
            (Some(_), Some(_), _) | (Some(_), None, Some(_)) => {
                self.wrong(field, "is given beside host or port", "keep the url alone");
                return None;
            }
            (Some(url), None, None) => url,
            (None, Some(host), Some(port)) if !host.contains("://") => format!("http://{host}:{port}/"),
            (None, Some(host), None) if !host.contains("://") => format!("http://{host}/"),
            (None, Some(url), None) => url,
            (None, Some(_), Some(_)) => {
                self.wrong(field, "is a URL beside a port", "write the port into the url");
                return None;
            }
            (None, None, _) => {
                self.wrong(field, "is missing", "write the URL that messages are posted to");
                return None;
            }
        };
        // The URL is not repeated: whoever has it may be allowed to post.
        let parsed: Option<http::Uri> = url.parse().ok();
        let is_legal = parsed.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
        });
        if !is_legal || url.contains('@') {
            self.wrong(field, "is not a URL of http or https without a user", "write https://host:port/path");
            return None;
        }
        Some(WebhookTarget { url: Secret::new(url), header })
    }

    fn header(&mut self, fields: &mut Fields<'_>) -> Option<(String, Secret)> {
        use base64::Engine as _;
        let (path, mut auth) = self.auth(fields)?;
        let (token, user, password) = (auth.text("token"), auth.text("user"), auth.text("password"));
        let (header, value) = (auth.text("header"), auth.text("value"));
        self.finish(auth);
        let (header, value) = match (token, user, password, header, value) {
            (Some(token), None, None, None, None) => ("authorization".to_owned(), format!("Bearer {token}")),
            (None, Some(user), Some(password), None, None) => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                ("authorization".to_owned(), format!("Basic {pair}"))
            }
            (None, None, None, Some(header), Some(value)) => (header.to_ascii_lowercase(), value),
            (None, None, None, None, None) => return None,
            _ => {
                let fix = format!("{LOGIN_FIX} and {{ \"header\", \"value\" }}");
                self.wrong(path, "is not one way to log in", fix);
                return None;
            }
        };
        let is_legal =
            http::HeaderName::from_bytes(header.as_bytes()).is_ok() && http::HeaderValue::from_str(&value).is_ok();
        if !is_legal {
            self.wrong(path, "cannot be a header", "write visible characters of ASCII");
            return None;
        }
        Some((header, Secret::new(value)))
    }

    fn nats(&mut self, fields: &mut Fields<'_>) -> Option<NatsTarget> {
        let host = fields.text("host").filter(|host| !host.is_empty());
        let port = fields.port("port").unwrap_or(NATS_PORT);
        let subject = fields.text("topic");
        let requires_tls = fields.boolean("tls").unwrap_or(false);
        let login = self.login(fields);
        if host.is_none() {
            self.wrong(fields.path("host"), "is missing", "write the name or address of the NATS server");
        }
        let legal = |subject: &String| {
            let no_wildcard = |token: &str| !token.is_empty() && token != "*" && token != ">";
            subject.split('.').all(no_wildcard) && !subject.contains(char::is_whitespace)
        };
        let subject = subject.filter(legal);
        if subject.is_none() {
            let fix = "write a subject that a stream of JetStream keeps, such as s3.events";
            self.wrong(fields.path("topic"), "is not a subject", fix);
        }
        Some(NatsTarget { host: host?, port, subject: subject?, login, requires_tls })
    }

    fn login(&mut self, fields: &mut Fields<'_>) -> NatsLogin {
        let Some((path, mut auth)) = self.auth(fields) else { return NatsLogin::Nobody };
        let (token, credentials) = (auth.text("token"), auth.text("credentials"));
        let (user, password) = (auth.text("user"), auth.text("password"));
        self.finish(auth);
        match (token, user, password, credentials) {
            (Some(token), None, None, None) => NatsLogin::Token(Secret::new(token)),
            (None, Some(name), Some(password), None) => NatsLogin::User { name, password: Secret::new(password) },
            (None, None, None, Some(file)) => NatsLogin::Credentials(self.root.join(file)),
            (None, None, None, None) => NatsLogin::Nobody,
            _ => {
                self.wrong(path, "is not one way to log in", format!("{LOGIN_FIX} and {{ \"credentials\" }}"));
                NatsLogin::Nobody
            }
        }
    }

    /// `auth` with its path; CloudServer's files have it with nothing in it.
    fn auth(&self, fields: &mut Fields<'_>) -> Option<(String, Fields<'a>)> {
        let path = fields.path("auth");
        let map = fields.object("auth")?;
        let auth = Fields::new(self.file, &path, map);
        Some((path, auth))
    }

    /// Takes over what was wrong with `auth`; a field that nobody took may hold a secret and
    /// is not left unsaid.
    fn finish(&mut self, auth: Fields<'_>) {
        let problems: Vec<Problem> = auth.problems.iter().cloned().map(fatal).collect();
        let rest = auth.rest();
        self.problems.extend(problems);
        for key in rest {
            self.wrong(key, "is not known", "correct its spelling, or remove it");
        }
    }

    fn wrong(&mut self, path: String, what: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem::fatal(self.file, what, fix).at(path));
    }
}

fn fatal(problem: Problem) -> Problem {
    Problem { severity: Severity::Fatal, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_list(value: Value) -> (Vec<DestinationConfiguration>, Vec<String>) {
        let mut problems = Problems::default();
        let destinations = read("config.json", Path::new("/srv"), Some(value), &mut problems);
        (destinations, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn destinations_are_read_in_cloudservers_shape() {
        let (destinations, problems) = read_list(json!([
            { "resource": "hooks", "type": "webhook", "url": "https://h.example/x?y", "auth": { "token": "t" }, "ca": "ca.pem" },
            { "resource": "plain", "type": "http", "host": "localhost", "port": 8080, "auth": {} },
            { "resource": "named", "type": "webhook", "host": "localhost:81", "auth": { "header": "X-Key", "value": "v" } },
            { "resource": "queue", "type": "nats", "host": "n", "topic": "s3.events", "auth": { "user": "u", "password": "p" } },
        ]));
        assert!(problems.is_empty(), "{problems:?}");
        let webhook = |destination: &DestinationConfiguration| match &destination.target {
            DestinationTarget::Webhook(webhook) => {
                let header = webhook.header.as_ref().map(|(name, value)| format!("{name}: {}", value.reveal()));
                (webhook.url.reveal().to_owned(), header.unwrap_or_default())
            }
            DestinationTarget::Nats(_) => panic!("a webhook"),
        };
        let expected = ("https://h.example/x?y".to_owned(), "authorization: Bearer t".to_owned());
        assert_eq!(webhook(&destinations[0]), expected);
        assert_eq!(destinations[0].authority.as_deref(), Some(Path::new("/srv/ca.pem")));
        assert_eq!(webhook(&destinations[1]).0, "http://localhost:8080/");
        assert_eq!(webhook(&destinations[2]), ("http://localhost:81/".to_owned(), "x-key: v".to_owned()));
        let DestinationTarget::Nats(nats) = &destinations[3].target else { panic!("nats") };
        assert_eq!((nats.port, nats.subject.as_str(), nats.requires_tls), (4222, "s3.events", false));
        let shown = format!("{destinations:?}");
        assert!(!shown.contains("h.example") && !shown.contains("Bearer"), "{shown}");
    }

    #[test]
    fn all_mistakes_come_together_and_show_no_secret() {
        let (destinations, problems) = read_list(json!([
            { "resource": "a b", "type": "webhook", "url": "ftp://hush" },
            { "type": "webhook", "url": "http://h/", "host": "h" },
            { "resource": "queue", "type": "nats", "topic": "s3.*", "auth": { "token": "hush", "user": "u" } },
            { "resource": "kafka", "type": "kafka", "host": "h", "port": 9092, "topic": "t" },
            { "resource": "ok", "type": "webhook", "url": "http://h/" },
            { "resource": "ok", "type": "webhook", "url": "http://i/" },
            "text",
        ]));
        assert_eq!(destinations.len(), 1);
        let expected = [
            "bucketNotificationDestinations.0.resource: \"a b\" is not a name",
            "bucketNotificationDestinations.0.url: is not a URL",
            "bucketNotificationDestinations.1.resource: is missing",
            "bucketNotificationDestinations.1.url: is given beside host or port",
            "bucketNotificationDestinations.2.host: is missing",
            "bucketNotificationDestinations.2.topic: is not a subject",
            "bucketNotificationDestinations.2.auth: is not one way to log in",
            "bucketNotificationDestinations.3.type: \"kafka\" is no type",
            "bucketNotificationDestinations.5.resource: ok is also that of an earlier",
            "bucketNotificationDestinations.6: is not an object",
        ];
        for text in expected {
            assert!(problems.iter().any(|problem| problem.contains(text)), "{text} in {problems:#?}");
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        assert!(problems.iter().all(|problem| !problem.contains("hush")), "{problems:#?}");
    }
}
