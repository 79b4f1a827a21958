//! From a configuration to a connection.

use diesel::ConnectionResult;
#[cfg(feature = "async")]
use diesel_async::pooled_connection::ManagerConfig;

#[cfg(feature = "async")]
use super::AsyncRqliteConnection;
use super::RqliteConnection;
use crate::config::RqliteConfig;

impl RqliteConfig {
    /// Connects, and asks the leader once (at level `none`: the node) whether it answers.
    ///
    /// # Errors
    ///
    /// `BadConnection` where no node answers, or refuses the credentials; `InvalidConnectionUrl` where options
    /// contradict each other.
    pub fn connect(&self) -> ConnectionResult<RqliteConnection> {
        self.check_blocking()?;
        RqliteConnection::connect(self, &format!("{self:?}"))
    }

    /// The same for an asynchronous connection.
    ///
    /// Those of one configuration, its clones included, share their HTTP connections: there are as many as there are
    /// requests at one time. They belong to the runtime in which they were made, which must run as long as they are
    /// used; do not share a configuration between runtimes.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    #[cfg(feature = "async")]
    pub async fn connect_async(&self) -> ConnectionResult<AsyncRqliteConnection> {
        self.check()?;
        AsyncRqliteConnection::connect(self, &format!("{self:?}")).await
    }

    /// What a pool of asynchronous connections does to make one:
    /// [`connect_async`](Self::connect_async), so that they share their HTTP connections. The URL that is given to
    /// the manager along with it is not looked at.
    ///
    /// ```no_run
    /// # #[cfg(feature = "deadpool")]
    /// # {
    /// use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};
    /// use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};
    ///
    /// let config = RqliteConfig::new("localhost", 4001).manager_config();
    /// let manager = AsyncDieselConnectionManager::<AsyncRqliteConnection>::new_with_config("", config);
    /// let pool = Pool::builder(manager).max_size(16).build();
    /// # }
    /// ```
    #[cfg(feature = "async")]
    pub fn manager_config(&self) -> ManagerConfig<AsyncRqliteConnection> {
        let config = self.clone();
        let mut manager = ManagerConfig::default();
        manager.custom_setup = Box::new(move |_| {
            let config = config.clone();
            Box::pin(async move { config.connect_async().await })
        });
        manager
    }
}
