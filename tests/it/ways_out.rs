//! The ways to a backend that not everybody takes: proxies, and Azure's other authentications.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use sallyport_tests::client::{Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::process::{Process, accepting, free_port};
use sallyport_tests::proxy::ForwardProxy;
use sallyport_tests::signing::hmac;
use sallyport_tests::tls::{Authority, Front};
use sallyport_tests::tools;
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, Rclone};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::process::Command;

/// More than what is verified before it leaves.
const LARGE: usize = 300_000;

#[tokio::test]
async fn requests_leave_through_the_proxy_but_for_those_that_are_excepted() {
    let rclone = Rclone::start().await.unwrap();
    let backend = rclone.client().unwrap();
    for bucket in ["plain", "tunnelled", "direct"] {
        assert_eq!(backend.create_bucket(bucket, "").await.unwrap().status, 200);
    }
    let authority = Authority::new().unwrap();
    let front = Front::before(rclone.port(), &authority.issue(&["tunnelled.test"]).unwrap()).await.unwrap();
    let proxy = ForwardProxy::start(&[("plain.test", rclone.port()), ("tunnelled.test", front.port())]).await.unwrap();
    let location = |host: &str, bucket: &str, https: bool| {
        json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": {
            "awsEndpoint": host, "bucketName": bucket, "https": https, "pathStyle": true, "supportsVersioning": false,
            "caBundle": authority.file(), "credentials": { "accessKey": "rcloneKey", "secretKey": "rcloneSecret" }
        } })
    };
    let locations = json!({
        "plain": location("plain.test", "plain", false),
        "tunnelled": location("tunnelled.test:8443", "tunnelled", true),
        "direct": location(&format!("sub.direct.test:{}", rclone.port()), "direct", false),
    });
    let setup = Setup::with_locations(locations)
        .environment("NO_PROXY", "elsewhere.test,.direct.test")
        .environment("SALLYPORT_RESOLVE", &format!("sub.direct.test=127.0.0.1:{}", rclone.port()));
    let by_environment = setup.clone().environment("HTTP_PROXY", &proxy.url()).environment("https_proxy", &proxy.url());
    let by_file = setup.config("outboundProxy", json!({ "url": proxy.url() }));
    for setup in [by_environment, by_file] {
        let mut gateway = setup.start().await.unwrap();
        for location in ["plain", "tunnelled", "direct"] {
            stores_and_reads(&mut gateway, location).await;
            assert!(!backend.keys(location).await.unwrap().is_empty(), "{location}: the bytes came through");
        }
        let seen = proxy.seen();
        for wanted in ["PUT plain.test", "GET plain.test", "CONNECT tunnelled.test:8443"] {
            assert!(seen.contains(wanted), "{wanted} is not among {seen:?}");
        }
        assert!(!seen.iter().any(|one| one.contains("direct") || one.contains("PUT tunnelled")), "{seen:?}");
        let log = gateway.log();
        assert!(!log.contains("sec%72et") && !log.contains("user:secret"), "{log}");
        for bucket in ["plain", "tunnelled", "direct"] {
            for key in backend.keys(bucket).await.unwrap() {
                backend.delete(&format!("{bucket}/{key}")).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_shared_access_signature_is_enough_and_is_never_shown() {
    let azurite = Azurite::start().await.unwrap();
    let sas = account_sas();
    let signature = sas.rsplit("sig=").next().unwrap().to_owned();
    let locations = json!({
        "sas": azure(&azurite.endpoint(), json!({ "sasToken": format!("?{sas}") })),
        "wrong": azure(&azurite.endpoint(), json!({ "sasToken": sas.replace("sig=", "sig=AAAA") })),
    });
    let mut gateway =
        Setup::with_locations(locations).config("log", json!({ "logLevel": "trace" })).start().await.unwrap();
    stores_and_reads(&mut gateway, "sas").await;
    let client = gateway.client().unwrap();

    // Copies name their source by a URL, which carries the signature.
    let copy = Call::new(Method::PUT, "sas/copy").header("x-amz-copy-source", "sas/large");
    assert_eq!(client.send(copy).await.unwrap().status, 200);
    let created = client.send(Call::new(Method::POST, "sas/parts").query("uploads", "")).await.unwrap();
    let id = created.elements("UploadId").remove(0);
    let part = Call::new(Method::PUT, "sas/parts").query("partNumber", "1").query("uploadId", &id);
    let part = client.send(part.header("x-amz-copy-source", "sas/large")).await.unwrap();
    assert_eq!(part.status, 200, "{}\n{}", part.text(), gateway.log());
    let etag = part.elements("ETag").remove(0);
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let complete = Call::new(Method::POST, "sas/parts").query("uploadId", &id).body(document);
    assert_eq!(client.send(complete).await.unwrap().code(), "");
    for key in ["copy", "parts"] {
        assert_eq!(client.get(&format!("sas/{key}")).await.unwrap().body.len(), LARGE, "{key}");
    }

    assert_eq!(client.create_bucket("wrong", "wrong").await.unwrap().status, 200);
    let refused = client.put("wrong/key", "bytes").await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    let checked = gateway.run(&["check"]).await.unwrap();
    let names = azurite.reader().unwrap().names("container").await.unwrap();
    assert!(names.iter().any(|name| name.ends_with("large")), "{names:?}");
    drop(azurite);
    let down = client.put("sas/key", "bytes").await.unwrap();
    assert_eq!(down.status, 503);
    for text in [gateway.log(), refused.text(), down.text(), checked.output] {
        assert!(!text.contains(&signature), "the signature is shown:\n{text}");
    }
}

#[tokio::test]
async fn a_client_secret_buys_a_token_that_azure_takes() {
    let authority = Authority::new().unwrap();
    let issued = authority.issue(&["127.0.0.1"]).unwrap();
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
    let mut command = Command::new(tools::node_program("azurite-blob").unwrap());
    command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--oauth", "basic"]);
    command.arg("--cert").arg(&issued.certificate).arg("--key").arg(&issued.key);
    command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location"]).arg(folder.path());
    let mut process = Process::start(&mut command).unwrap();
    accepting(&mut process, port).await.unwrap();
    let tokens = Tokens::start().await;
    let application = |key: &str| {
        json!({ "tenantId": "tenant-1", "clientId": "client", "clientKey": key,
            "azureAuthorityHost": tokens.url, "caBundle": authority.file() })
    };
    let endpoint = format!("https://127.0.0.1:{port}/{AZURITE_ACCOUNT}");
    let locations = json!({
        "good": azure(&endpoint, application("client secret+/&")),
        "bad": azure(&endpoint, application("another-client-secret")),
    });
    let mut gateway =
        Setup::with_locations(locations).config("log", json!({ "logLevel": "trace" })).start().await.unwrap();
    stores_and_reads(&mut gateway, "good").await;
    let form = "grant_type=client_credentials&client_id=client&client_secret=client%20secret%2B%2F%26\
                &scope=https%3A%2F%2Fstorage%2Eazure%2Ecom%2F%2Edefault";
    let asked = tokens.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|one| *one == form).count(), 1, "the token is kept: {asked:?}");
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("bad", "bad").await.unwrap().status, 200);
    let refused = client.put("bad/key", "bytes").await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.text().contains("bad")), (503, true), "{}", refused.text());
    for text in [gateway.log(), refused.text()] {
        for secret in ["client secret+/&", "client%20secret", "another-client-secret", &token()[..20]] {
            assert!(!text.contains(secret), "{secret} is shown:\n{text}");
        }
    }
}

