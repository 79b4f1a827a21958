//! The parts of a session that requests other than SQL use.

use super::credentials::Renewal;
use super::{Client, Session, look};

impl<C: Client> Session<C> {
    /// Asks all nodes which of them leads, and which nodes there are.
    pub(crate) async fn look_around(&self) {
        look::<C>(&self.scout).await;
    }

    /// Returns whether a node may receive the credentials and the content of requests.
    pub(crate) fn trusts(&self, base: &str) -> bool {
        self.nodes.may_tell(&self.settings.authorization, base)
    }

    /// Asks the provider for other credentials, if there is one. Returns whether there are new ones.
    pub(crate) async fn renew_credentials(&self) -> Result<bool, String> {
        Renewal::new(self.provider.as_ref(), &self.settings.authorization)
            .ask()
            .await
    }

    /// Forgets everything that was learnt of the schema, because the database has been replaced.
    pub(crate) fn forget_schema(&mut self) {
        self.keys.clear();
        self.unstable = None;
        self.schema_version = None;
        self.defaults_are_news = true;
    }
}
