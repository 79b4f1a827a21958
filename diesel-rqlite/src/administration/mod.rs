//! The administration of a cluster: its nodes, backups, and the loading of data.
//!
//! The code is shared by all clients, as [`session`](crate::session) is. Its functions are `async`, and with a
//! blocking client they never wait. `connection::cluster` has the public types, `protocol` the paths and the formats
//! of the answers, and `transport` the clients.
//!
//! # Two ways to send
//!
//! * Questions to one node, backups and loads go to a particular node, once, by [`Fetch`] and [`Carry`]. Nothing
//!   follows their redirects. A question is sent again only with other credentials, if the node refused the first
//!   ones.
//! * Changes of the cluster, SQL text, and the search for the leader, go through the session like writes and reads. So
//!   they follow redirects, wait for a leader up to `leader_timeout`, and are sent again if it is proved that nothing was
//!   done.
//!
//! The session here is not that of the connection, but a copy of it. It begins with the same nodes and credentials,
//! and has no transaction. The only effect on the connection's own session is that it forgets the schema when a
//! database is loaded.
//!
//! # Which node is asked
//!
//! Without a named node, questions go to the current node of the session. If that one does not answer, `nodes` and
//! `leader` ask the others in turn. Backups and loads go to the leader, which is found first. A node that was named
//! ([`Administration::turn_to`]) is asked alone; changes and loads go to the leader nevertheless.
//!
//! If there are credentials, a node is asked only if it is trusted: if the configuration names it, or a trusted node
//! lists it. If it is not, the cluster is asked for its nodes once, before the request is refused.
//!
//! # Time limits
//!
//! The head of an answer must begin within `patience`, the `request_timeout` of the configuration (for `ready`: the
//! time that the node may wait, and one second). The body of an answer that is read as a whole must arrive within
//! another `request_timeout`. The body of a backup has no time limit. A load has no limit after connecting. Requests of
//! the session have its limits, except those of SQL text.
//!
//! # Dropped futures
//!
//! Dropping a future closes its connection. A question or a backup then has no effect. A change or a load may have
//! been carried out nevertheless, unless the file had not been read completely. The connection has forgotten the
//! schema by then.
//!
//! # Outcomes
//!
//! See [`ClusterError`]: an error tells whether anything was done. A load is sent once. Its outcome is unknown if the
//! whole file was sent and no answer proves that it was refused. SQL text is several requests, so that its error,
//! [`LoadSqlError`], tells which of them were applied.

mod error;
mod script;

use std::fmt;
use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use diesel_rqlite_sql::Entropy;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, StatusCode};

pub use self::error::ClusterError;
pub use self::script::{LoadSqlError, LoadSqlReason, LoadedSql};
use self::script::{Script, Step};
use crate::protocol::backup::{BackupOptions, Whole};
use crate::protocol::call::SendError;
use crate::protocol::condition::{NodeStatus, Readiness, ReadyOptions, STATUS};
use crate::protocol::member::{ClusterNode, ClusterNodes, NODES};
use crate::protocol::request::{Endpoint, Exchange, ReadConsistency, Statements};
use crate::protocol::response::Answer;
use crate::protocol::survey::{Seen, base_of};
use crate::runtime::Runtime;
use crate::session::{Client, Rest, Session, Tables};
use crate::statement::{self, Statement};

/// The length after which an answer is not read any further, in bytes. It is for answers that are read as a whole:
/// all except backups.
const LONGEST: usize = 16 << 20;
/// The time that a request of SQL text may take. A node that hangs is noticed by the other nodes, and a statement that
/// takes long is waited for.
const UNLIMITED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The interval at which the leader is asked for until another node leads.
const STEP: Duration = Duration::from_millis(50);
/// The number of times that a backup is requested when the node that was asked no longer leads.
const TIMES: u32 = 3;
/// The endpoint that loads a database through the Raft log.
const LOAD: &str = "/db/load";
/// The endpoint that loads a database into a single node.
const BOOT: &str = "/boot";

/// A client that receives answers of any length.
pub(crate) trait Fetch: Client {
    /// The body of an answer. It is read as it arrives, and owns its connection.
    type Download: Rest;

