//! Replacements for builds without the crate `metrics`.

use std::time::Duration;

use http::{Method, StatusCode};

use super::request::Node;

macro_rules! count {
    ($name:literal, $number:expr) => {{
        let _ = $number;
    }};
}
pub(super) use count;

pub(super) fn error(_kind: &'static str) {}

pub(super) fn lock_wait(_time: Duration) {}

pub(super) fn lock_hold(_time: Duration) {}

pub(super) fn operation(_name: &'static str, _error: Option<&'static str>, _time: Duration) {}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NodeKey;

impl NodeKey {
    pub(super) fn new(_address: &str, _port: u16) -> Self {
        NodeKey
    }
}

pub(super) fn request(
    _node: &Node,
    _method: &Method,
    _status: Option<StatusCode>,
    _error: Option<&'static str>,
    _time: Duration,
) {
}
