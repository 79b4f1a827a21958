//! What requests that are not SQL need to know.

use super::credentials::Renewal;
use super::{Client, Session, look};

impl<C: Client> Session<C> {
    /// Asks all nodes who leads, and which there are.
    pub(crate) async fn look_around(&self) {
        look::<C>(&self.scout).await;
    }

    /// Whether a node may be told who asks, and what.
    pub(crate) fn trusts(&self, base: &str) -> bool {
        self.nodes.may_tell(&self.settings.authorization, base)
    }

    /// Asks for other credentials, where they come from something that can be asked. Whether there are new ones.
    pub(crate) async fn renew_credentials(&self) -> Result<bool, String> {
        Renewal::new(self.provider.as_ref(), &self.settings.authorization)
            .ask()
            .await
    }

    /// The database is another one: nothing that was learnt of its schema holds.
    pub(crate) fn forget_schema(&mut self) {
        self.keys.clear();
        self.unstable = None;
        self.schema_version = None;
        self.defaults_are_news = true;
    }
}