    /// Sends a request without a body to one node, once, without following redirects. Any status is an answer. The
    /// request must change nothing, since the error does not tell whether it was sent.
    fn fetch(
        &self,
        request: http::Request<()>,
        patience: Patience,
    ) -> impl Future<Output = Result<http::Response<Self::Download>, SendError>>;
}

/// The time limits of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The time in which it must begin.
    pub(crate) head: Duration,
    /// The time in which all of its body must follow.
    pub(crate) body: Duration,
    /// Set if the body of a success may take any time all the same.
    pub(crate) is_for_stream: bool,
}

impl Patience {
    /// Returns the time for the body of an answer with this status. `None` means that it may take any time.
    pub(crate) fn of_body(self, status: StatusCode) -> Option<Duration> {
        let is_stream = self.is_for_stream && status == StatusCode::OK;
        (!is_stream).then_some(self.body)
    }
}

/// A client that also sends request bodies of any length, as it reads them. `U` is the body.
pub(crate) trait Carry<U>: Fetch {
    /// Sends a request to one node, once, without following redirects. There is no time limit, except that all of the
    /// answer's body must follow its head within `body`. In an error, `sent` tells whether the whole body of the request
    /// was read. If not, the node got an incomplete message.
    fn carry(
        &self,
        request: http::Request<U>,
        body: Duration,
    ) -> impl Future<Output = Result<http::Response<Self::Download>, SendError>>;
}

/// A text that is read piece by piece.
pub(crate) trait Text {
    /// Appends the next bytes of the text to `bytes`. Returns how many there were, which is 0 at the end.
    fn read(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<usize>>;
}

/// A connection's view of its cluster. It borrows the connection's session, so that no query runs meanwhile.
pub(crate) struct Administration<'c, C> {
    /// A session that is separate from the connection's own, so that the connection's transaction is not affected.
    session: Session<C>,
    /// The connection's own session.
    own: &'c mut Session<C>,
    patience: Duration,
    /// The node that is asked, if one was named. Changes and loads do not use it.
    node: Option<String>,
}

impl<C: Client> Administration<'_, C> {
    /// Returns the node that is asked: the named one, or the current one of the session.
    pub(crate) fn node(&self) -> &str {
        let current = self.session.nodes.current();
        self.node.as_deref().unwrap_or(current)
    }
}

impl<C: Client> fmt::Debug for Administration<'_, C> {
    /// Shows nothing of the connection's transaction.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Administration");
        debug.field("node", &self.node()).finish_non_exhaustive()
    }
}

impl<'c, C: Fetch> Administration<'c, C> {
    pub(crate) fn new(own: &'c mut Session<C>, patience: Duration) -> Self {
        Administration {
            session: own.another(),
            own,
            patience,
            node: None,
        }
    }

    /// Makes this node the one that is asked from now on. An address without a scheme gets that of the current node.
    /// Sends nothing: whether the node exists and is trusted shows with the first request.
    pub(crate) fn turn_to(&mut self, address: &str) -> Result<(), ClusterError> {
        let scheme = self.session.nodes.current().split("://").next();
        let base = match address.contains("://") {
            true => base_of(address),
            false => base_of(&format!("{}://{address}", scheme.unwrap_or("http"))),
        };
        // The address may contain a password, and is not shown.
        let base = base.ok_or_else(|| {
            ClusterError::Invalid("not the address of a node, such as http://host:4001".to_owned())
        })?;
        self.node = Some(base);
        Ok(())
    }

    /// Returns the status of the node that is asked. No other node is asked in its place.
    pub(crate) async fn status(&mut self) -> Result<NodeStatus, ClusterError> {
        let node = self.node().to_owned();
        let json = self.text(&node, STATUS).await?;
        NodeStatus::of(json).map_err(|reason| ClusterError::unreadable(&node, STATUS, &reason))
    }

    /// Returns the readiness of the node that is asked. Some statuses other than 200 say that the node is not ready:
    /// see [`Readiness::of`]. All others are errors.
    pub(crate) async fn ready(&mut self, options: ReadyOptions) -> Result<Readiness, ClusterError> {
        let (node, path) = (self.node().to_owned(), options.path());
        let patience = Patience {
            head: options.patience(),
            ..self.patience()
        };
        let answer = self.get(&node, &path, patience).await?;
        let (status, text) = self.whole(&node, answer).await?;
        Readiness::of(status, &text)
            .ok_or_else(|| ClusterError::of_status(&node, &path, status, &text))
    }

