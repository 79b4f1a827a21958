//! Collects the values for the placeholders from the AST.

use std::borrow::Cow;

use diesel::QueryResult;
use diesel::query_builder::{BindCollector, MoveableBindCollector};
use diesel::result::Error;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::HasSqlType;

use crate::backend::{Rqlite, RqliteType};
use crate::protocol::options::QueryOptions;

/// SQLite's limit for one statement. rqlite keeps the default.
pub(crate) const MAX_VARIABLES: usize = 32_766;

/// A value to send to the server. `out.set_value(…)` in a [`ToSql`] takes `i32`, `i64`, `f64`, `&str`, `String`,
/// `&[u8]`, `Vec<u8>` and an `Option` of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RqliteBindValue<'a> {
    pub(crate) value: Bind<'a>,
    /// Set if this is not a value but the options of the query.
    pub(crate) options: Option<Box<QueryOptions>>,
}

/// SQLite's five storage classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Bind<'a> {
    #[default]
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    /// JSON to store in SQLite's binary form.
    #[cfg(feature = "serde_json")]
    Jsonb(String),
}

impl Bind<'_> {
    pub(crate) fn into_owned(self) -> Bind<'static> {
        match self {
            Bind::Null => Bind::Null,
            Bind::Integer(value) => Bind::Integer(value),
            Bind::Real(value) => Bind::Real(value),
            Bind::Text(value) => Bind::Text(Cow::Owned(value.into_owned())),
            Bind::Binary(value) => Bind::Binary(Cow::Owned(value.into_owned())),
            #[cfg(feature = "serde_json")]
            Bind::Jsonb(value) => Bind::Jsonb(value),
        }
    }
}

macro_rules! bind_from {
    ($($from:ty, $value:ident => $bind:expr;)*) => {$(
        impl<'a> From<$from> for RqliteBindValue<'a> {
            fn from($value: $from) -> Self {
                RqliteBindValue { value: $bind, options: None }
            }
        }
    )*};
}

bind_from! {
    i32, value => Bind::Integer(value.into());
    i64, value => Bind::Integer(value);
    f64, value => Bind::Real(value);
    &'a str, value => Bind::Text(Cow::Borrowed(value));
    String, value => Bind::Text(Cow::Owned(value));
    &'a [u8], value => Bind::Binary(Cow::Borrowed(value));
    Vec<u8>, value => Bind::Binary(Cow::Owned(value));
}

impl<'a, T: Into<RqliteBindValue<'a>>> From<Option<T>> for RqliteBindValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::default, Into::into)
    }
}

/// Collects the values of one query in the order of its placeholders.
#[derive(Debug, Default)]
pub struct RqliteBindCollector<'a> {
    pub(crate) binds: Vec<Bind<'a>>,
    /// The options of the query.
    pub(crate) options: Option<Box<QueryOptions>>,
}

impl RqliteBindCollector<'_> {
    /// Adds the options of an outer node. They come after those of an inner node, and take precedence.
    fn push_options(&mut self, outer: QueryOptions) {
        let inner = self.options.get_or_insert_default();
        **inner = outer.over(inner);
    }
}

impl<'a> BindCollector<'a, Rqlite> for RqliteBindCollector<'a> {
    type Buffer = RqliteBindValue<'a>;

    fn push_bound_value<T, U>(&mut self, bind: &'a U, lookup: &mut ()) -> QueryResult<()>
    where
        Rqlite: HasSqlType<T>,
        U: ToSql<T, Rqlite> + ?Sized + 'a,
    {
        let mut out = Output::new(RqliteBindValue::default(), lookup);
        let is_null = bind.to_sql(&mut out).map_err(Error::SerializationError)?;
        let RqliteBindValue { value, options } = out.into_inner();
        match (is_null, options) {
            (IsNull::No, Some(options)) => self.push_options(*options),
            (IsNull::No, None) => self.binds.push(value),
            (IsNull::Yes, _) => self.binds.push(Bind::Null),
        }
        Ok(())
    }

    fn push_null_value(&mut self, _metadata: RqliteType) -> QueryResult<()> {
        self.binds.push(Bind::Null);
        Ok(())
    }
}

/// The owned values of a query, for another thread.
#[derive(Clone, Debug)]
pub struct RqliteBindData {
    binds: Vec<Bind<'static>>,
    options: Option<Box<QueryOptions>>,
}

impl MoveableBindCollector<Rqlite> for RqliteBindCollector<'_> {
    type BindData = RqliteBindData;

    fn moveable(&self) -> RqliteBindData {
        RqliteBindData {
            binds: self.binds.iter().cloned().map(Bind::into_owned).collect(),
            options: self.options.clone(),
        }
    }

    fn append_bind_data(&mut self, from: &RqliteBindData) {
        self.binds.extend(from.binds.iter().cloned());
        if let Some(options) = &from.options {
            self.push_options((**options).clone());
        }
    }

    fn push_debug_binds<'a, 'b>(
        data: &RqliteBindData,
        debug: &'a mut Vec<Box<dyn std::fmt::Debug + 'b>>,
    ) {
        for bind in data.binds.iter().cloned() {
            debug.push(Box::new(bind));
        }
        if let Some(options) = data.options.clone() {
            debug.push(Box::new(options));
        }
    }
}
