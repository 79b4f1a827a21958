//! Options of a connection in use: for one query, for a closure, or from now on.

#[cfg(feature = "async")]
use std::ops::AsyncFnOnce;

use diesel::QueryResult;
use diesel::result::Error;

#[cfg(feature = "async")]
use super::{AsyncFunc, AsyncRqliteConnection};
use super::{Core, HasCore, RqliteConnection};
use crate::protocol::options::QueryOptions;
use crate::protocol::request::Settings;
use crate::session::Client;

impl<C: Client> Core<C> {
    /// Applies these options to queries. Anything they leave unset stays as before. Returns the
    /// previous state.
    pub(super) fn steer(&mut self, options: QueryOptions) -> QueryResult<Before> {
        let preferred = self.preferred(&options)?;
        let settings = self.session.settings.with(&options, preferred);
        let options = options.over(&self.options);
        Ok(Before {
            options: std::mem::replace(&mut self.options, options),
            settings: std::mem::replace(&mut self.session.settings, settings),
        })
    }

    /// Applies these options to queries. Anything they leave unset is as in the configuration.
    fn set_options(&mut self, options: QueryOptions) -> QueryResult<()> {
        let preferred = self.preferred(&options)?;
        let configured = Settings {
            authorization: self.session.settings.authorization.clone(),
            ..self.config.settings()
        };
        self.session.settings = configured.with(&options, preferred);
        self.options = options;
        Ok(())
    }

    /// Returns the address of the node that the options prefer. The node counts as part of the
    /// cluster from now on.
    fn preferred(&self, options: &QueryOptions) -> QueryResult<Option<String>> {
        let Some((host, port)) = options.preferred() else {
            return Ok(None);
        };
        let address = self.config.address_of(host, port);
        let address = address.map_err(|error| Error::QueryBuilderError(error.into()))?;
        self.session.nodes.known.cluster().prefer(&address);
        Ok(Some(address))
    }
}

/// The previous options and settings of a connection.
pub(super) struct Before {
    options: QueryOptions,
    settings: Settings,
}

/// A connection with other options until this is dropped. They are restored after an error or a
/// panic, too, and when the future is dropped.
pub(crate) struct Steered<'a, T: HasCore> {
    of: &'a mut T,
    before: Option<Before>,
}

impl<'a, T: HasCore> Steered<'a, T> {
    pub(super) fn new(of: &'a mut T, options: QueryOptions) -> QueryResult<Self> {
        let before = Some(of.core().steer(options)?);
        Ok(Steered { of, before })
    }

    /// Applies the options of one query, if it has any.
    pub(super) fn for_query(
        of: &'a mut T,
        options: Option<Box<QueryOptions>>,
    ) -> QueryResult<Self> {
        match options {
            Some(options) => Self::new(of, *options),
            None => Ok(Steered { of, before: None }),
        }
    }

    fn get(&mut self) -> &mut T {
        self.of
    }

    pub(super) fn core(&mut self) -> &mut Core<T::Client> {
        self.of.core()
    }
}

impl<T: HasCore> Drop for Steered<'_, T> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            let core = self.of.core();
            core.options = before.options;
            core.session.settings = before.settings;
        }
    }
}

impl RqliteConnection {
    /// Runs a closure with these options for its queries. Anything they leave unset stays as
    /// before. The previous options are restored after the closure, also if it returns an error or
    /// panics.
    ///
    /// ```no_run
    /// use diesel::prelude::*;
    /// use diesel_rqlite::{QueryOptions, ReadConsistency, RqliteConnection};
    ///
    /// diesel::table! { posts { id -> Integer, title -> Text, } }
    ///
    /// # fn run(conn: &mut RqliteConnection) -> QueryResult<()> {
    /// let stale = QueryOptions::new().read_level(ReadConsistency::None);
    /// let (count, last) = conn.with(stale, |conn| {
    ///     let count: i64 = posts::table.count().get_result(conn)?;
    ///     let last: Option<i32> = posts::table.select(diesel::dsl::max(posts::id)).get_result(conn)?;
    ///     QueryResult::Ok((count, last))
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of the closure. `QueryBuilderError` if the preferred node has no valid host; the
    /// closure does not run then.
    pub fn with<T, E, F>(&mut self, options: QueryOptions, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        let mut steered = Steered::new(self, options)?;
        f(steered.get())
    }

    /// Sets the options of queries from now on, in place of the options that were set before.
    /// Anything they leave unset is as in the configuration, so that `QueryOptions::new()` resets
    /// all of them. Inside [`with`](Self::with) they apply until the end of the closure.
    ///
    /// # Errors
    ///
    /// `QueryBuilderError` if the preferred node has no valid host. Nothing is changed then.
    pub fn set_options(&mut self, options: QueryOptions) -> QueryResult<()> {
        self.core().set_options(options)
    }

    /// Returns the options of queries that have none of their own. Options that are unset are as in
    /// the configuration.
    pub fn options(&self) -> &QueryOptions {
        &self.core.options
    }
}

#[cfg(feature = "async")]
impl AsyncRqliteConnection {
    /// Runs a closure with these options for its queries. Anything they leave unset stays as
    /// before. The previous options are restored after the closure, also if it returns an error,
    /// panics, or its future is dropped.
    ///
    /// ```no_run
    /// use diesel::prelude::*;
    /// use diesel_async::RunQueryDsl;
    /// use diesel_rqlite::{AsyncRqliteConnection, QueryOptions, ReadConsistency};
    ///
    /// diesel::table! { posts { id -> Integer, title -> Text, } }
    ///
    /// # async fn run(conn: &mut AsyncRqliteConnection) -> QueryResult<()> {
    /// let stale = QueryOptions::new().read_level(ReadConsistency::None);
    /// let count = conn
    ///     .with(stale, async |conn| posts::table.count().get_result::<i64>(conn).await)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of the closure. `QueryBuilderError` if the preferred node has no valid host; the
    /// closure does not run then.
    pub async fn with<T, E, F>(&mut self, options: QueryOptions, f: F) -> Result<T, E>
    where
        for<'r> F: AsyncFnOnce(&'r mut Self) -> Result<T, E>
            + AsyncFunc<&'r mut Self, Result<T, E>, Fut: Send>
            + Send,
        E: From<Error> + Send,
        T: Send,
    {
        let mut steered = Steered::new(self, options)?;
        f(steered.get()).await
    }

    /// Sets the options of queries from now on: see [`RqliteConnection::set_options`].
    ///
    /// # Errors
    ///
    /// `QueryBuilderError` if the preferred node has no valid host. Nothing is changed then.
    pub fn set_options(&mut self, options: QueryOptions) -> QueryResult<()> {
        self.core().set_options(options)
    }

    /// Returns the options of queries that have none of their own. Options that are unset are as in
    /// the configuration.
    pub fn options(&self) -> &QueryOptions {
        &self.core.options
    }
}