    /// Returns the nodes as listed by the named node, or, if none was named, by the first node that answers. Only
    /// silence leads to another node; any other error is returned at once.
    pub(crate) async fn nodes(&mut self) -> Result<ClusterNodes, ClusterError> {
        let mut tried = vec![self.node().to_owned()];
        loop {
            let node = tried[tried.len() - 1].clone();
            match (self.nodes_of(&node).await, self.other(&tried)) {
                (Err(ClusterError::NoAnswer(_)), Some(next)) => tried.push(next),
                (outcome, _) => return outcome,
            }
        }
    }

    /// Returns the leader, according to the first node that knows one. If none was named, the next node is asked when
    /// one is silent or knows no leader. Returns the outcome of the last node that was asked.
    pub(crate) async fn leader(&mut self) -> Result<Option<ClusterNode>, ClusterError> {
        let mut tried = vec![self.node().to_owned()];
        loop {
            let node = tried[tried.len() - 1].clone();
            let outcome = self.nodes_of(&node).await;
            let leader = outcome.map(|nodes| nodes.leader().cloned());
            match (leader, self.other(&tried)) {
                (Ok(None) | Err(ClusterError::NoAnswer(_)), Some(next)) => tried.push(next),
                (leader, _) => return leader,
            }
        }
    }

    /// Returns a node that was not asked yet, unless one was named. It may be one of which the cluster has learnt
    /// only by the last answer, so that this is called after each answer.
    fn other(&self, tried: &[String]) -> Option<String> {
        let cluster = self.session.nodes.known.cluster();
        let preferred = self.session.settings.preferred.as_deref();
        let other = cluster.nearby(preferred, self.session.nodes.current(), tried);
        other.filter(|_| self.node.is_none())
    }

    /// Returns the nodes that one node lists. If that node is trusted, the listed ones are trusted from then on, by
    /// all connections of the configuration.
    async fn nodes_of(&mut self, node: &str) -> Result<ClusterNodes, ClusterError> {
        let json = self.text(node, NODES).await?;
        let unreadable = || ClusterError::unreadable(node, NODES, "it is no list of nodes");
        let nodes = ClusterNodes::of(json).ok_or_else(unreadable)?;
        let seen: Vec<_> = nodes.iter().filter_map(Seen::of).collect();
        let known = &self.session.nodes.known;
        known.cluster().trust_listed_by(node, &seen);
        Ok(nodes)
    }

    /// Removes a node, by its id. The leader is asked.
    pub(crate) async fn remove_node(&mut self, id: &str) -> Result<(), ClusterError> {
        self.change(Endpoint::Remove, Some(id)).await
    }

    /// Transfers leadership, and waits until another node leads.
    ///
    /// Notes who leads, sends the request to the leader, and then asks the nodes who leads, every [`STEP`], until the
    /// answer is another node. Fails with [`ClusterError::NotTransferred`] if that is not the wanted one, or if the
    /// same node still leads, or none, after `leader_timeout`. The time counts from the beginning, and is checked
    /// before each question. Fails with [`ClusterError::Unknown`] if nobody tells who leads.
    pub(crate) async fn transfer_leadership(
        &mut self,
        to: Option<&str>,
    ) -> Result<ClusterNode, ClusterError> {
        let began = Instant::now();
        let before = self.leader().await?.map(|leader| leader.id);
        match self.change(Endpoint::StepDown, to).await {
            Err(ClusterError::Unsupported(message)) => {
                let message = format!("{message} (rqlite transfers leadership from 8.40 on)");
                return Err(ClusterError::Unsupported(message));
            }
            outcome => outcome?,
        }
        loop {
            let is_over = began.elapsed() >= self.leader_timeout();
            let leader = match self.leader().await {
                Ok(leader) => leader,
                // The nodes may answer in a moment.
                Err(ClusterError::NoAnswer(_)) if !is_over => {
                    C::Runtime::wait(STEP).await;
                    continue;
                }
                // Leadership may have been transferred, so that this must not say that nothing was done.
                Err(error) => return Err(error.unknown()),
            };
            // This is also `true` while no leader is known, so that the arms below check for a leader, too.
            let is_other = leader.as_ref().map(|leader| &leader.id) != before.as_ref();
            match leader {
                // Servers before 8.41 ignore `to` and take any node.
                Some(leader) if is_other && to.is_none_or(|to| to == leader.id) => {
                    return Ok(leader);
                }
                leader if is_other && leader.is_some() || is_over => {
                    return Err(ClusterError::NotTransferred {
                        wanted: to.unwrap_or("another node").to_owned(),
                        leader: leader.map(|leader| leader.id),
                    });
                }
                _ => C::Runtime::wait(STEP).await,
            }
        }
    }