fn azure(endpoint: &str, authentication: Value) -> Value {
    let mut details = json!({ "azureStorageEndpoint": endpoint, "azureContainerName": "container" });
    details.as_object_mut().unwrap().extend(authentication.as_object().unwrap().clone());
    json!({ "type": "azure", "legacyAwsBehavior": false, "details": details })
}

/// A small and a large object and tags, through a bucket of the location's name.
async fn stores_and_reads(gateway: &mut Gateway, location: &str) {
    let client: Client = gateway.client().unwrap();
    let created = client.create_bucket(location, location).await.unwrap();
    assert_eq!(created.status, 200, "{}\n{}", created.text(), gateway.log());
    for (key, body) in [("small", Bytes::from_static(b"bytes")), ("large", Bytes::from(vec![7; LARGE]))] {
        let path = format!("{location}/{key}");
        let put = client.send(Call::new(Method::PUT, &path).header("x-amz-tagging", "a=b").body(body.clone())).await;
        let put = put.unwrap();
        assert_eq!(put.status, 200, "{}\n{}", put.text(), gateway.log());
        assert_eq!(client.get(&path).await.unwrap().body, body, "{path}");
    }
}

/// An account SAS for everything in the account for an hour.
/// <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>
fn account_sas() -> String {
    let end = SystemTime::now() + Duration::from_secs(3600);
    let (version, permissions, until) = ("2021-12-02", "rwdxylacuptfi", iso_date(end));
    let text = format!("{AZURITE_ACCOUNT}\n{permissions}\nb\nsco\n\n{until}\n\nhttps,http\n{version}\n\n");
    let signature = STANDARD.encode(hmac(&STANDARD.decode(AZURITE_KEY).unwrap(), text.as_bytes()));
    let encode = |text: &str| sallyport_tests::signing::encode(text, true);
    format!(
        "sv={version}&ss=b&srt=sco&spr=https%2Chttp&sp={permissions}&se={}&sig={}",
        encode(&until),
        encode(&signature)
    )
}

fn iso_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, second) = (i64::try_from(seconds / 86_400).unwrap(), seconds % 86_400);
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A token of the form that Azurite looks at; it does not verify who signed it.
fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant-1/",
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600 });
    format!("{}.{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims), part(json!("signature")))
}

/// Stands in for Entra ID, which no server here does: hands out a token for the right secret.
struct Tokens {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Tokens {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let asked = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| hand_out(request, Arc::clone(&asked)));
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { url, asked, task }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_out(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let form = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let is_good = (head.method.as_str(), head.uri.path()) == ("POST", "/tenant-1/oauth2/v2.0/token")
        && form.contains("client_secret=client%20secret%2B%2F%26&");
    asked.lock().unwrap().push(form);
    let answer = if is_good {
        Response::builder().body(json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token() }))
    } else {
        Response::builder().status(401).body(json!({ "error": "invalid_client" }))
    };
    Ok(answer.unwrap().map(|body| Full::new(body.to_string().into())))
}
