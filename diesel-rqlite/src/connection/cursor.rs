//! The rows of a query, some of which may not have arrived yet.

use diesel::QueryResult;

use crate::row::{Received, RqliteRow};
use crate::runtime::block_on;
use crate::session::{Found, Session, Streaming};
use crate::transport::blocking::Http;

#[cfg(feature = "async")]
pub use self::asynchronous::RqliteStream;

/// The rows of a query. A long answer is read during the iteration.
#[derive(Debug)]
pub struct RqliteCursor<'conn> {
    received: Received,
    more: Option<More<'conn>>,
}

/// The part of the answer that has not arrived yet.
#[derive(Debug)]
struct More<'conn> {
    streaming: Box<Streaming<Http>>,
    session: &'conn mut Session<Http>,
}

impl<'conn> RqliteCursor<'conn> {
    pub(crate) fn new(found: Found<Http>, session: &'conn mut Session<Http>) -> Self {
        let more = found.more.map(|streaming| More { streaming, session });
        RqliteCursor {
            received: Received::new(found.rows),
            more,
        }
    }
}

impl Iterator for RqliteCursor<'_> {
    type Item = QueryResult<RqliteRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.received.next() {
                return Some(Ok(row));
            }
            let More { streaming, session } = self.more.as_mut()?;
            match block_on(streaming.next(session)) {
                Ok(Some(rows)) => self.received.add(rows),
                Ok(None) => self.more = None,
                Err(error) => {
                    self.more = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(feature = "async")]
mod asynchronous {
    use std::fmt;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;
    use crate::protocol::rows::Rows;
    use crate::transport::asynchronous::AsyncHttp;

    /// The rows of a query. A long answer is read while the stream is polled.
    pub struct RqliteStream {
        received: Received,
        more: More,
    }

    /// The part of the answer that has not arrived yet.
    enum More {
        Nothing,
        Idle(Box<Coming>),
        Awaited(Pin<Box<dyn Future<Output = (Box<Coming>, Next)> + Send>>),
    }

    type Next = QueryResult<Option<Rows>>;

    /// The rest of an answer, with a session of its own. The connection's session may be in use
    /// meanwhile.
    struct Coming {
        streaming: Box<Streaming<AsyncHttp>>,
        session: Session<AsyncHttp>,
    }

    async fn next(mut coming: Box<Coming>) -> (Box<Coming>, Next) {
        let next = coming.streaming.next(&mut coming.session).await;
        (coming, next)
    }

    impl RqliteStream {
        pub(crate) fn new(found: Found<AsyncHttp>, session: &Session<AsyncHttp>) -> Self {
            let coming = found.more.map(|streaming| Coming {
                streaming,
                session: session.another(),
            });
            RqliteStream {
                received: Received::new(found.rows),
                more: coming.map_or(More::Nothing, |coming| More::Idle(Box::new(coming))),
            }
        }
    }

    impl fmt::Debug for RqliteStream {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut text = formatter.debug_struct("RqliteStream");
            text.field("received", &self.received)
                .finish_non_exhaustive()
        }
    }

    impl futures_core::Stream for RqliteStream {
        type Item = QueryResult<RqliteRow>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            loop {
                if let Some(row) = self.received.next() {
                    return Poll::Ready(Some(Ok(row)));
                }
                match std::mem::replace(&mut self.more, More::Nothing) {
                    More::Nothing => return Poll::Ready(None),
                    More::Idle(coming) => self.more = More::Awaited(Box::pin(next(coming))),
                    More::Awaited(mut awaited) => match awaited.as_mut().poll(context) {
                        Poll::Pending => {
                            self.more = More::Awaited(awaited);
                            return Poll::Pending;
                        }
                        Poll::Ready((coming, Ok(Some(rows)))) => {
                            self.received.add(rows);
                            self.more = More::Idle(coming);
                        }
                        Poll::Ready((_, Ok(None))) => {}
                        Poll::Ready((_, Err(error))) => return Poll::Ready(Some(Err(error))),
                    },
                }
            }
        }
    }
}
