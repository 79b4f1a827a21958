//! The heads of requests: the URI, and the headers that do not depend on the statements.
//!
//! A connection sends most requests with the same few heads. [`Heads`] keeps the last ones, so that a URI is not parsed,
//! and headers are not made, for each request. Credentials are not kept, since they may change.

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Error, HeaderMap, HeaderValue, Uri};

/// The user agent of all requests.
pub(crate) const AGENT: &str = concat!("diesel-rqlite/", env!("CARGO_PKG_VERSION"));
/// The type of the bodies of requests, and of those of their answers.
pub(crate) const JSON: &str = "application/json";
/// The number of heads that are kept: those of queries and of writes, in and out of transactions.
const MOST: usize = 4;

/// The heads of a connection's last requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Vec<Head>);

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The URI, as it was given.
    text: String,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Heads {
    /// Returns the head of a request to this URI. Fails if it is not a valid one.
    pub(crate) fn of(&mut self, uri: String) -> Result<&Head, Error> {
        let known = self.0.iter().position(|head| head.text == uri);
        let place = match known {
            Some(place) => place,
            None => {
                let head = Head::new(uri)?;
                self.0.truncate(MOST - 1);
                self.0.insert(0, head);
                0
            }
        };
        Ok(&self.0[place])
    }
}

impl Head {
    fn new(text: String) -> Result<Self, Error> {
        let uri = Uri::try_from(&text)?;
        let mut headers = HeaderMap::new();
        if let Some(host) = host_of(&uri) {
            headers.insert(HOST, host);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        // There is room for the length of the body then.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Ok(Head { text, uri, headers })
    }
}

/// Returns the value of the header `Host`.
pub(crate) fn host_of(uri: &Uri) -> Option<HeaderValue> {
    HeaderValue::try_from(uri.authority()?.as_str()).ok()
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
                let head = heads.of(uri.clone()).expect("is a URI");
                assert_eq!(head.uri.to_string(), uri, "{round}");
                assert_eq!(head.headers[HOST], format!("h{node}:4001"));
                assert!(heads.0.len() <= MOST);
            }
        }
        let uri = "http://h:1/db/execute";
        let kept = heads.of(uri.to_owned()).expect("is a URI").text.as_ptr();
        let again = heads.of(uri.to_owned()).expect("is a URI").text.as_ptr();
        assert_eq!(kept, again, "it is not made again");
        assert!(heads.of("http://h h/".to_owned()).is_err());
    }
}
