//! A client of the service.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Request, header};
use diesel_rqlite_examples::Failure;
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: hyper_util::client::legacy::Client<HttpConnector, Body>,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        Client {
            http: http.build_http(),
            address,
        }
    }

    /// The status of the answer.
    pub(crate) async fn get(&self, path: &str) -> Result<u16, Failure> {
        self.send(Request::get(self.url(path)).body(Body::empty())?)
            .await
    }

    /// The same, for a request with a body.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<u16, Failure> {
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