    /// Returns the time limits of an answer that is read as a whole.
    fn patience(&self) -> Patience {
        Patience {
            head: self.patience,
            body: self.patience,
            is_for_stream: false,
        }
    }

    fn leader_timeout(&self) -> Duration {
        self.session.settings.leader_timeout
    }

    /// Sends a change to the current leader. The session sends it again only if it is proved that nothing was done.
    /// Fails with [`ClusterError::Unknown`] if there is no answer to a request that was sent.
    async fn change(&mut self, endpoint: Endpoint, id: Option<&str>) -> Result<(), ClusterError> {
        let id = id.map(|id| serde_json::json!({ "id": id }).to_string());
        let body = Statements {
            json: id.unwrap_or_default().into(),
            number: 0,
        };
        let sent = self.session.send(&Exchange::new(endpoint, body)).await;
        sent?;
        Ok(())
    }

    /// Returns the address of the leader, which has just answered. It is found by a linearizable read, which the
    /// leader answers, or a node that forwards requests to it. In the latter case, `Nodes::was_handed_on` is set.
    /// Fails if there is no leader within `leader_timeout`.
    async fn find_leader(&mut self) -> Result<String, ClusterError> {
        let question = statement::query(&Statement::raw("SELECT 1"));
        self.session
            .send(&question.at(ReadConsistency::Linearizable))
            .await?;
        Ok(self.session.nodes.current().to_owned())
    }

    /// Requests a backup from the leader, or from the named node. Returns its body, which has not been read yet.
    ///
    /// If the node answers with a redirect, it no longer leads, and the leader is searched for again, [`TIMES`] times
    /// in all. The options are checked before anything is sent.
    pub(crate) async fn backup(
        &mut self,
        options: BackupOptions,
    ) -> Result<C::Download, ClusterError> {
        options
            .check()
            .map_err(|reason| ClusterError::Invalid(reason.to_owned()))?;
        let path = options.path(self.node.is_some());
        let mut times = 0;
        loop {
            times += 1;
            let node = match self.node.clone() {
                Some(node) => node,
                None => self.find_leader().await?,
            };
            let patience = Patience {
                is_for_stream: true,
                ..self.patience()
            };
            let answer = self.get(&node, &path, patience).await?;
            let status = answer.status();
            if status == StatusCode::OK {
                return Ok(answer.into_body());
            }
            // A redirect means that the node no longer leads.
            if !status.is_redirection() || times >= TIMES {
                let (status, text) = self.whole(&node, answer).await?;
                return Err(ClusterError::of_status(&node, &path, status, &text));
            }
        }
    }

