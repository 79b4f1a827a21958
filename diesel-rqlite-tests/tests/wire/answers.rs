//! An answer has the shape that the request asks for, or it is none.

use crate::any::{Any, KINDS};
use crate::server::FalseServer;
use crate::support::database_error;

fn connected(body: &str) -> Vec<(FalseServer, Any)> {
    let kinds = KINDS.iter();
    kinds
        .map(|kind| {
            let server = FalseServer::answering(body);
            let conn = kind.connect_url(&server.url()).expect("connects");
            (server, conn)
        })
        .collect()
}

#[test]
fn query_has_columns_and_one_result() {
    for body in [
        r#"{"results":[{},{}]}"#,
        r#"{"results":[{"columns":["a"],"types":["integer"]},{}]}"#,
        r#"{"results":[{"columns":["a"]},{"columns":["value"],"types":["integer"],"values":[[1]]},{"columns":["value"],"types":["integer"],"values":[[2]]}]}"#,
        r#"{"results":[{"columns":["a"]}]}"#,
        r#"{"results":[]}"#,
        r#"{"results":[{"columns":["a"]},{"columns":["value"],"values":[[1]]}],"results":[{"columns":["a"]},{"columns":["value"],"values":[[2]]}]}"#,
        r#"{"results":[{"columns":["a"]},{"values":[[1]]}]}"#,
        r#"{"results":[{"columns":["a"]},{"columns":["value"],"columns":["other"],"values":[[1]]}]}"#,
        r#"{"results":[{"columns":["a"]},{"columns":["value"],"values":[[1]]}]} {"results":[]}"#,
    ] {
        for (_server, mut conn) in connected(body) {
            let outcome = conn.values("SELECT * FROM (SELECT 1 AS value)");
            let (_, information) = database_error(outcome);
            let message = information.message();
            assert!(
                message.contains("unreadable answer") || message.contains("too few"),
                "{body}: {message}"
            );
        }
    }
}

#[test]
fn write_whose_answer_has_another_shape_is_unknown() {
    for body in [
        r#"{"results":[]}"#,
        r#"{"results":[{},{}]}"#,
        r#"{"results":[{"rows_affected":1},{"error":"no such table: t"}]}"#,
        r#"{"results":[{"rows_affected":1}],"results":[{"rows_affected":2}]}"#,
        r#"{"results":[{"rows_affected":1,"rows_affected":2}]}"#,
        r#"{"results":[{"rows_affected":1}],"error":"stale read"}"#,
        r#"{"results":[{"rows_affected":-1}]}"#,
        r#"{"results":[{"values":[[1]]}]}"#,
        "null",
        "",
    ] {
        for (_server, mut conn) in connected(body) {
            let (kind, information) = database_error(conn.execute("DELETE FROM t"));
            assert!(
                matches!(kind, diesel::result::DatabaseErrorKind::ClosedConnection),
                "{body}: {kind:?}: {}",
                information.message()
            );
            let details = information.details().unwrap_or_default();
            assert!(details.contains("unknown"), "{body}: {details}");
        }
    }
}
