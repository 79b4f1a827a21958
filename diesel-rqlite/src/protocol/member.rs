//! The nodes of a cluster, as one of them lists them.

use std::ops::Deref;
use std::time::Duration;

use serde_json::{Map, Value};

/// What a node is in its cluster.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeRole {
    /// It leads, and answers the node that was asked.
    Leader,
    /// It votes. A leader that does not answer is shown as one of these.
    Voter,
    /// It only reads.
    NonVoter,
}

/// One node of a cluster, as the node that was asked sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterNode {
    /// Its id, `-node-id` of rqlited.
    pub id: String,
    /// Where clients reach it, such as `http://host:4001`. `None`: it does not answer.
    pub api_address: Option<String>,
    /// Where other nodes reach it, `host:port`.
    pub raft_address: String,
    /// What it is in its cluster.
    pub role: NodeRole,
    /// Whether it answered the node that was asked.
    pub is_reachable: bool,
    /// Its version. Servers before 9 do not say it here.
    pub version: Option<String>,
    /// How long it took to answer.
    pub response_time: Option<Duration>,
    /// Why it is not reachable.
    pub error: Option<String>,
}

/// The nodes of a cluster, in the order of their ids. Derefs to a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNodes {
    nodes: Vec<ClusterNode>,
    json: String,
}

impl ClusterNodes {
    /// All that rqlite says of them, as it says it.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The one that leads, if the node that was asked reaches it.
    pub fn leader(&self) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.role == NodeRole::Leader)
    }

    /// An answer to [`NODES`].
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

/// All nodes. One that does not answer within two seconds is not reachable.
pub(crate) const NODES: &str = "/nodes?ver=2&nonvoters&timeout=2s";

/// Both of rqlite's forms: an object by id, and with `ver=2` a list.
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
