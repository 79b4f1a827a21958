//! The parts of a session that requests other than SQL use.
//!
//! `administration` sends backups and files to load by the [`Client`] itself, not through [`Session::send`]. It needs
//! what a session knows all the same: which node leads, which nodes may receive secrets, and credentials that change.

use super::credentials::Renewal;
use super::{Client, Session, survey};

impl<C: Client> Session<C> {
    /// Asks all nodes which of them leads, and which nodes there are. Returns when the leader is known or no more
    /// answers are expected. The result is in the shared knowledge of the cluster.
    pub(crate) async fn survey(&self) {
        survey::<C>(&self.scout).await;
    }

    /// Returns whether a node may receive the credentials and the content of requests: the configuration names it, or a
    /// trusted node lists it. Without credentials, every node may.
    pub(crate) fn trusts(&self, base: &str) -> bool {
        self.nodes.may_tell(&self.settings.authorization, base)
    }

    /// Asks the provider for other credentials, if there is one. Returns whether there are new ones. The caller has to
    /// see to it that a request is not renewed again and again.
    pub(crate) async fn renew_credentials(&self) -> Result<bool, String> {
        Renewal::new(self.provider.as_ref(), &self.settings.authorization)
            .ask()
            .await
    }

    /// Forgets everything that was learnt of the schema: the database has been replaced, or a transaction that changed
    /// the schema was not committed. The next INSERT, and the next peek, ask for it anew.
    pub(crate) fn forget_schema(&mut self) {
        self.keys.clear();
        self.unstable = None;
        self.schema_version = None;
        self.defaults_are_news = true;
    }
}
