//! The admin port: whether the server lives and is ready, its metrics, how its locations are, and a reload.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::Network;
use crate::serving::Peer;

/// Says whether requests can be served, or why not.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Says how the locations are, in JSON.
pub type Status = Arc<dyn Fn() -> String + Send + Sync>;

/// Reads the configuration again; its report is JSON.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// What the admin port answers with.
#[derive(Clone)]
pub struct Admin {
    /// Who may ask; anybody else gets 403.
    pub allow: Arc<[Network]>,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// What `/ready` asks.
    pub readiness: Readiness,
    /// What `/status` shows.
    pub status: Status,
    /// What a POST of `/reload` does.
    pub reload: Reload,
}

impl Admin {
    /// Whether a request to the S3 port is for here: CloudServer 7 had its checks there. No
    /// bucket has such a name.
    pub fn is_asked<B>(request: &Request<B>) -> bool {
        matches!(request.uri().path(), "/_/healthcheck" | "/_/healthcheck/deep")
    }

    /// Carries out `/reload`, which only this machine may ask for; everything else as
    /// [`Admin::answer`] has it.
    pub async fn serve<B>(&self, request: Request<B>, peer: Peer) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        if request.uri().path() != "/reload" {
            return self.answer(&request, peer);
        }
        if !peer.address.ip().to_canonical().is_loopback() {
            return response(StatusCode::FORBIDDEN, "ask from the machine that the server runs on\n".to_owned());
        }
        if request.method() != Method::POST {
            return response(StatusCode::METHOD_NOT_ALLOWED, "send a POST\n".to_owned());
        }
        json((self.reload)().await)
    }

    /// `/live`, `/ready` and `/status`; any other path shows the metrics.
    pub fn answer<B>(&self, request: &Request<B>, peer: Peer) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let address = peer.address.ip();
        if !self.allow.iter().any(|network| network.contains(address)) {
            let fix = format!("add {address} to healthChecks.allowFrom in config.json\n");
            return response(StatusCode::FORBIDDEN, fix);
        }
        match request.uri().path() {
            // As CloudServer 8 and 7 spell it.
            "/live" | "/_/healthcheck" => response(StatusCode::OK, "live\n".to_owned()),
            "/ready" | "/_/healthcheck/deep" => match (self.readiness)() {
                Ok(()) => response(StatusCode::OK, "ready\n".to_owned()),
                Err(cause) => response(StatusCode::SERVICE_UNAVAILABLE, format!("{cause}\n")),
            },
            "/status" => json((self.status)()),
            _ => response(StatusCode::OK, self.metrics.render()),
        }
    }
}

fn response(status: StatusCode, text: String) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn json(text: String) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let mut response = response(StatusCode::OK, text + "\n");
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn ask(path: &str, from: &str, ready: Result<(), String>) -> (u16, String) {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("requests").increment(3));
        let admin = Admin {
            allow: Network::LOOPBACK.into(),
            metrics: recorder.handle(),
            readiness: Arc::new(move || ready.clone()),
            status: Arc::new(|| "[\"how they are\"]".to_owned()),
            reload: Arc::new(|| Box::pin(async { "{\"reloaded\":true}".to_owned() })),
        };
        let address = format!("{from}:1").parse().unwrap();
        let peer = Peer { address, local: address, tls: false };
        let (method, path) = path.split_once(' ').unwrap_or(("GET", path));
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let answer = admin.serve(request, peer).await;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(bytes.to_vec()).unwrap())
        })
    }

    #[test]
    fn each_path_has_its_answer() {
        let down = || Err("metadata: disk full".to_owned());
        let cases = [
            ("/live", "127.0.0.1", down(), 200, "live"),
            ("/ready", "127.0.0.1", Ok(()), 200, "ready"),
            ("/ready", "127.0.0.1", down(), 503, "disk full"),
            ("/_/healthcheck", "127.0.0.1", down(), 200, "live"),
            ("/_/healthcheck/deep", "127.0.0.1", down(), 503, "disk full"),
            ("/metrics", "127.0.0.1", down(), 200, "requests 3"),
            ("/", "127.0.0.1", Ok(()), 200, "requests 3"),
            ("/live", "10.0.0.7", Ok(()), 403, "healthChecks.allowFrom"),
            ("/status", "127.0.0.1", Ok(()), 200, "how they are"),
            ("/status", "10.0.0.7", Ok(()), 403, "healthChecks.allowFrom"),
            ("POST /reload", "127.0.0.1", Ok(()), 200, "reloaded"),
            ("/reload", "127.0.0.1", Ok(()), 405, "POST"),
            ("POST /reload", "10.0.0.7", Ok(()), 403, "machine"),
        ];
        for (path, from, ready, status, text) in cases {
            let (answered, body) = ask(path, from, ready);
            assert_eq!(answered, status, "{path} {from}");
            assert!(body.contains(text), "{body}");
        }
    }
}
