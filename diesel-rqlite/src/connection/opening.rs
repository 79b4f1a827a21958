//! Opening a connection from a configuration.

use diesel::ConnectionResult;
#[cfg(feature = "async")]
use diesel_async::pooled_connection::ManagerConfig;

#[cfg(feature = "async")]
use super::AsyncRqliteConnection;
use super::RqliteConnection;
use crate::config::RqliteConfig;

impl RqliteConfig {
    /// Connects, and sends one request to check that the leader answers. At level `none` any node
    /// may answer.
    ///
    /// # Errors
    ///
    /// `BadConnection` if no node answers or a node refuses the credentials. `InvalidConnectionUrl`
    /// if an option makes no sense, or options contradict each other.
    pub fn connect(&self) -> ConnectionResult<RqliteConnection> {
        self.check_blocking()?;
        RqliteConnection::connect(self, &format!("{self:?}"))
    }

    /// Opens an asynchronous connection; otherwise the same as [`connect`](Self::connect).
    ///
    /// The asynchronous connections of one configuration and its clones share their HTTP
    /// connections. There are as many HTTP connections as there are concurrent requests. They
    /// belong to the runtime in which they were made, which must run as long as they are used. Do
    /// not share a configuration between runtimes.
    ///
    /// # Errors
    ///
    /// The same as for [`connect`](Self::connect).
    #[cfg(feature = "async")]
    pub async fn connect_async(&self) -> ConnectionResult<AsyncRqliteConnection> {
        self.check()?;
        AsyncRqliteConnection::connect(self, &format!("{self:?}")).await
    }

    /// Returns a configuration for a pool of asynchronous connections. The pool makes each
    /// connection with [`connect_async`](Self::connect_async), so that they share their HTTP
    /// connections. The URL that is passed to the manager along with this configuration is ignored.
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
