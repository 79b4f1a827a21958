//! The questions to nodes about their cluster, and the parsing of the answers.
//!
//! A [`Survey`] asks one node up to two questions, each depending on the answer before:
//!
//! 1. `/nodes`: the members with their addresses, and the leader. If the user has no permission for it, a read takes
//!    its place, whose redirect names the leader (`Question::Probe`).
//! 2. `/status` for the id of the node itself, but only if the list does not tell it, as at the address of a load
//!    balancer.
//!
//! The flow is: [`Survey::ask`] returns a request, the caller sends it and reports the answer by [`Survey::heard`],
//! until `ask` returns `None`. Then `Survey::view` has the [`View`]. If a question is not answered, the caller stops.
//! What the answers mean for the cluster is decided by `cluster`.
//!
//! This module also turns addresses into the one form in which they are compared, see [`base_of`]. Answers come from
//! servers that may be wrong or hostile: an address that is not one of a node is left out, and nothing here panics.

use bytes::Bytes;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue, LOCATION};
use serde_json::Value;

use super::cluster::Leader;
use super::member::{ClusterNode, NodeRole, members};

/// The question for the nodes. The timeout is the time that a node may take to ask the others for their addresses. It
/// asks all of them, including one that hangs.
const NODES: &str = "/nodes?nonvoters&timeout=300ms";
const IDENTITY: &str = "/status?key=store.node_id";
/// The question for users who may not request the list of nodes. It is harmless, and a follower answers with the
/// leader's address.
const PROBE_PATH: &str = "/db/query";
const PROBE: &str = "/db/query?level=weak&redirect&q=SELECT%201";

/// The answers of one node.
///
/// The default is that of a node that has told nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The id of the node itself.
    pub(crate) id: Option<String>,
    pub(crate) leader: Option<Leader>,
    pub(crate) nodes: Vec<Seen>,
    /// Set if the node says who leads, or that it knows no leader. Not set if it refuses the questions.
    pub(crate) is_telling: bool,
    /// Set if some node of the cluster does not answer this one.
    pub(crate) misses: bool,
}

/// One node of a cluster, as another node of it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) base: String,
    pub(crate) voter: bool,
}

/// A survey of one node, one question after the other.
///
/// The credentials are those for the node, or `None` if it may not get them.
#[derive(Debug)]
pub(crate) struct Survey {
    base: String,
    authorization: Option<HeaderValue>,
    question: Question,
    view: View,
}

/// The question that `ask` asks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Nodes,
    Identity,
    Probe,
    Done,
}

impl Survey {
    pub(crate) fn new(base: String, authorization: Option<HeaderValue>) -> Self {
        Survey {
            base,
            authorization,
            question: Question::Nodes,
            view: View::default(),
        }
    }

    /// Returns the next question, or `None` if there is no more.
    ///
    /// Returns the same question until it was answered. Returns `None` as well if the address can't be part of a
    /// request.
    pub(crate) fn ask(&self) -> Option<http::Request<Bytes>> {
        let path = match self.question {
            Question::Nodes => NODES,
            Question::Identity => IDENTITY,
            Question::Probe => PROBE,
            Question::Done => return None,
        };
        let mut request = http::Request::get(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Bytes::new()).ok()
    }

    /// Takes the answer to the question that was asked last, and chooses the next one. Any status is an answer. One
    /// that can't be read is treated like a refusal.
    pub(crate) fn heard(&mut self, response: &http::Response<Bytes>) {
        let (status, body) = (response.status(), response.body());
        self.question = match self.question {
            Question::Nodes if status.is_success() => match nodes(body) {
                Some((nodes, leader, misses)) => {
                    self.view.id = only_id(&self.base, &nodes);
                    self.view.nodes = nodes;
                    self.view.leader = leader;
                    self.view.misses = misses;
                    self.view.is_telling = true;
                    match self.view.id {
                        // The id is requested only if it is needed, because a node that is busy writing takes long to
                        // answer.
                        Some(_) => Question::Done,
                        None => Question::Identity,
                    }
                }
                None => Question::Probe,
            },
            // The store is not open yet, and the node knows no other.
            Question::Nodes if status.as_u16() == 503 => {
                self.view.is_telling = true;
                Question::Done
            }
            Question::Nodes => Question::Probe,
            Question::Identity => {
                let id = serde_json::from_slice(body)
                    .ok()
                    .filter(|_| status.is_success());
                self.view.id = match id {
                    Some(Value::String(id)) if !id.is_empty() => Some(id),
                    _ => None,
                };
                Question::Done
            }
            Question::Probe => {
                self.probed(response);
                Question::Done
            }
            Question::Done => Question::Done,
        };
    }

