//! Options of a connection while it is used: of one query, of a closure, from now on.

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
    /// Queries are run as these options say, and where they say nothing as before. Returns how that was.
    pub(super) fn steer(&mut self, options: QueryOptions) -> QueryResult<Before> {
        let preferred = self.preferred(&options)?;
        let settings = self.session.settings.with(&options, preferred);
        let options = options.over(&self.options);
        Ok(Before {
            options: std::mem::replace(&mut self.options, options),
            settings: std::mem::replace(&mut self.session.settings, settings),
        })
    }

    /// Queries are run as these options say, and where they say nothing as the configuration does.
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

    /// The address of the node that options name, which is one of the cluster from now on.
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

/// How queries were run.
pub(super) struct Before {
    options: QueryOptions,
    settings: Settings,
}

/// A connection that is steered otherwise until this is dropped: behind an error, a panic, or a future that nobody waits
/// for any more, too.
pub(crate) struct Steered<'a, T: HasCore> {
    of: &'a mut T,
    before: Option<Before>,
}

impl<'a, T: HasCore> Steered<'a, T> {
    pub(super) fn new(of: &'a mut T, options: QueryOptions) -> QueryResult<Self> {
        let before = Some(of.core().steer(options)?);
        Ok(Steered { of, before })
    }

    /// For one query, which may have options.
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
    /// Runs a closure whose queries are run with these options. What they do not say is as before. Behind the closure all
    /// is as it was, also when it ends with an error, or panics.
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
    /// Those of the closure; `QueryBuilderError` where the node that is to be preferred has no host, and the closure is not
    /// run.
    pub fn with<T, E, F>(&mut self, options: QueryOptions, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        let mut steered = Steered::new(self, options)?;
        f(steered.get())
    }

    /// How queries are run from now on, in place of options that were set before. What they do not say is as the
    /// configuration says, so that `QueryOptions::new()` takes all of them back. Inside of [`with`](Self::with) it counts to the end
    /// of the closure.
    ///
    /// # Errors
    ///
    /// `QueryBuilderError` where the node that is to be preferred has no host; nothing is changed then.
    pub fn set_options(&mut self, options: QueryOptions) -> QueryResult<()> {
        self.core().set_options(options)
    }

    /// How queries are run that have no options of their own, as far as that is not as the configuration says.
    pub fn options(&self) -> &QueryOptions {
        &self.core.options
    }
}

#[cfg(feature = "async")]
impl AsyncRqliteConnection {
    /// Runs a closure whose queries are run with these options. What they do not say is as before. Behind the closure all
    /// is as it was, also when it ends with an error, panics, or its future is dropped.
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
    /// Those of the closure; `QueryBuilderError` where the node that is to be preferred has no host, and the closure is not
    /// run.
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

    /// As [`RqliteConnection::set_options`].
    ///
    /// # Errors
    ///
    /// `QueryBuilderError` where the node that is to be preferred has no host; nothing is changed then.
    pub fn set_options(&mut self, options: QueryOptions) -> QueryResult<()> {
        self.core().set_options(options)
    }

    /// How queries are run that have no options of their own, as far as that is not as the configuration says.
    pub fn options(&self) -> &QueryOptions {
        &self.core.options
    }
}
