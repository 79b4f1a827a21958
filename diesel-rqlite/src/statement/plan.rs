//! What is sent for a query: nothing, a read, or writes.

use super::{Place, Read, Statement};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::sql::pin::Entropy;
use crate::sql::placeholders::{check_count, numbers, placeholders, rewrite_variables};
use crate::sql::scan::{InsertRows, Scanned, Verb, scan_one, statements};
use crate::sql::{SqlError, refuse};

/// What a query becomes.
#[derive(Debug, PartialEq)]
pub(crate) enum Plan<'a> {
    /// An insert of no rows.
    Nothing,
    Read(Read<'a>),
    Write(Batch<'a>),
}

/// Writes that are one request.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    /// All or nothing. A single statement is that by itself, unless it says `OR FAIL`.
    pub(crate) atomic: bool,
}

impl<'a> Plan<'a> {
    /// Decides what is sent for one query. `types` are those of its rows, where they are known.
    pub(crate) fn new(
        sql: &'a str,
        binds: Vec<Bind<'a>>,
        types: Option<&[RqliteType]>,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        if is_empty_batch(sql) {
            return Ok(Plan::Nothing);
        }
        let (mut found, framed) = script(sql)?;
        match &found[..] {
            _ if framed => {}
            [] => return Err(SqlError::Empty),
            [scanned] if is_read(scanned) => {
                return Read::new(found.remove(0), binds).map(Plan::Read);
            }
            [_] => {}
            _ => return Err(SqlError::Several),
        }
        Batch::of(&found, framed, binds, types, place, entropy)
            .map(Plan::Write)
            // The lines of a rendered batch are nobody's.
            .map_err(SqlError::bare)
    }
}

