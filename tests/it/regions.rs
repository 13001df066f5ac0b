//! A location that names no region finds its bucket's.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sallyport_tests::gateway::Setup;
use sallyport_tests::upstream::Moto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const REGION: &str = "eu-west-7";

#[tokio::test]
async fn the_region_that_the_backend_names_is_signed_for() {
    let moto = Moto::start().await.unwrap();
    assert_eq!(moto.client().unwrap().create_bucket("cloud", "").await.unwrap().status, 200);
    let in_header = Regional::before(moto.port(), true).await;
    let in_body = Regional::before(moto.port(), false).await;
    let location = |port: u16, region: Value| {
        json!({ "type": "aws_s3", "legacyAwsBehavior": false, "details": {
            "awsEndpoint": format!("127.0.0.1:{port}"), "bucketName": "cloud", "https": false, "pathStyle": true,
            "supportsVersioning": false, "region": region,
            "credentials": { "accessKey": "testing", "secretKey": "testing" }
        } })
    };
    let locations = json!({
        "in-header": location(in_header.port, Value::Null),
        "in-body": location(in_body.port, json!("")),
        "written-wrong": location(in_header.port, json!("eu-north-9")),
    });
    let mut gateway = Setup::with_locations(locations).start().await.unwrap();
    let client = gateway.client().unwrap();
    for location in ["in-header", "in-body"] {
        assert_eq!(client.create_bucket(location, location).await.unwrap().status, 200);
        let put = client.put(&format!("{location}/key"), location).await.unwrap();
        assert_eq!(put.status, 200, "{location}: {}\n{}", put.text(), gateway.log());
        assert_eq!(client.get(&format!("{location}/key")).await.unwrap().text(), location);
    }
    // What the operator wrote is not overridden: the answer says what to write.
    assert_eq!(client.create_bucket("written-wrong", "written-wrong").await.unwrap().status, 200);
    let refused = client.put("written-wrong/key", "bytes").await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains(REGION), "{}", gateway.log());
}

/// Stands before a server and refuses what is signed for another region, as AWS does.
struct Regional {
    port: u16,
    task: JoinHandle<()>,
}

impl Regional {
    async fn before(upstream: u16, in_header: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pool: Pool<HttpConnector, Incoming> = Pool::builder(TokioExecutor::new()).build_http();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, pool.clone(), upstream, in_header));
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { port, task }
    }
}

impl Drop for Regional {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut request: Request<Incoming>,
    pool: Pool<HttpConnector, Incoming>,
    upstream: u16,
    in_header: bool,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, hyper_util::client::legacy::Error> {
    let scope = format!("/{REGION}/s3/aws4_request");
    let signed_for = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signed_for.contains(&scope) {
        let said = format!(
            "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is \
             wrong</Message><Region>{REGION}</Region></Error>"
        );
        let said = if *request.method() == Method::HEAD { Bytes::new() } else { Bytes::from(said) };
        let mut refusal = Response::builder().status(400);
        if in_header {
            refusal = refusal.header("x-amz-bucket-region", REGION);
        }
        return Ok(refusal.body(Full::new(said).map_err(|never| match never {}).boxed()).unwrap());
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = format!("http://127.0.0.1:{upstream}{path}").parse::<Uri>().unwrap();
    Ok(pool.request(request).await?.map(BodyExt::boxed))
}
