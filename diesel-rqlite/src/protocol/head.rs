//! Requests to nodes, and their heads.
//!
//! A connection sends most requests with the same few heads. [`Heads`] keeps the last ones as the text that is sent, so that
//! it is not made anew for each request. Credentials are not kept, since they may change.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, USER_AGENT};
use http::{Error, HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// The user agent of all requests.
pub(crate) const AGENT: &str = concat!("diesel-rqlite/", env!("CARGO_PKG_VERSION"));
/// The type of the bodies of requests, and of those of their answers.
pub(crate) const JSON: &str = "application/json";
/// The number of heads that are kept: those of queries and of writes, in and out of transactions.
const MOST: usize = 4;

/// The heads of a connection's last requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Vec<Arc<Head>>);

/// The part of a head that does not depend on the statements.
#[derive(Debug)]
pub(crate) struct Head {
    method: Method,
    /// The URI, as it was given.
    text: String,
    uri: Uri,
    /// The first lines, as they are sent.
    lines: Vec<u8>,
}

impl Heads {
    /// Returns the head of a request to this URI. Fails if it is not a valid one.
    pub(crate) fn of(&mut self, method: &Method, uri: String) -> Result<Arc<Head>, Error> {
        let known = self
            .0
            .iter()
            .find(|head| head.text == uri && head.method == *method);
        if let Some(head) = known {
            return Ok(Arc::clone(head));
        }
        let head = Arc::new(Head::new(method.clone(), uri)?);
        self.0.truncate(MOST - 1);
        self.0.insert(0, Arc::clone(&head));
        Ok(head)
    }
}

impl Head {
    fn new(method: Method, text: String) -> Result<Self, Error> {
        let uri = Uri::try_from(&text)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        let mut lines = Vec::with_capacity(256);
        write_lines(&method, &uri, &headers, &mut lines);
        Ok(Head {
            method,
            text,
            uri,
            lines,
        })
    }
}

/// A request for SQL to one node.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    head: Arc<Head>,
    authorization: Option<HeaderValue>,
    /// Set if the node must accept the request before it is sent the body. (`Expect: 100-continue`)
    pub(crate) must_be_accepted: bool,
    /// The time that replaces the client's `request_timeout`.
    pub(crate) timeout: Option<Duration>,
    body: Bytes,
}

impl Request {
    pub(crate) fn new(head: Arc<Head>, authorization: Option<HeaderValue>, body: Bytes) -> Self {
        Request {
            head,
            authorization,
            must_be_accepted: false,
            timeout: None,
            body,
        }
    }

    /// Returns a request without credentials.
    #[cfg(test)]
    pub(crate) fn post(uri: &str, body: impl Into<Bytes>) -> Self {
        let head = Heads::default().of(&Method::POST, uri.to_owned());
        Request::new(head.expect("is a URI"), None, body.into())
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.head.uri
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Appends the head, as it is sent.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head.lines);
        write_header(&CONTENT_LENGTH, self.body.len().to_string().as_bytes(), out);
        if let Some(authorization) = &self.authorization {
            write_header(&AUTHORIZATION, authorization.as_bytes(), out);
        }
        if self.must_be_accepted {
            write_header(&EXPECT, b"100-continue", out);
        }
        out.extend_from_slice(END);
    }
}

/// The end of a line, and of a head.
const END: &[u8] = b"\r\n";

/// Appends the head of a request that is not one for SQL, as it is sent. The length of the body, or its
/// coding, must be among the headers.
#[cfg(feature = "async")]
pub(crate) fn write_head<B>(request: &http::Request<B>, out: &mut Vec<u8>) {
    write_lines(request.method(), request.uri(), request.headers(), out);
    out.extend_from_slice(END);
}

/// Appends the first lines of a head: with the header `Host`, and without the empty line at the end.
fn write_lines(method: &Method, uri: &Uri, headers: &HeaderMap, out: &mut Vec<u8>) {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(authority) = uri.authority() {
        write_header(&HOST, authority.as_str().as_bytes(), out);
    }
    for (name, value) in headers {
        write_header(name, value.as_bytes(), out);
    }
}

fn write_header(name: &HeaderName, value: &[u8], out: &mut Vec<u8>) {
    for part in [name.as_str().as_bytes(), b": ", value, END] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_few_and_right() {
        let mut heads = Heads::default();
        for round in 0..3 {
            for node in 0..2 * MOST {
                let uri = format!("http://h{node}:4001/p/db/query?level=weak");
                let head = heads.of(&Method::POST, uri.clone()).expect("is a URI");
                assert_eq!(head.uri.to_string(), uri, "{round}");
                let lines = String::from_utf8_lossy(&head.lines);
                assert!(
                    lines.contains(&format!("host: h{node}:4001\r\n")),
                    "{lines}"
                );
                assert!(heads.0.len() <= MOST);
            }
        }
        let uri = "http://h:1/db/execute";
        let mut of = |method: &Method| heads.of(method, uri.to_owned()).expect("is a URI");
        let kept = of(&Method::POST);
        assert!(
            Arc::ptr_eq(&kept, &of(&Method::POST)),
            "it is not made again"
        );
        assert_eq!(of(&Method::DELETE).method, Method::DELETE);
        assert!(heads.of(&Method::POST, "http://h h/".to_owned()).is_err());
    }

    #[test]
    fn head_is_written_as_it_is() {
        let line = "POST /db/query?level=weak HTTP/1.1\r\nhost: [::1]:4001\r\n";
        let uri = "http://[::1]:4001/db/query?level=weak";
        let text = |out: Vec<u8>| String::from_utf8(out).expect("is ASCII");

        #[cfg(feature = "async")]
        {
            let mut out = Vec::new();
            let other = http::Request::post(uri).header("a", "b").header("a", "c");
            write_head(&other.body(()).expect("is one"), &mut out);
            assert_eq!(text(out), format!("{line}a: b\r\na: c\r\n\r\n"));
        }

        let head = Heads::default()
            .of(&Method::POST, uri.to_owned())
            .expect("is a URI");
        let authorization = HeaderValue::from_static("Basic x");
        let mut request =
            Request::new(head, Some(authorization), Bytes::from_static(b"[1,2,3]   "));
        request.must_be_accepted = true;
        let mut out = Vec::new();
        request.write_head(&mut out);
        let fixed = format!("user-agent: {AGENT}\r\naccept: {JSON}\r\ncontent-type: {JSON}\r\n");
        let own = "content-length: 10\r\nauthorization: Basic x\r\nexpect: 100-continue\r\n\r\n";
        assert_eq!(text(out), [line, &fixed, own].concat());
    }
}
