//! Replacements for builds without the crate `tracing`.

use bytes::Bytes;

use super::operation::{Gained, Taken, What};
use super::request::Node;
use super::{Options, SlowQuery};
use crate::protocol::call::SendError;
use crate::protocol::head::Request;

#[derive(Clone, Debug, Default)]
pub(crate) struct Span {}

pub(crate) type Within<F> = F;

#[cfg_attr(not(feature = "async"), allow(dead_code))]
pub(crate) fn carried<F: Future>(future: F) -> F {
    future
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Parent {}

impl Parent {
    pub(super) fn current() -> Self {
        Parent {}
    }

    pub(super) fn or_below(self, _span: &Span) -> Self {
        self
    }
}

impl Span {
    pub(super) fn operation(
        _what: What<'_>,
        _operation: &'static str,
        _options: &Options,
        _parent: &Parent,
    ) -> Self {
        Span {}
    }

    pub(super) fn transaction(_mode: &'static str) -> Self {
        Span {}
    }

    pub(super) fn lock(_name: &str, _parent: &Parent) -> Self {
        Span {}
    }

    pub(super) fn request(
        _request: &Request,
        _node: Option<&Node>,
        _resent: u64,
        _level: Option<&'static str>,
    ) -> Self {
        Span {}
    }

    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        future
    }

    pub(crate) fn in_scope<T>(&self, run: impl FnOnce() -> T) -> T {
        run()
    }

    pub(super) fn gained(&self, _gained: &impl Gained) {}

    pub(super) fn failed(
        &self,
        _kind: &'static str,
        _options: &Options,
        _description: impl FnOnce() -> String,
    ) {
    }

    pub(super) fn took(&self, _taken: &Taken, _node: Option<&Node>) {}

    pub(super) fn slow(&self, _slow: &SlowQuery) {}

    pub(super) fn answered(
        &self,
        _outcome: &Result<http::Response<Bytes>, SendError>,
        _error: Option<&'static str>,
    ) {
    }

    pub(super) fn ended(&self, _outcome: &'static str) {}

    pub(super) fn is_migration(&self, _version: &str) {}

    pub(super) fn failed_to_lock(&self) {}
}
