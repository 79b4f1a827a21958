//! The nodes of a cluster, as one of them lists them.

use std::ops::Deref;
use std::time::Duration;

use serde_json::{Map, Value};

/// The role of a node in its cluster.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeRole {
    /// The node leads, and it answers the node that was asked.
    Leader,
    /// The node votes. A leader that does not answer is listed as a voter.
    Voter,
    /// The node is read-only and does not vote.
    NonVoter,
}

/// One node of a cluster, as seen by the node that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterNode {
    /// The id of the node, `-node-id` of rqlited.
    pub id: String,
    /// The address at which clients reach the node, such as `http://host:4001`. `None` if the node does not answer.
    pub api_address: Option<String>,
    /// The address at which other nodes reach the node, `host:port`.
    pub raft_address: String,
    /// The role of the node in its cluster.
    pub role: NodeRole,
    /// `true` if the node answered the node that was asked.
    pub is_reachable: bool,
    /// The version of rqlite. Servers before 9 do not report it here.
    pub version: Option<String>,
    /// The time that the node took to answer.
    pub response_time: Option<Duration>,
    /// The reason why the node is not reachable.
    pub error: Option<String>,
}

/// The nodes of a cluster, in the order of their ids. Dereferences to a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNodes {
    nodes: Vec<ClusterNode>,
    json: String,
}

impl ClusterNodes {
    /// Returns rqlite's complete answer as JSON, unchanged.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns the leader, if the node that was asked reaches it.
    pub fn leader(&self) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.role == NodeRole::Leader)
    }

    /// Parses an answer to [`NODES`].
    pub(crate) fn of(json: String) -> Option<Self> {
        let nodes = members(json.as_bytes())?;
        Some(ClusterNodes { nodes, json })
    }
}

impl Deref for ClusterNodes {
    type Target = [ClusterNode];

    fn deref(&self) -> &[ClusterNode] {
        &self.nodes
    }
}

impl IntoIterator for ClusterNodes {
    type Item = ClusterNode;
    type IntoIter = std::vec::IntoIter<ClusterNode>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.into_iter()
    }
}

impl<'n> IntoIterator for &'n ClusterNodes {
    type Item = &'n ClusterNode;
    type IntoIter = std::slice::Iter<'n, ClusterNode>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.iter()
    }
}

/// The endpoint that lists all nodes. A node that does not answer within two seconds is not reachable.
pub(crate) const NODES: &str = "/nodes?ver=2&nonvoters&timeout=2s";

/// Parses both of rqlite's forms: an object whose keys are the ids, and, with `ver=2`, a list.
pub(crate) fn members(body: &[u8]) -> Option<Vec<ClusterNode>> {
    let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let members = match answer.get("nodes") {
        Some(Value::Array(nodes)) => nodes
            .iter()
            .filter_map(|node| Some(member(node.get("id")?.as_str()?, node)))
            .collect(),
        _ => answer.iter().map(|(id, node)| member(id, node)).collect(),
    };
    Some(members)
}

fn member(id: &str, node: &Value) -> ClusterNode {
    let flag = |name: &str| node.get(name).and_then(Value::as_bool);
    let text = |name: &str| {
        let text = node.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let seconds = node.get("time").and_then(Value::as_f64);
    ClusterNode {
        id: id.to_owned(),
        api_address: text("api_addr"),
        raft_address: text("addr").unwrap_or_default(),
        role: match (flag("leader"), flag("voter")) {
            (Some(true), _) => NodeRole::Leader,
            (_, Some(false)) => NodeRole::NonVoter,
            (_, Some(true) | None) => NodeRole::Voter,
        },
        is_reachable: flag("reachable").unwrap_or(true),
        version: text("version"),
        response_time: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        error: text("error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nodes_is_read() {
        let json = r#"{"nodes":[
            {"id":"1","api_addr":"http://a:4001","addr":"a:4002","version":"v10.2.7","voter":true,"reachable":true,
             "leader":true,"time":0.0015,"time_s":"1.5ms"},
            {"id":"2","addr":"b:4002","version":"","voter":true,"reachable":false,"leader":false,"error":"dial tcp"},
            {"id":"3","api_addr":"http://c:4001","addr":"c:4002","voter":false,"reachable":true,"leader":false}]}"#;
        let nodes = ClusterNodes::of(json.to_owned()).expect("is read");
        assert_eq!(nodes.json(), json);
        assert_eq!(nodes.leader(), nodes.first());
        let roles: Vec<_> = nodes.iter().map(|node| node.role).collect();
        let wanted = [NodeRole::Leader, NodeRole::Voter, NodeRole::NonVoter];
        assert_eq!(roles, wanted);
        assert_eq!(nodes[0].response_time, Some(Duration::from_micros(1500)));
        assert_eq!(nodes[0].version.as_deref(), Some("v10.2.7"));
        let dead = &nodes[1];
        assert_eq!((dead.is_reachable, &dead.api_address), (false, &None));
        assert_eq!(
            (&dead.version, dead.error.as_deref()),
            (&None, Some("dial tcp"))
        );
        assert_eq!(nodes[2].raft_address, "c:4002");
    }

    #[test]
    fn what_is_no_list_is_none() {
        for json in ["", "[]", "1", "{", "null"] {
            assert_eq!(ClusterNodes::of(json.to_owned()), None, "{json}");
        }
        let odd = r#"{"1":{"time":-1,"voter":3,"addr":[]},"2":7}"#;
        let odd = ClusterNodes::of(odd.to_owned()).expect("is an object");
        assert_eq!((odd.len(), odd[0].response_time), (2, None));
    }
}
