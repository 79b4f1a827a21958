//! An asynchronous connection for blocking programs: it polls its futures on the thread that calls it, so that the
//! same tests run on both.

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use diesel::associations::HasTable;
use diesel::connection::{
    CacheSize, Connection, ConnectionSealed, DefaultLoadingMode, Instrumentation, LoadConnection,
    MultiConnectionHelper, SimpleConnection, TransactionManager, TransactionManagerStatus,
    WithMetadataLookup,
};
use diesel::expression::{MixedAggregates, QueryMetadata, ValidGrouping, is_aggregate};
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};
use diesel::query_builder::{AsChangeset, IntoUpdateTarget, Query, QueryFragment, QueryId};
use diesel::query_dsl::{LoadQuery, RunQueryDsl, UpdateAndFetchResults};
use diesel::result::Error;
use diesel::{ConnectionResult, QueryResult, Table, dsl};
use diesel_async::pooled_connection::{PoolableConnection, RecyclingMethod};
use diesel_async::{
    AsyncConnection, AsyncConnectionCore, SimpleAsyncConnection, TransactionManager as _,
};
use diesel_rqlite::{
    AsyncRqliteConnection, AsyncRqliteTransactionManager, QueryOptions, QueueOutcome, Rqlite,
    RqliteConfig, RqliteRow, RqliteStream, RunAgain, RunOnce, SequenceNumber, Transaction,
    TransactionBuilder, TransactionLock, TransactionMode, WriteQueue,
};
use futures_core::Stream;
use send_wrapper::SendWrapper;
use tokio::runtime::Runtime;

use super::cluster_adapter::Cluster;

/// Runs a future to its end. Its connections are driven by other threads.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.expect("a runtime")
    });
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    // Not the runtime's own `block_on`: that must not be used inside of itself, as in a closure of a transaction.
    let _entered = RUNTIME.enter();
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

pub(crate) struct RqliteConnection {
    connection: AsyncRqliteConnection,
    metadata_lookup: (),
}

pub(crate) fn connect_by(config: &RqliteConfig) -> ConnectionResult<RqliteConnection> {
    block_on(config.connect_async()).map(RqliteConnection::new)
}

impl std::fmt::Debug for RqliteConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.connection.fmt(formatter)
    }
}

impl RqliteConnection {
    fn new(connection: AsyncRqliteConnection) -> Self {
        RqliteConnection {
            connection,
            metadata_lookup: (),
        }
    }

    pub(crate) fn http_requests(&self) -> u64 {
        self.connection.http_requests()
    }

    pub(crate) fn cluster(&mut self) -> Cluster<'_> {
        Cluster(self.connection.cluster())
    }

    pub(crate) fn build_transaction(&mut self) -> Builder<'_> {
        Builder {
            of: self.connection.build_transaction(),
        }
    }

    pub(crate) fn with<T, E: From<Error>>(
        &mut self,
        options: QueryOptions,
        f: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let f = SendWrapper::new(f);
        let outcome = self
            .connection
            .with(options, async move |inner| sent(lent(inner, f.take())));
        received(block_on(outcome))
    }

    pub(crate) fn set_options(&mut self, options: QueryOptions) -> QueryResult<()> {
        self.connection.set_options(options)
    }

    pub(crate) fn options(&self) -> &QueryOptions {
        self.connection.options()
    }

    pub(crate) fn queue(&mut self) -> Queue<'_> {
        Queue(self.connection.queue())
    }

    pub(crate) fn execute_queued<T: QueryFragment<Rqlite>>(
        &mut self,
        write: &T,
    ) -> QueryResult<SequenceNumber> {
        self.queue().add(write)?.send()
    }

    pub(crate) fn execute_queued_and_wait<T: QueryFragment<Rqlite>>(
        &mut self,
        write: &T,
        timeout: Duration,
    ) -> QueryResult<QueueOutcome> {
        self.queue().add(write)?.send_and_wait(timeout)
    }

    pub(crate) fn set_transaction_lock(&mut self, lock: &impl TransactionLock) {
        self.connection.set_transaction_lock(lock);
    }

    pub(crate) fn immediate_transaction<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let f = SendWrapper::new(f);
        let outcome = self
            .connection
            .immediate_transaction(async move |inner| sent(lent(inner, f.take())));
        received(block_on(outcome))
    }

    pub(crate) fn exclusive_transaction<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let f = SendWrapper::new(f);
        let outcome = self
            .connection
            .exclusive_transaction(async move |inner| sent(lent(inner, f.take())));
        received(block_on(outcome))
    }
}

