//! Checks whether a node is ready.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, TlsConfig};

use crate::User;
use crate::tls::ClientCertificate;

/// Returns a client that trusts any server, because it only talks to those that this crate started. It may show a
/// certificate.
pub(crate) fn agent_of(client: Option<&ClientCertificate>) -> Agent {
    let tls = TlsConfig::builder().disable_verification(true);
    let tls = tls.client_cert(client.and_then(shown)).build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(2)))
        .build()
        .into()
}

fn shown(client: &ClientCertificate) -> Option<ClientCert> {
    let certificate = Certificate::from_pem(client.certificate.as_bytes()).ok()?;
    let key = PrivateKey::from_pem(client.key.as_bytes()).ok()?;
    Some(ClientCert::new_with_certs(&[certificate], key))
}

/// Returns whether the node answers a read through the Raft log. Then there is a leader, and the database is up to
/// date.
pub(crate) fn is_ready(agent: &Agent, base: &str, user: Option<&User>) -> bool {
    let url = format!("{base}/db/query?level=strong&q=SELECT%201");
    let mut request = agent.get(url);
    if let Some(user) = user {
        request = request.header("authorization", user.authorization());
    }
    let Ok(mut response) = request.call() else {
        return false;
    };
    let body = response.body_mut().read_to_string().unwrap_or_default();
    // The user may lack the permission to ask. Then any answer is enough.
    let refused = response.status() == 401;
    refused || (response.status() == 200 && body.contains("\"values\""))
}

/// Returns whether a node says that it is ready. Nothing is written to the Raft log.
pub(crate) fn says_it_is_ready(agent: &Agent, base: &str) -> bool {
    let answer = agent.get(format!("{base}/readyz")).call();
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// Returns whether a node leads: it answers a read through the Raft log, and does not redirect it to another node.
pub(crate) fn leads(agent: &Agent, base: &str, user: Option<&User>) -> bool {
    let url = format!("{base}/db/query?level=strong&redirect&q=SELECT%201");
    let mut request = agent.get(url);
    if let Some(user) = user {
        request = request.header("authorization", user.authorization());
    }
    let request = request
        .config()
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A node that is cut off does not answer. It is asked again.
        .timeout_global(Some(Duration::from_millis(500)));
    let Ok(mut response) = request.build().call() else {
        return false;
    };
    let body = response.body_mut().read_to_string().unwrap_or_default();
    response.status() == 200 && body.contains("\"values\"")
}