    /// Notes what the answer to the read tells. A redirect names the leader by its address only. An answer with status
    /// 200 shows that the node leads itself. An error of the server says that it knows no leader. Anything else, such
    /// as a wrong password, says nothing. Nor does a redirect to the same address, which would redirect a request again.
    fn probed(&mut self, response: &http::Response<Bytes>) {
        let status = response.status();
        let failed = response.body().starts_with(br#"{"results":[],"error""#);
        let base = match is_redirect(status) {
            true => {
                let location = response
                    .headers()
                    .get(LOCATION)
                    .and_then(|to| to.to_str().ok());
                let to = location.and_then(|to| redirect_target(&self.base, to, PROBE_PATH));
                to.filter(|to| *to != self.base)
            }
            false if status.is_success() && !failed => Some(self.base.clone()),
            false => None,
        };
        self.view.is_telling = base.is_some() || status.is_server_error() || failed;
        self.view.leader = base.map(|base| Leader { id: None, base });
    }

    /// Returns the answers of the node.
    pub(crate) fn view(self) -> View {
        self.view
    }

    /// Returns whether the answers so far are of use, even if the node has not answered every question.
    pub(crate) fn has_said(&self) -> bool {
        self.view.is_telling
    }
}

/// Returns the id of the node at an address that the cluster itself gives for one node only.
fn only_id(base: &str, nodes: &[Seen]) -> Option<String> {
    let mut here = nodes.iter().filter(|node| node.base == base);
    let id = here.next()?.id.clone();
    here.next().is_none().then_some(id)
}

/// Returns the nodes that can be reached, the leader, and whether some node does not answer the asked one. Returns
/// `None` if the body is not a list of nodes.
fn nodes(body: &[u8]) -> Option<(Vec<Seen>, Option<Leader>, bool)> {
    let members = members(body)?;
    let misses = members.iter().any(|member| !member.is_reachable);
    let leader = members.iter().find_map(|member| {
        let leads = member.role == NodeRole::Leader;
        let Seen { id, base, .. } = Seen::of(member).filter(|_| leads)?;
        let id = Some(id);
        Some(Leader { id, base })
    });
    let seen = members.iter().filter_map(Seen::of).collect();
    Some((seen, leader, misses))
}

impl Seen {
    /// Returns `None` for a node that can't be reached, because it is listed without its address.
    pub(crate) fn of(member: &ClusterNode) -> Option<Self> {
        Some(Seen {
            id: member.id.clone(),
            base: base_of(member.api_address.as_deref()?)?,
            voter: member.role != NodeRole::NonVoter,
        })
    }
}

/// Returns whether a name is valid as that of a host. URLs permit other characters, which are invalid in a request.
pub(crate) fn is_host_name(name: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty() && name.bytes().all(may_stand)
}

/// Returns an address in the form in which it precedes rqlite's paths.
///
/// The form is `scheme://host:port/prefix`, always with a port and without a slash at its end, so that two texts are
/// equal if the addresses are. Returns `None` for another scheme, an invalid host, or credentials.
pub(crate) fn base_of(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let host = match url.host()? {
        url::Host::Domain(name) if !is_host_name(name) => return None,
        host => host,
    };
    let port = url.port().unwrap_or(if tls { 443 } else { 80 });
    let path = url.path().trim_end_matches('/');
    // A password that the URL's grammar took for a path, or credentials that are not ours.
    if path.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let scheme = url.scheme();
    Some(format!("{scheme}://{host}:{port}{path}"))
}

/// Returns whether the status redirects to another node, so that nothing was done. The other 3xx statuses have other
/// meanings: 304 says that the client already has the answer.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns the target of a redirect without the endpoint: `http://host:4001`. The location may be relative to the URL
/// that was requested (RFC 9110).
///
/// `path` is the path of the endpoint that was requested. Returns `None` if the location is not that endpoint of some
/// node.
pub(crate) fn redirect_target(asked: &str, location: &str, path: &str) -> Option<String> {
    let asked = url::Url::parse(&format!("{asked}{path}")).ok()?;
    let mut target = asked.join(location).ok()?;
    target.set_query(None);
    target.set_fragment(None);
    let base = target.path().strip_suffix(path)?.to_owned();
    target.set_path(&base);
    // A URL that is not the address of a node must not get the user's credentials.
    if !target.username().is_empty() || target.password().is_some() {
        return None;
    }
    base_of(target.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, base: &str, voter: bool) -> Seen {
        Seen {
            id: id.to_owned(),
            base: base.to_owned(),
            voter,
        }
    }

    #[test]
    fn both_forms_of_nodes_are_read() {
        let map = br#"{"1":{"id":"1","api_addr":"http://a:4001","addr":"a:4002","voter":true,"reachable":true,"leader":true},
            "2":{"id":"2","addr":"b:4002","voter":true,"reachable":false,"leader":false,"error":"x"},
            "3":{"id":"3","api_addr":"https://c/","addr":"c:4002","voter":false,"reachable":true,"leader":false}}"#;
        let list = br#"{"nodes":[{"id":"1","api_addr":"http://a:4001","voter":true,"leader":true},{"id":"2","voter":true},
            {"id":"3","api_addr":"https://c/","voter":false}]}"#;
        let leader = Leader {
            id: Some("1".to_owned()),
            base: "http://a:4001".to_owned(),
        };
        let wanted = vec![
            seen("1", "http://a:4001", true),
            seen("3", "https://c:443", false),
        ];
        for body in [&map[..], &list[..]] {
            assert_eq!(
                nodes(body),
                Some((wanted.clone(), Some(leader.clone()), body == &map[..]))
            );
        }
        for body in ["", "[]", "1", "{", "null"] {
            assert_eq!(nodes(body.as_bytes()), None, "{body}");
        }
        assert_eq!(
            nodes(br#"{"1":[],"2":{"api_addr":3},"3":{"api_addr":"ftp://x"}}"#),
            Some((vec![], None, false))
        );
    }

    #[test]
    fn redirects_may_be_relative() {
        for (asked, location, wanted) in [
            (
                "http://a:4001",
                "http://b:4003/db/query?redirect",
                Some("http://b:4003"),
            ),
            (
                "http://a:4001/p",
                "https://b/p/db/query",
                Some("https://b:443/p"),
            ),
            ("http://a:4001/p", "/q/db/query?x", Some("http://a:4001/q")),
            ("http://a:4001", "/db/query", Some("http://a:4001")),
            ("http://a:4001", "//b:1/db/query", Some("http://b:1")),
            ("http://a:4001", "query?redirect", Some("http://a:4001")),
            (
                "http://a:4001",
                "http://[::1]:5/db/query",
                Some("http://[::1]:5"),
            ),
            ("http://a:4001", "http://b/elsewhere", None),
            ("http://a:4001", "http://b}/db/query", None),
            ("http://a:4001", "http://b/u:p@c/db/query", None),
            ("http://a:4001", "ftp://b/db/query", None),
            ("http://a:4001", "http://u:p@b/db/query", None),
            ("http://a:4001", "http://b:99999/db/query", None),
            ("http://a:4001", "http://[/db/query", None),
        ] {
            let found = redirect_target(asked, location, "/db/query");
            assert_eq!(found.as_deref(), wanted, "{location}");
        }
    }

    /// Behind a balancer, or in front of a wrong server, an address may redirect to itself.
    #[test]
    fn redirect_to_itself_tells_nothing() {
        for (location, leader) in [
            ("/db/query?redirect", None),
            ("http://a:4001/db/query", None),
            ("http://b:4001/db/query", Some("http://b:4001")),
        ] {
            let mut survey = Survey::new("http://a:4001".to_owned(), None);
            for _ in ["nodes", "a read"] {
                assert!(survey.ask().is_some());
                let response = http::Response::builder().status(301);
                let response = response.header(LOCATION, location).body(Bytes::new());
                survey.heard(&response.expect("is valid"));
            }
            assert!(survey.ask().is_none());
            let view = survey.view();
            assert_eq!(view.leader.map(|leader| leader.base).as_deref(), leader);
            assert_eq!(view.is_telling, leader.is_some(), "{location}");
        }
    }
}