    /// Replaces the database. A single node takes a file of any size without holding it in memory. A cluster takes
    /// the file through its Raft log, as one entry.
    ///
    /// 1. Finds the leader, and asks it whether the user may load. So a refusal comes before anything long is sent.
    /// 2. Chooses the endpoint by the number of nodes.
    /// 3. Sends the file, once, while it is read. `whole` shares its state with the check inside of `upload`.
    /// 4. Decides the outcome.
    ///
    /// The outcome is decided in this order:
    ///
    /// * The file is damaged, or can't be read: [`ClusterError::File`], whatever the node answers. It got no complete
    ///   message.
    /// * There is no answer: the outcome is unknown if the whole file was sent.
    /// * The answer can't be read completely: unknown.
    /// * The status is not 200: unknown, unless the answer proves that nothing was done.
    /// * The answer contains an error: unknown.
    ///
    /// An upload can't be repeated, since its file has been read.
    pub(crate) async fn load<U>(&mut self, upload: U, whole: &Whole) -> Result<(), ClusterError>
    where
        C: Carry<U>,
    {
        let node = self.find_leader().await?;
        self.may_load(&node).await?;
        // This is about the search for the leader, the last request of the session.
        let is_handed_on = self.session.nodes.was_handed_on();
        let path = match self.is_single(&node).await {
            true => BOOT,
            // Without the long timeout, a node that forwards the request would send it once more.
            false if is_handed_on => "/db/load?timeout=1h",
            false => "/db/load?redirect",
        };
        let request = self.request(Method::POST, &node, path, upload).await?;
        // The schema is also forgotten if the caller no longer waits for the answer.
        self.own.forget_schema();
        let answer = self.session.client.carry(request, self.patience).await;
        let answer = match (answer, whole.fault()) {
            (_, Some(fault)) if !whole.has_ended() => return Err(ClusterError::File(fault)),
            (Err(error), _) => return Err(self.lost(&node, &error)),
            (Ok(answer), _) => answer,
        };
        let outcome = self.whole(&node, answer).await;
        let (status, text) = outcome.map_err(ClusterError::unknown)?;
        if status != StatusCode::OK {
            return Err(ClusterError::of_change(&node, path, status, &text));
        }
        match error_in(&text) {
            Some(error) => Err(ClusterError::unreadable(&node, path, &error).unknown()),
            None => Ok(()),
        }
    }

    /// Runs SQL text, which is read while it is sent. [`Script`] decides what is sent, and what the answers mean.
    ///
    /// The requests are writes of the session, so that they follow redirects, wait for a leader up to
    /// `leader_timeout`, and are sent again if it is proved that nothing was done. They have no time limits of their
    /// own, as a load has none. Servers count `db_timeout` for a request as a whole (`db/db.go`), so that
    /// what suits one statement would end a request of thousands.
    pub(crate) async fn load_sql(
        &mut self,
        mut text: impl Text,
    ) -> Result<LoadedSql, LoadSqlError> {
        self.session.settings.request_timeout = Some(UNLIMITED);
        self.session.settings.db_timeout = None;
        // The defaults of the tables that are there are asked for before the first INSERT.
        self.session.forget_schema();
        let mut tables = Tables::default();
        let mut script = Script::new(self.session.entropy());
        loop {
            match script.step()? {
                Step::Read(wanted) => {
                    let read = feed(&mut script, &mut text, wanted).await;
                    read.map_err(|error| script.unreadable(error))?;
                }
                Step::Statement(parsed) => {
                    let given = self.session.loaded_with_defaults(&parsed, &mut tables);
                    let given = given.await;
                    let given =
                        given.map_err(|failure| script.without_defaults(&parsed, failure))?;
                    script.take(parsed, given)?;
                }
                Step::Send(exchange) => {
                    // The schema is also forgotten if the caller no longer waits for the answer.
                    let _announced = script.changes_schema().then(|| {
                        self.own.forget_schema();
                        self.session.loads_schema()
                    });
                    let outcome = self.session.send(&exchange).await;
                    script.received(&exchange, outcome)?;
                }
                Step::Done(loaded) => return Ok(loaded),
            }
        }
    }

    /// Checks the permission before anything long is sent, by a GET request to the endpoint. A user who may load gets
    /// the answer that the method is not allowed.
    async fn may_load(&mut self, node: &str) -> Result<(), ClusterError> {
        let answer = self.get(node, LOAD, self.patience()).await?;
        let (status, text) = self.whole(node, answer).await?;
        match status {
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            status => Err(ClusterError::of_status(node, LOAD, status, &text)),
        }
    }

    /// Returns whether the cluster has a single node. Only users who may request the state of the cluster can learn
    /// this. For others, and if there is no answer, this is `false`: then the way is used that is right for any
    /// cluster.
    async fn is_single(&mut self, node: &str) -> bool {
        let nodes = self.nodes_of(node).await;
        nodes.is_ok_and(|nodes| nodes.len() == 1)
    }

    /// Returns the error for a load without an answer. It is unknown if the whole file was sent.
    fn lost(&self, node: &str, error: &SendError) -> ClusterError {
        let no_answer = ClusterError::no_answer(node, &error.message);
        match error.sent {
            true => no_answer.unknown(),
            false => no_answer,
        }
    }