/// Writes that are waited for.
pub(crate) struct Queue<'a>(WriteQueue<'a, AsyncRqliteConnection>);

impl Queue<'_> {
    pub(crate) fn add<T: QueryFragment<Rqlite>>(self, write: &T) -> QueryResult<Self> {
        self.0.add(write).map(Queue)
    }

    pub(crate) fn send(self) -> QueryResult<SequenceNumber> {
        block_on(self.0.send())
    }

    pub(crate) fn send_and_wait(self, timeout: Duration) -> QueryResult<QueueOutcome> {
        block_on(self.0.send_and_wait(timeout))
    }
}

/// Builds a transaction whose closure is a blocking one.
pub(crate) struct Builder<'a, R = RunOnce> {
    of: TransactionBuilder<'a, AsyncRqliteConnection, R>,
}

impl Builder<'_> {
    pub(crate) fn run<T, E: From<Error>>(
        self,
        f: impl FnOnce(&mut RqliteConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let f = SendWrapper::new(f);
        let outcome = self.of.run(async move |inner| sent(lent(inner, f.take())));
        received(block_on(outcome))
    }
}

impl Builder<'_, RunAgain> {
    pub(crate) fn run<T, E: From<Error>>(
        self,
        f: impl FnMut(&mut RqliteConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let f = Arc::new(Mutex::new(SendWrapper::new(f)));
        let outcome = self.of.run(async move |inner| {
            let mut f = f.lock().expect("no panic before");
            sent(lent(inner, |connection| (**f)(connection)))
        });
        received(block_on(outcome))
    }
}

macro_rules! options {
    ($($option:ident),*) => {$(
        pub(crate) fn $option(self) -> Self {
            Builder { of: self.of.$option() }
        }
    )*};
}

impl<'a, R> Builder<'a, R> {
    options!(eager, deferred, immediate, read_only, exactly_once);

    pub(crate) fn mode(self, mode: TransactionMode) -> Self {
        Builder {
            of: self.of.mode(mode),
        }
    }

    pub(crate) fn lock(self, lock: &impl TransactionLock) -> Self {
        Builder {
            of: self.of.lock(lock),
        }
    }

    pub(crate) fn retries(self, retries: u32) -> Builder<'a, RunAgain> {
        Builder {
            of: self.of.retries(retries),
        }
    }
}

/// What a closure returned, or diesel's error, on its way through a future that other threads could poll, but do not.
struct Sent<E>(SendWrapper<E>);

impl<E: From<Error>> From<Error> for Sent<E> {
    fn from(error: Error) -> Self {
        Sent(SendWrapper::new(error.into()))
    }
}

fn sent<T, E>(outcome: Result<T, E>) -> Result<SendWrapper<T>, Sent<E>> {
    outcome
        .map(SendWrapper::new)
        .map_err(|error| Sent(SendWrapper::new(error)))
}

fn received<T, E>(outcome: Result<SendWrapper<T>, Sent<E>>) -> Result<T, E> {
    outcome
        .map(SendWrapper::take)
        .map_err(|error| error.0.take())
}

/// Calls a blocking closure with a connection that is borrowed.
fn lent<T>(inner: &mut AsyncRqliteConnection, f: impl FnOnce(&mut RqliteConnection) -> T) -> T {
    struct Lent<'a> {
        inner: &'a mut AsyncRqliteConnection,
        connection: RqliteConnection,
    }
    impl Drop for Lent<'_> {
        fn drop(&mut self) {
            std::mem::swap(self.inner, &mut self.connection.connection);
        }
    }
    let mut connection = RqliteConnection::new(placeholder());
    std::mem::swap(inner, &mut connection.connection);
    let mut lent = Lent { inner, connection };
    f(&mut lent.connection)
}

/// Stands where a connection is missing. Nothing is asked of it: it never gets further than to be made.
fn placeholder() -> AsyncRqliteConnection {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("is bound").to_string();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let body = r#"{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}"#;
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
            }
        });
        address
    });
    let url = format!("rqlite://{}?level=none", *ADDRESS);
    block_on(AsyncRqliteConnection::establish(&url)).expect("answers")
}

impl SimpleConnection for RqliteConnection {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        block_on(self.connection.batch_execute(query))
    }
}

impl ConnectionSealed for RqliteConnection {}

