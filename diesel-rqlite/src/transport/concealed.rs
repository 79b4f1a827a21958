//! Hides user and password from ureq's agents. (The requests of a session do not use them.)
//!
//! At the level `trace`, ureq logs every byte that it writes, in hexadecimal. So it is given a
//! random value of the same length for the header. That is replaced by the real value on its way to
//! the socket.
//!
//! The flow is: [`Concealed::conceal`] puts the substitute into the header `Authorization`, and
//! returns the [`Pair`], which is kept until the request was sent. ureq writes the head of the
//! request, and logs it. [`Revealing`], the outermost layer of the connection, replaces the
//! substitute in ureq's output buffer. The layers below it (TLS, the socket) see the real value.
//!
//! Both values have the same length, so that no other byte moves. Only the head is searched: a
//! value in a body stays as it is. A head must be passed by ureq in one output; of a longer one,
//! only the first part is searched.

use std::fmt;
use std::sync::{Arc, Mutex};

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use memchr::memmem;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::mutex::locked;
use crate::random::token;

use super::tcp::Watched;

/// The number of values to keep for later requests. Passwords change rarely. Values of requests that
/// are under way are kept in any case, since a request would otherwise be sent with its substitute.
const KEPT: usize = 8;

/// The real values and their substitutes. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Concealed(Arc<Mutex<Vec<Arc<Pair>>>>);

/// A value, and its substitute of the same length.
pub(super) struct Pair {
    /// The substitute, which the HTTP client gets.
    shown: HeaderValue,
    /// The value that the node gets.
    real: HeaderValue,
}

impl fmt::Debug for Concealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Concealed")
    }
}

impl Concealed {
    /// Replaces the secret header of a request by its substitute, if it has one. The result must
    /// live until the head of the request was sent.
    #[must_use]
    pub(super) fn conceal(&self, headers: &mut HeaderMap) -> Option<Arc<Pair>> {
        let value = headers.get_mut(AUTHORIZATION)?;
        let pair = self.pair_of(value);
        *value = pair.shown.clone();
        Some(pair)
    }

    /// Returns a value with its substitute, and remembers both. The same value has the same
    /// substitute each time, as long as it is kept. If there is no source of randomness, the
    /// substitute is the value itself, which works, but is not hidden.
    fn pair_of(&self, real: &HeaderValue) -> Arc<Pair> {
        let mut pairs = locked(&self.0);
        if let Some(pair) = pairs.iter().find(|pair| pair.real == real) {
            return Arc::clone(pair);
        }
        while pairs.len() >= KEPT
            && let Some(oldest) = pairs.iter().position(|pair| Arc::strong_count(pair) == 1)
        {
            pairs.remove(oldest);
        }
        let pair = Arc::new(Pair {
            shown: random_of_length(real.len()).unwrap_or_else(|| real.clone()),
            real: real.clone(),
        });
        pairs.push(Arc::clone(&pair));
        pair
    }

    /// Puts the real values back into the head of a request. A body never begins like a head.
    ///
    /// `output` is what the HTTP client passes on at one time. It is left unchanged unless it
    /// begins with one of the methods that the clients use. At most one value is replaced, since a
    /// request has one header with credentials.
    fn reveal(&self, output: &mut [u8]) {
        let pairs = locked(&self.0);
        let methods: [&[u8]; 3] = [b"POST ", b"GET ", b"DELETE "];
        if pairs.is_empty() || !methods.iter().any(|method| output.starts_with(method)) {
            return;
        }
        let end = memmem::find(output, b"\r\n\r\n").unwrap_or(output.len());
        let head = &mut output[..end];
        for pair in pairs.iter() {
            if let Some(place) = memmem::find(head, pair.shown.as_bytes()) {
                head[place..place + pair.real.len()].copy_from_slice(pair.real.as_bytes());
                return;
            }
        }
    }
}

/// Returns a random value of this length, marked as sensitive. Returns `None` if there is no source
/// of randomness.
fn random_of_length(length: usize) -> Option<HeaderValue> {
    let text = token().ok()?.repeat(length / 32 + 1);
    let mut value = HeaderValue::from_str(&text[..length]).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The connector of the outermost layer, above TLS, if there is TLS. It replaces values, and tells
/// which bytes are those of a request and of its answer. All others are TLS's own.
#[derive(Debug)]
pub(super) struct Heads {
    concealed: Concealed,
    watched: Watched,
}

impl Heads {
    pub(super) fn new(concealed: &Concealed, watched: &Watched) -> Self {
        Heads {
            concealed: concealed.clone(),
            watched: watched.clone(),
        }
    }
}

impl<In: Transport> Connector<In> for Heads {
    type Out = Revealing<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Revealing<In>>, Error> {
        Ok(chained.map(|below| Revealing {
            below,
            concealed: self.concealed.clone(),
            watched: self.watched.clone(),
        }))
    }
}

/// A connection that puts the real values back.
#[derive(Debug)]
pub(super) struct Revealing<In> {
    below: In,
    concealed: Concealed,
    watched: Watched,
}

impl<In: Transport> Transport for Revealing<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.below.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.below.buffers().output();
        self.concealed.reveal(&mut output[..amount]);
        self.watched
            .passing_on(|| self.below.transmit_output(amount, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let has_arrived = self.below.await_input(timeout)?;
        if has_arrived {
            self.watched.heard();
        }
        Ok(has_arrived)
    }

    fn is_open(&mut self) -> bool {
        self.below.is_open()
    }

    fn is_tls(&self) -> bool {
        self.below.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_put_back_in_the_head_alone() {
        let concealed = Concealed::default();
        for real in ["Basic dXNlcjpwYXNz", "Basic dTpw", &"x".repeat(200)] {
            let real = HeaderValue::from_str(real).expect("a value");
            let pair = concealed.pair_of(&real);
            let shown = pair.shown.clone();
            assert_eq!((shown.len(), shown.is_sensitive()), (real.len(), true));
            assert_ne!(shown, real);
            assert_eq!(concealed.pair_of(&real).shown, shown, "the same each time");
            let text = |value: &HeaderValue| {
                let value = value.to_str().expect("is ASCII");
                format!("POST /db/query HTTP/1.1\r\nauthorization: {value}\r\n\r\n")
            };
            let shown_text = shown.to_str().expect("is ASCII");
            let mut output = format!("{}[\"{shown_text}\"]", text(&shown)).into_bytes();
            concealed.reveal(&mut output);
            let wanted = format!("{}[\"{shown_text}\"]", text(&real));
            assert_eq!(String::from_utf8_lossy(&output), wanted);
            let mut body = format!("[\"{shown_text}\"]").into_bytes();
            let before = body.clone();
            concealed.reveal(&mut body);
            assert_eq!(body, before);
        }
    }

    #[test]
    fn value_is_kept_while_its_request_is_under_way() {
        let concealed = Concealed::default();
        let pair = |number: u32| {
            let real = HeaderValue::from_str(&format!("Basic {number:0>40}")).expect("a value");
            concealed.pair_of(&real)
        };
        let under_way = [pair(0), pair(1)];
        for number in 2..100 {
            drop(pair(number));
        }
        assert_eq!(locked(&concealed.0).len(), KEPT);
        for pair in under_way {
            let line = |value: &HeaderValue| {
                let value = value.to_str().expect("is ASCII");
                format!("GET / HTTP/1.1\r\nauthorization: {value}\r\n\r\n")
            };
            let mut head = line(&pair.shown).into_bytes();
            concealed.reveal(&mut head);
            assert_eq!(String::from_utf8_lossy(&head), line(&pair.real));
        }
    }
}
