//! The documentation's lines on the variables of `azure` locations, in both their spellings.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Base64, and of another account.
const WRONG_KEY: &str = "d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmc=";

fn azure(details: Value) -> Value {
    let mut all = json!({ "bucketMatch": false, "azureContainerName": "cloud" });
    all.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
    json!({ "type": "azure", "legacyAwsBehavior": false, "details": all })
}

/// `az-x` in the documented spelling, and with the underscore that shells can export.
fn spelled(location: &str, suffix: &str, underscore: bool) -> String {
    let location = if underscore { location.replace('-', "_") } else { location.to_owned() };
    format!("{location}_AZURE_{suffix}")
}

#[tokio::test]
async fn each_variable_wins_over_the_file_in_both_spellings() {
    let azurite = Azurite::start().await.unwrap();
    let right = json!({
        "azureStorageEndpoint": azurite.endpoint(), "azureStorageAccountName": AZURITE_ACCOUNT,
        "azureStorageAccessKey": AZURITE_KEY
    });
    // (suffix, field, what the file says wrongly, what the variable says)
    let endpoint = azurite.endpoint();
    let cases = [
        ("STORAGE_ENDPOINT", "azureStorageEndpoint", "http://127.0.0.1:9/nobody", endpoint.as_str()),
        ("STORAGE_ACCOUNT_NAME", "azureStorageAccountName", "somebodyelse", AZURITE_ACCOUNT),
        ("STORAGE_ACCESS_KEY", "azureStorageAccessKey", WRONG_KEY, AZURITE_KEY),
        ("AUTH_METHOD", "authMethod", "client-secret", "shared-key"),
    ];
    let mut setup = Setup::with_locations(json!({}));
    let mut expected = Vec::new();
    for (suffix, field, wrong, value) in cases {
        for underscore in [false, true] {
            let name = format!("az-{}-{underscore}", field.to_lowercase());
            let mut details = right.clone();
            details[field] = json!(wrong);
            setup = setup.location(&name, azure(details)).environment(&spelled(&name, suffix, underscore), value);
            expected.push(name);
        }
    }
    let signature = azurite.reader().unwrap().shared_access_signature();
    for underscore in [false, true] {
        let name = format!("az-signature-{underscore}");
        let wrong = format!("{}&sig=AAAA", signature.split("&sig=").next().unwrap());
        let details = json!({ "azureStorageEndpoint": endpoint, "sasToken": wrong });
        setup = setup.location(&name, azure(details)).environment(&spelled(&name, "SAS_TOKEN", underscore), &signature);
        expected.push(name);
    }
    let mistaken = setup.location(
        "az-file",
        azure(json!({
            "azureStorageEndpoint": azurite.endpoint(), "azureStorageAccountName": AZURITE_ACCOUNT,
            "azureStorageAccessKey": WRONG_KEY
        })),
    );
    let gateway = mistaken.start().await.unwrap();
    for name in &expected {
        assert_eq!(store(&gateway, name).await, (200, String::new()), "{name}");
    }
    let (status, text) = store(&gateway, "az-file").await;
    assert_eq!(status, 503, "without a variable the file counts: {text}");
}

#[tokio::test]
async fn a_shared_access_signature_and_an_application_come_by_variables_too() {
    let cloud = FakeCloud::start().await;
    let service = format!("http://127.0.0.1:{}/acc", cloud.port);
    let mut setup = Setup::with_locations(json!({}));
    for underscore in [false, true] {
        let (sas, application) = (format!("sas-{underscore}"), format!("app-{underscore}"));
        let token = format!("sv=2021&sig=from-variable-{underscore}");
        setup = setup
            .location(&sas, azure(json!({ "azureStorageEndpoint": service, "sasToken": "sig=from-the-file" })))
            .environment(&spelled(&sas, "SAS_TOKEN", underscore), &token)
            .location(
                &application,
                azure(json!({
                    "azureStorageEndpoint": service, "azureAuthorityHost": format!("http://127.0.0.1:{}", cloud.port),
                    "tenantId": "filetenant", "clientId": "fileclient", "clientKey": "filekey"
                })),
            );
        for (suffix, value) in [("TENANT_ID", "tenant"), ("CLIENT_ID", "client"), ("CLIENT_KEY", "key")] {
            let value = format!("env{value}{underscore}");
            setup = setup.environment(&spelled(&application, suffix, underscore), &value);
        }
    }
    let gateway = setup.start().await.unwrap();
    let seen = cloud.seen();
    for underscore in [false, true] {
        let signed = format!("sig=from-variable-{underscore}");
        assert!(seen.iter().any(|one| one.contains("HEAD /acc/cloud") && one.contains(&signed)), "{seen:#?}");
        let asked = format!("POST /envtenant{underscore}/oauth2/v2.0/token");
        let form = seen.iter().find(|one| one.starts_with(&asked)).unwrap_or_else(|| panic!("{asked}: {seen:#?}"));
        assert!(form.contains(&format!("client_id=envclient{underscore}")), "{form}");
        assert!(form.contains(&format!("client_secret=envkey{underscore}")), "{form}");
    }
    assert!(seen.iter().any(|one| one.contains("HEAD /acc/cloud") && one.contains("Bearer the-token")), "{seen:#?}");
    assert!(!seen.iter().any(|one| one.contains("from-the-file") || one.contains("filekey")), "{seen:#?}");
    drop(gateway);
}

#[tokio::test]
async fn a_spelling_that_two_locations_share_is_used_for_neither() {
    let azurite = Azurite::start().await.unwrap();
    let details = json!({
        "azureStorageEndpoint": azurite.endpoint(), "azureStorageAccountName": AZURITE_ACCOUNT,
        "azureStorageAccessKey": WRONG_KEY
    });
    let mut gateway = Setup::with_locations(json!({ "one-two": azure(details.clone()), "one_two": azure(details) }))
        .environment("one_two_AZURE_STORAGE_ACCESS_KEY", AZURITE_KEY)
        .start()
        .await
        .unwrap();
    for (name, other) in [("one-two", "one_two"), ("one_two", "one-two")] {
        let (status, text) = store(&gateway, name).await;
        assert_eq!(status, 503, "{name}: {text}");
        assert!(text.contains("one_two_AZURE_STORAGE_ACCESS_KEY could also mean"), "{name}: {text}");
        let log = gateway.log();
        let line =
            log.lines().find(|line| line.starts_with(&format!("location: locationConfig.json, location {name},")));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("details.azureStorageAccessKey") && line.contains(other), "{line}");
    }
}

async fn store(gateway: &Gateway, location: &str) -> (u16, String) {
    let client = gateway.client().unwrap();
    let bucket = location.replace('_', ".");
    assert_eq!(client.create_bucket(&bucket, location).await.unwrap().status, 200, "{bucket}");
    let answer = client.put(&format!("{bucket}/key"), "bytes").await.unwrap();
    (answer.status.as_u16(), answer.text())
}

/// Hands out tokens, says yes to everything else, and remembers what it was asked.
struct FakeCloud {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl FakeCloud {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&shared);
                let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let line = format!("{} {} {authorization}", head.method, head.uri);
    let body = body.collect().await?.to_bytes();
    seen.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body)));
    let is_token = head.uri.path().ends_with("/oauth2/v2.0/token");
    let token = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"the-token"}"#;
    let body = if is_token { Bytes::from(token) } else { Bytes::new() };
    let answer = Response::builder().header("etag", "\"0x1\"").header("content-type", "application/json");
    Ok(answer.body(Full::new(body)).unwrap())
}