impl<'a> Batch<'a> {
    /// Any number of statements, which are run for what they do, not for what they return.
    pub(crate) fn script(
        found: &[Scanned<'a>],
        framed: bool,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        for scanned in found {
            refuse::check(scanned).map_err(|error| error.at(scanned.position))?;
        }
        let mut batch = Batch::of(found, framed, Vec::new(), None, place, entropy)?;
        for (statement, scanned) in batch.statements.iter_mut().zip(found) {
            statement.position = Some(scanned.position);
        }
        Ok(batch)
    }

    /// As it is sent by itself.
    pub(crate) fn alone(mut self) -> Result<Self, SqlError> {
        self.statements = guarded(self.statements)?;
        Ok(self)
    }

    fn of(
        found: &[Scanned<'a>],
        framed: bool,
        mut binds: Vec<Bind<'a>>,
        types: Option<&[RqliteType]>,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        if place == Place::Transaction {
            for scanned in found {
                refuse::check_in_transaction(scanned)
                    .map_err(|error| error.at(scanned.position))?;
            }
        }
        let statements = match found {
            [scanned] => {
                let at = |error: SqlError| error.at(scanned.position);
                check_count(scanned, binds.len()).map_err(at)?;
                let shaped = Statement::shape(scanned, &mut binds, types, place, entropy);
                let mut statement = shaped.map_err(at)?;
                statement.bind(binds);
                vec![statement]
            }
            several => numbered(several, &binds, types, place, entropy)?,
        };
        Ok(Batch {
            atomic: framed || statements.len() > 1,
            statements,
        })
    }
}

/// The statements of a text, none of which must stay on the client, and whether BEGIN and COMMIT framed them.
fn script(sql: &str) -> Result<(Vec<Scanned<'_>>, bool), SqlError> {
    let mut found = statements(sql)?;
    let framed = strip_begin_and_commit(&mut found);
    for scanned in &found {
        refuse::check(scanned)?;
    }
    Ok((found, framed))
}

/// `BEGIN; a; b; COMMIT` is an atomic request of `a` and `b`. So is a batch insert rendered.
pub(crate) fn strip_begin_and_commit(found: &mut Vec<Scanned<'_>>) -> bool {
    let is = |scanned: Option<&Scanned<'_>>, verb| scanned.is_some_and(|found| found.verb == verb);
    let framed =
        found.len() > 1 && is(found.first(), Verb::Begin) && is(found.last(), Verb::Commit);
    if framed {
        found.pop();
        found.remove(0);
    }
    framed
}

/// Whether the text is, token by token, what Diesel renders for an insert of no rows.
fn is_empty_batch(sql: &str) -> bool {
    let table = sql.strip_prefix("SELECT 1 FROM \"");
    let table = table.and_then(|rest| rest.strip_suffix("\" WHERE 1=0"));
    // `a` or `a"."b`: no quote but in a pair, or around the dot.
    table.is_some_and(|name| !name.replace("\"\"", "").replace("\".\"", "").contains('"'))
}

fn is_read(scanned: &Scanned<'_>) -> bool {
    match scanned.verb {
        Verb::Select | Verb::Explain => true,
        // What a PRAGMA sets must be set on the connection for writes.
        Verb::Pragma => !refuse::pragma_writes(scanned.text),
        _ => false,
    }
}

/// The statements of a script whose placeholders count through all of it.
fn numbered<'a>(
    found: &[Scanned<'a>],
    binds: &[Bind<'a>],
    types: Option<&[RqliteType]>,
    place: Place,
    entropy: &mut impl Entropy,
) -> Result<Vec<Statement<'a>>, SqlError> {
    let mut wanted = 0;
    for scanned in found {
        wanted = wanted.max(placeholders(scanned)?);
    }
    if wanted != binds.len() {
        let given = binds.len();
        return Err(SqlError::Placeholders { wanted, given });
    }
    let mut writes = Vec::with_capacity(found.len());
    for scanned in found {
        let numbers = numbers(scanned)?;
        let own = numbers.iter().map(|number| binds[number - 1].clone());
        let mut own: Vec<_> = own.collect();
        let anonymous = rewrite_variables(scanned.text, |_| Some(("", "?", "")));
        let shaped = match anonymous {
            None => Statement::shape(scanned, &mut own, types, place, entropy),
            Some(text) => {
                let scanned = scan_one(&text)?;
                Statement::shape(&scanned, &mut own, types, place, entropy)
                    .map(Statement::into_owned)
            }
        };
        let mut statement = shaped.map_err(|error| error.at(scanned.position))?;
        statement.bind(own);
        writes.push(statement);
    }
    Ok(writes)
}

/// Servers before 9.4.2 commit the rest of a `?transaction` when a RETURNING statement in it fails. There,
/// counting its rows behind it fails in its place: a DELETE of nothing makes the count 0 before.
fn guarded(writes: Vec<Statement<'_>>) -> Result<Vec<Statement<'_>>, SqlError> {
    if writes.len() < 2 || !writes.iter().any(|write| write.returning) {
        return Ok(writes);
    }
    let mut guarded = Vec::with_capacity(3 * writes.len());
    for write in writes {
        match (write.insert_rows, &write.table) {
            (InsertRows::Exactly(rows), Some(table)) if write.returning => {
                let reset = format!("DELETE FROM {table} WHERE 0");
                let guard = format!(
                    "SELECT CASE WHEN changes() = {rows} THEN 1 ELSE json_extract('{{}}', 'rows') END"
                );
                guarded.push(Statement::plain(reset));
                guarded.push(write);
                guarded.push(Statement::plain(guard));
            }
            _ if write.returning => return Err(SqlError::NotAtomic),
            _ => guarded.push(write),
        }
    }
    Ok(guarded)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::SystemTime;

    use super::*;
    use crate::sql::cells::TextCell;
    use crate::statement::execute;

    struct Fixed;

    impl Entropy for Fixed {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn random(&mut self) -> u64 {
            7
        }
    }

    fn plan<'a>(sql: &'a str, binds: Vec<Bind<'a>>) -> Result<Plan<'a>, SqlError> {
        Plan::new(sql, binds, None, Place::Alone, &mut Fixed)
    }

    fn sent(sql: &str, binds: Vec<Bind<'_>>) -> String {
        let exchange = match plan(sql, binds).expect("plans") {
            Plan::Write(batch) => execute(&batch),
            other => panic!("no write: {other:?}"),
        };
        String::from_utf8(exchange.body.to_vec()).expect("UTF-8")
    }

    fn text(text: &str) -> Bind<'_> {
        Bind::Text(Cow::Borrowed(text))
    }

    #[test]
    fn values_json_can_not_carry() {
        let binds = vec![
            Bind::Binary(Cow::Borrowed(&[0, 255])),
            text("x'41'"),
            text(" X'4' "),
            Bind::Real(f64::NEG_INFINITY),
            Bind::Real(f64::NAN),
            Bind::Real(1.0),
            Bind::Integer(i64::MIN),
            Bind::Null,
        ];
        assert_eq!(
            sent("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", binds),
            r#"[["INSERT INTO t VALUES (unhex(?), substr(?,2), ?, (?*10), ?, ?, ?, ?)","00FF","_x'41'"," X'4' ",-1.7976931348623157e+308,null,1.0,-9223372036854775808,null]]"#
        );
    }

    #[test]
    fn a_rendered_batch_is_one_atomic_request() {
        let script = "BEGIN;\nINSERT INTO t (a) VALUES (?1) ON CONFLICT DO UPDATE SET b = ?3;\n\
                      INSERT INTO t (a, b) VALUES (?2, 1) ON CONFLICT DO UPDATE SET b = ?3;\nCOMMIT;\n";
        let binds = vec![
            Bind::Integer(1),
            Bind::Binary(Cow::Borrowed(&[2])),
            Bind::Integer(3),
        ];
        assert_eq!(
            sent(script, binds),
            r#"[["INSERT INTO t (a) VALUES (?) ON CONFLICT DO UPDATE SET b = ?",1,3],["INSERT INTO t (a, b) VALUES (unhex(?), 1) ON CONFLICT DO UPDATE SET b = ?","02",3]]"#
        );
    }

    #[test]
    fn several_statements_with_returning_are_guarded() {
        let script = "BEGIN; INSERT INTO \"t\" (a) VALUES (1), (2) RETURNING a; \
                      INSERT INTO \"t\" DEFAULT VALUES RETURNING a; COMMIT";
        let Ok(Plan::Write(batch)) = Plan::new(
            script,
            Vec::new(),
            Some(&[RqliteType::Long]),
            Place::Alone,
            &mut Fixed,
        ) else {
            panic!("no writes");
        };
        let batch = batch.alone().expect("can be guarded");
        let sqls: Vec<_> = batch.statements.iter().map(|write| &*write.sql).collect();
        assert_eq!(
            sqls,
            [
                "DELETE FROM \"t\" WHERE 0",
                "INSERT INTO \"t\" (a) VALUES (1), (2) RETURNING CASE typeof(a) WHEN 'real' THEN CASE WHEN CAST(a AS INTEGER) = a THEN CAST(a AS INTEGER) WHEN abs(a) = 9e999 THEN a || '' ELSE a END ELSE +a END",
                "SELECT CASE WHEN changes() = 2 THEN 1 ELSE json_extract('{}', 'rows') END",
                "DELETE FROM \"t\" WHERE 0",
                "INSERT INTO \"t\" DEFAULT VALUES RETURNING CASE typeof(a) WHEN 'real' THEN CASE WHEN CAST(a AS INTEGER) = a THEN CAST(a AS INTEGER) WHEN abs(a) = 9e999 THEN a || '' ELSE a END ELSE +a END",
                "SELECT CASE WHEN changes() = 1 THEN 1 ELSE json_extract('{}', 'rows') END",
            ]
        );
        let skipping = "BEGIN; INSERT OR IGNORE INTO t (a) VALUES (1) RETURNING a; INSERT INTO t DEFAULT VALUES; COMMIT";
        let Ok(Plan::Write(batch)) = plan(skipping, Vec::new()) else {
            panic!("no writes");
        };
        assert_eq!(batch.alone(), Err(SqlError::NotAtomic));
    }

    #[test]
    fn placeholders_are_counted_as_sqlite_does() {
        let count = |sql: &str| {
            let found = statements(sql).expect("scans");
            placeholders(&found[0])
        };
        assert_eq!(count("SELECT ?, ?"), Ok(2));
        assert_eq!(count("SELECT ?2, ?1, ?2"), Ok(2));
        assert_eq!(count("SELECT ?5, ?"), Ok(6));
        assert_eq!(count("SELECT :a, :b, :a, @a"), Ok(3));
        assert_eq!(count("SELECT '?', \"?\", 1 -- ?"), Ok(0));
        for sql in ["SELECT ?0", "SELECT ?99999999999999999999999"] {
            assert_eq!(count(sql), Err(SqlError::PlaceholderNumber));
        }
        assert_eq!(
            plan("INSERT INTO t VALUES (?, ?)", vec![Bind::Null]),
            Err(SqlError::Placeholders {
                wanted: 2,
                given: 1
            })
        );
    }

    #[test]
    fn what_must_not_leave_the_client() {
        let refused = |sql| plan(sql, Vec::new()).expect_err(sql);
        assert_eq!(refused(""), SqlError::Empty);
        assert_eq!(refused(" ; -- c\n;"), SqlError::Empty);
        assert_eq!(refused("SELECT 1; SELECT 2"), SqlError::Several);
        assert!(matches!(refused("BEGIN"), SqlError::TransactionControl(_)));
        assert!(matches!(
            refused("/**/ RELEASE x"),
            SqlError::TransactionControl(_)
        ));
        assert!(matches!(refused("ATTACH 'a' AS b"), SqlError::Refused(..)));
        assert!(matches!(
            refused("PRAGMA main.journal_mode=DELETE"),
            SqlError::Refused(..)
        ));
        assert_eq!(refused("SELECT '\0'"), SqlError::Nul);
        assert_eq!(
            Batch::script(&[], false, Place::Alone, &mut Fixed),
            Ok(Batch {
                statements: Vec::new(),
                atomic: false
            })
        );
    }

    /// Random texts of SQL's own pieces: whatever they are, they are refused or sent, without a panic.
    #[test]
    fn no_text_panics() {
        const PIECES: [&str; 56] = [
            "SELECT",
            "INSERT INTO",
            "t",
            "VALUES",
            "(",
            ")",
            ",",
            ";",
            "?",
            "?1",
            "?0",
            "?99999999999999999999",
            ":a",
            "'",
            "\"",
            "`",
            "[",
            "]",
            "--",
            "\n",
            "/*",
            "*/",
            "RETURNING",
            "*",
            "x'41'",
            "1",
            ".",
            "e+",
            "WITH",
            "AS",
            "ON CONFLICT",
            "DO NOTHING",
            "WHERE",
            "BEGIN",
            "COMMIT",
            "CREATE TRIGGER",
            "END",
            "CASE",
            "random(",
            "randomblob(",
            "datetime(",
            "'now'",
            "strftime(",
            "CURRENT_TIMESTAMP",
            "ORDER BY",
            "LIMIT",
            "UNION",
            "ß",
            "🦀",
            "EXPLAIN",
            "PRAGMA",
            "UPDATE",
            "DELETE FROM",
            "DEFAULT VALUES",
            "\0",
            " ",
        ];
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or_default() % below
        };
        let types = [RqliteType::Text, RqliteType::Binary, RqliteType::Double];
        for _ in 0..20_000 {
            let mut sql = String::new();
            for _ in 0..next(14) {
                sql.push_str(PIECES[next(PIECES.len())]);
                if next(3) > 0 {
                    sql.push(' ');
                }
            }
            let binds = vec![Bind::Binary(Cow::Borrowed(&[1])); next(3)];
            let place = [Place::Alone, Place::Transaction][next(2)];
            if let Ok(found) = statements(&sql) {
                let _ = Batch::script(&found, false, place, &mut Fixed);
            }
            let types = (next(2) == 0).then_some(&types[..next(4)]);
            if let Ok(Plan::Read(read)) = Plan::new(&sql, binds, types, place, &mut Fixed) {
                let _ = read.exact(types);
                let _ = read.in_transaction(&Fixed, 2).rows(TextCell::Counted);
            }
        }
    }

    #[test]
    fn a_bound_now_is_pinned() {
        assert_eq!(
            sent(
                "UPDATE t SET a = datetime(?, ?), b = ?",
                vec![text("NOW"), text("+1 day"), text("now")]
            ),
            r#"[["UPDATE t SET a = datetime(?, ?), b = ?","1970-01-01 00:00:00.000","+1 day","now"]]"#
        );
    }
}
