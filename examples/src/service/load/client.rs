//! A client of the service.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;

use crate::Failure;

type Body = Full<Bytes>;

/// A service closes what is idle for longer, and must not do so while the next request is on its way.
const IDLE: Duration = Duration::from_secs(1);

/// Clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: hyper_util::client::legacy::Client<HttpConnector, Body>,
    address: SocketAddr,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        let mut http = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Client {
            http: http.build_http(),
            address,
        }
    }

    /// The body of the answer.
    pub(super) async fn page(&self, path: &str) -> Result<String, Failure> {
        let request = Request::get(self.url(path)).body(Body::default())?;
        let answer = self.http.request(request).await?;
        let page = answer.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    /// The status of the answer.
    pub(super) async fn get(&self, path: &str) -> Result<u16, Failure> {
        self.send(Request::get(self.url(path)).body(Body::default())?)
            .await
    }

    /// The same, for a request with a body.
    pub(super) async fn post(&self, path: &str, body: Value) -> Result<u16, Failure> {
        let request = Request::post(self.url(path))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))?;
        self.send(request).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn send(&self, request: Request<Body>) -> Result<u16, Failure> {
        let answer = self.http.request(request).await?;
        let status = answer.status().as_u16();
        // Read to its end, so that the connection can be used again.
        answer.into_body().collect().await?;
        Ok(status)
    }
}