impl Connection for RqliteConnection {
    type Backend = Rqlite;
    type TransactionManager = Manager;

    fn establish(database_url: &str) -> ConnectionResult<Self> {
        block_on(AsyncRqliteConnection::establish(database_url)).map(Self::new)
    }

    fn begin_test_transaction(&mut self) -> QueryResult<()> {
        block_on(self.connection.begin_test_transaction())
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Rqlite> + QueryId,
    {
        block_on(self.connection.execute_returning_count(source))
    }

    fn transaction_state(&mut self) -> &mut Transaction {
        self.connection.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.connection.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.connection.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.connection.set_prepared_statement_cache_size(size);
    }
}

/// Waits for each row when it is asked for.
pub(crate) struct Rows(RqliteStream);

impl Iterator for Rows {
    type Item = QueryResult<RqliteRow>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(std::future::poll_fn(|context| {
            Pin::new(&mut self.0).poll_next(context)
        }))
    }
}

impl LoadConnection<DefaultLoadingMode> for RqliteConnection {
    type Cursor<'conn, 'query> = Rows;
    type Row<'conn, 'query> = RqliteRow;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Rows>
    where
        T: Query + QueryFragment<Rqlite> + QueryId + 'query,
        Rqlite: QueryMetadata<T::SqlType>,
    {
        block_on(self.connection.load(source)).map(Rows)
    }
}

impl WithMetadataLookup for RqliteConnection {
    fn metadata_lookup(&mut self) -> &mut () {
        &mut self.metadata_lookup
    }
}

impl MultiConnectionHelper for RqliteConnection {
    fn to_any<'a>(lookup: &mut ()) -> &mut (dyn std::any::Any + 'a) {
        lookup
    }

    fn from_any(lookup: &mut dyn std::any::Any) -> Option<&mut ()> {
        lookup.downcast_mut()
    }
}

impl MigrationConnection for RqliteConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        diesel::sql_query(CREATE_MIGRATIONS_TABLE).execute(self)
    }
}

impl<'b, Changes, Output> UpdateAndFetchResults<Changes, Output> for RqliteConnection
where
    Changes: Copy + AsChangeset<Target = <Changes as HasTable>::Table> + IntoUpdateTarget,
    dsl::Update<Changes, Changes>: LoadQuery<'b, RqliteConnection, Output>,
    <Changes::Table as Table>::AllColumns: ValidGrouping<()>,
    <<Changes::Table as Table>::AllColumns as ValidGrouping<()>>::IsAggregate:
        MixedAggregates<is_aggregate::No, Output = is_aggregate::No>,
{
    fn update_and_fetch(&mut self, changeset: Changes) -> QueryResult<Output> {
        diesel::update(changeset).set(changeset).get_result(self)
    }
}

impl diesel::r2d2::R2D2Connection for RqliteConnection {
    fn ping(&mut self) -> QueryResult<()> {
        block_on(self.connection.ping(&RecyclingMethod::Verified))
    }

    fn is_broken(&mut self) -> bool {
        PoolableConnection::is_broken(&mut self.connection)
    }
}

pub(crate) struct Manager;

impl TransactionManager<RqliteConnection> for Manager {
    type TransactionStateData = Transaction;

    fn begin_transaction(of: &mut RqliteConnection) -> QueryResult<()> {
        block_on(AsyncRqliteTransactionManager::begin_transaction(
            &mut of.connection,
        ))
    }

    fn rollback_transaction(of: &mut RqliteConnection) -> QueryResult<()> {
        block_on(AsyncRqliteTransactionManager::rollback_transaction(
            &mut of.connection,
        ))
    }

    fn commit_transaction(of: &mut RqliteConnection) -> QueryResult<()> {
        block_on(AsyncRqliteTransactionManager::commit_transaction(
            &mut of.connection,
        ))
    }

    fn transaction_manager_status_mut(of: &mut RqliteConnection) -> &mut TransactionManagerStatus {
        AsyncRqliteTransactionManager::transaction_manager_status_mut(&mut of.connection)
    }

    fn transaction<F, R, E>(of: &mut RqliteConnection, callback: F) -> Result<R, E>
    where
        F: FnOnce(&mut RqliteConnection) -> Result<R, E>,
        E: From<Error>,
    {
        let f = SendWrapper::new(callback);
        let outcome = of
            .connection
            .transaction(async move |inner| sent(lent(inner, f.take())));
        received(block_on(outcome))
    }
}
