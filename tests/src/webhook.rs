//! A webhook that keeps what it gets, and answers as it is told.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The webhook; dropping it closes its port and all connections.
#[derive(Debug)]
pub struct Webhook {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

/// A message that was posted.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
    /// What it was answered.
    pub status: StatusCode,
}

#[derive(Debug, Default)]
struct State {
    posted: Vec<Posted>,
    /// The answers to messages whose body contains the text.
    answers: Vec<(String, StatusCode)>,
}

impl Webhook {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When nothing can be bound.
    pub async fn start() -> Result<Self> {
        Self::at(0).await
    }

    /// Listens on this port.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn at(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { port, state, task })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Answers messages whose body contains a text with this status from now on; the latest
    /// word counts.
    pub fn answer(&self, text: &str, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.state().answers.insert(0, (text.to_owned(), status));
    }

    /// All that was posted, in order.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.state().posted.clone()
    }

    /// The records of events that were taken, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let taken = self.posted().into_iter().filter(|posted| posted.status.is_success());
        taken.filter_map(|posted| Some(posted.body.get("Records")?.get(0)?.clone())).collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(take(request, &state).await) }
    });
    // A connection that breaks off is its client's affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn take(request: Request<Incoming>, state: &Mutex<State>) -> Response<Full<Bytes>> {
    let path = request.uri().to_string();
    let headers = request.headers().clone();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let status =
        state.answers.iter().find(|(part, _)| text.contains(part)).map_or(StatusCode::OK, |(_, status)| *status);
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    state.posted.push(Posted { path, headers, body, status });
    let mut answer = Response::new(Full::new(Bytes::from_static(b"taken")));
    *answer.status_mut() = status;
    answer
}
