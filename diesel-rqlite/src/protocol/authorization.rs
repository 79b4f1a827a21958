//! The `Authorization` header of requests.

use std::fmt;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http::header::HeaderValue;

use crate::mutex::locked;

/// The header of the requests of a connection, and of the requests that are made concurrently. Clones share the value.
#[derive(Clone, Default)]
pub(crate) struct Authorization {
    /// Set if requests have the header at all.
    is_used: bool,
    value: Arc<Mutex<Option<HeaderValue>>>,
}

impl Authorization {
    /// The header of a user who is not known yet.
    pub(crate) fn unknown() -> Self {
        Authorization {
            is_used: true,
            value: Arc::default(),
        }
    }

    pub(crate) fn basic(user: &str, password: &str) -> Self {
        let authorization = Self::unknown();
        authorization.set(user, password);
        authorization
    }

    pub(crate) fn set(&self, user: &str, password: &str) {
        *locked(&self.value) = header(user, password);
    }

    pub(crate) fn is_used(&self) -> bool {
        self.is_used
    }

    pub(crate) fn get(&self) -> Option<HeaderValue> {
        locked(&self.value).clone()
    }
}

/// Returns the header for a user. The value is marked as sensitive, so that neither its `Debug` output nor a log of
/// headers shows it.
fn header(user: &str, password: &str) -> Option<HeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Authorization");
        text.field("is_used", &self.is_used).finish_non_exhaustive()
    }
}
