//! Credentials that change while a connection lives.
//!
//! The [`Provider`] of the configuration returns them. It is asked before the first request, and again when a node
//! refuses a request, since the credentials may have expired. The result is kept in [`Authorization`], which all
//! sessions and the scout of a connection share, so that they use it as well.

use bytes::Bytes;
use http::StatusCode;

use crate::config::Provider;
use crate::protocol::authorization::Authorization;
use crate::protocol::call::SendError;

/// Asks for credentials for one request: first if there are none yet, and once more if a node refuses them.
///
/// Each request has one of its own. A provider whose credentials are always refused is asked once after the refusal,
/// and the second refusal is the answer.
pub(super) struct Renewal {
    provider: Option<Provider>,
    authorization: Authorization,
    /// Set once a node has refused the request. The credentials are not renewed again for it.
    renewed: bool,
}

impl Renewal {
    pub(super) fn new(provider: Option<&Provider>, authorization: &Authorization) -> Self {
        Renewal {
            provider: provider.cloned(),
            authorization: authorization.clone(),
            renewed: false,
        }
    }

    /// Asks for credentials before anything is sent, if there are none yet. Does nothing without a provider. Fails with
    /// the reason if the provider fails; nothing has been sent then.
    pub(super) async fn first(&mut self) -> Result<(), String> {
        match self.authorization.get() {
            None => self.ask().await.map(|_| ()),
            Some(_) => Ok(()),
        }
    }

    /// Returns whether to send the request again with other credentials. The node has not processed it.
    ///
    /// Returns `true` at most once, after a status 401, if there is a provider. Fails if the provider does.
    pub(super) async fn renewed_after(
        &mut self,
        outcome: &Result<http::Response<Bytes>, SendError>,
    ) -> Result<bool, String> {
        let is_refused =
            |response: &http::Response<Bytes>| response.status() == StatusCode::UNAUTHORIZED;
        if self.renewed || !outcome.as_ref().is_ok_and(is_refused) {
            return Ok(false);
        }
        self.renewed = true;
        self.ask().await
    }

    /// Asks the provider for credentials, and keeps them. Returns `false` if there is no provider. Fails if the
    /// provider fails, or with a user name that HTTP can't carry.
    pub(super) async fn ask(&self) -> Result<bool, String> {
        let Some(provider) = &self.provider else {
            return Ok(false);
        };
        let credentials = provider.ask().await;
        let credentials = credentials.map_err(|error| format!("no credentials: {error}"))?;
        // The node would read another user name and another password.
        if credentials.user.contains(':') {
            return Err(
                "no credentials: a user has no `:` in HTTP basic authentication".to_owned(),
            );
        }
        self.authorization
            .set(&credentials.user, &credentials.password);
        Ok(true)
    }
}
