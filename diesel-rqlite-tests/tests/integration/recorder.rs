//! A node behind a proxy that notes what is sent to it.

use std::sync::{Arc, Mutex};

use diesel_rqlite_tests::{Rqlited, RqlitedBuilder};

use crate::proxy::{Fate, Proxy};

/// A request: the path with its flags, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Sent {
    fn of(text: &str) -> Self {
        let path = text.split_whitespace().nth(1).unwrap_or_default();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Sent {
            path: path.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A flag of the path, with its value behind a `=`.
    pub(crate) fn has(&self, flag: &str) -> bool {
        let flags = self.path.split_once('?').map_or("", |(_, flags)| flags);
        flags.split('&').any(|other| other == flag)
    }
}

pub(crate) struct Recorder {
    pub(crate) node: Rqlited,
    proxy: Proxy,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        Self::on(Rqlited::builder())
    }

    pub(crate) fn on(builder: RqlitedBuilder) -> Self {
        Self::with(builder, |_| Fate::Pass)
    }

    /// `fate` decides what becomes of a request.
    pub(crate) fn with(
        builder: RqlitedBuilder,
        fate: impl Fn(&Sent) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let node = builder.start();
        let sent = Arc::<Mutex<Vec<Sent>>>::default();
        let log = Arc::clone(&sent);
        let proxy = Proxy::start(node.address(), move |_, text| {
            let request = Sent::of(text);
            let fate = fate(&request);
            log.lock().expect("no panic").push(request);
            fate
        });
        Recorder { node, proxy, sent }
    }

    /// Goes through the proxy and nowhere else.
    pub(crate) fn url(&self) -> String {
        format!("{}?discovery=false", self.proxy.url())
    }

    /// What was sent since the last time.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.lock().expect("no panic"))
    }
}