    /// Returns the text of a successful answer. Fails for any status except 200.
    async fn text(&mut self, node: &str, path: &str) -> Result<String, ClusterError> {
        let answer = self.get(node, path, self.patience()).await?;
        match self.whole(node, answer).await? {
            (StatusCode::OK, text) => Ok(text),
            (status, text) => Err(ClusterError::of_status(node, path, status, &text)),
        }
    }

    /// Sends a question, and returns any answer, whatever its status is. Its body has not been read yet. If a node
    /// refuses credentials that can be renewed, they are renewed and sent, once.
    async fn get(
        &mut self,
        node: &str,
        path: &str,
        patience: Patience,
    ) -> Result<http::Response<C::Download>, ClusterError> {
        let mut renewed = false;
        loop {
            let request = self.request(Method::GET, node, path, ()).await?;
            let answer = self.session.client.fetch(request, patience).await;
            let answer = self.noted(node, answer)?;
            if renewed || answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            renewed = true;
            let new = self.session.renew_credentials().await;
            let new = new.map_err(|reason| ClusterError::no_answer(node, &reason))?;
            if !new {
                return Ok(answer);
            }
        }
    }

    /// Records whether the node answered, for all connections of the configuration. Converts the error.
    fn noted<T>(&self, node: &str, answer: Result<T, SendError>) -> Result<T, ClusterError> {
        let mut cluster = self.session.nodes.known.cluster();
        match &answer {
            Ok(_) => cluster.answered(node),
            Err(error) => cluster.failed(node, &error.message, Instant::now()),
        }
        answer.map_err(|error| ClusterError::no_answer(node, &error.message))
    }

    /// Makes a request to a node, with the current credentials. Fails if the node must not get them, after the
    /// cluster was asked for its nodes. Sends nothing to the node itself.
    async fn request<B>(
        &self,
        method: Method,
        node: &str,
        path: &str,
        body: B,
    ) -> Result<http::Request<B>, ClusterError> {
        if !self.session.trusts(node) {
            self.session.survey().await;
        }
        if !self.session.trusts(node) {
            return Err(ClusterError::NotTrusted(node.to_owned()));
        }
        let mut request = http::Request::builder().uri(format!("{node}{path}"));
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/octet-stream");
        }
        if let Some(authorization) = self.session.settings.authorization.get() {
            request = request.header(AUTHORIZATION, authorization);
        }
        request
            .method(method)
            .body(body)
            .map_err(|error| ClusterError::Invalid(format!("{node}: {error}")))
    }

    /// Reads an answer to completion. Of a long answer, only the beginning is read: what comes after [`LONGEST`]
    /// bytes is discarded, and the connection is closed. Bytes that are not UTF-8 are replaced. The time limit is
    /// that with which the answer was fetched.
    async fn whole(
        &self,
        node: &str,
        answer: http::Response<C::Download>,
    ) -> Result<(StatusCode, String), ClusterError> {
        let status = answer.status();
        let mut rest = answer.into_body();
        let mut bytes = Vec::new();
        loop {
            let read = rest.read(&mut bytes).await;
            match read {
                Ok(0) => break,
                Ok(_) if bytes.len() > LONGEST => break,
                Ok(_) => {}
                Err(error) => return Err(ClusterError::no_answer(node, &error.message)),
            }
        }
        // An error page may be anything; its beginning is enough.
        if status != StatusCode::OK {
            bytes.truncate(1000);
        }
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Reads about as much of a text as is wanted, or to its end.
async fn feed(
    script: &mut Script<impl Entropy>,
    text: &mut impl Text,
    wanted: usize,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while bytes.len() < wanted {
        if text.read(&mut bytes).await? == 0 {
            script.end();
            break;
        }
    }
    script.push(&bytes);
    Ok(())
}

/// Returns the first error in an answer to a load. An answer that can't be parsed has none.
fn error_in(text: &str) -> Option<String> {
    let answer = Answer::parse(text.as_bytes(), &[]).ok()?;
    let first = answer.first_failure().map(|(_, error)| error.to_owned());
    answer.error.or(first)
}
