//! The plan for a query: nothing, a read, or writes.
//!
//! [`Plan::new`] is for a query, which is one statement or a batch insert that Diesel rendered as several.
//! [`Batch::script`] is for the statements of `batch_execute`. Both do the same in this order: refuse what must not
//! leave the client, assign the values to the statements, replace volatile values, and write the texts. Nothing is
//! sent, and nothing outside of the arguments is changed, except that `entropy` may be read.
//!
//! A [`Batch`] for a transaction is taken apart by `session::write`, statement by statement. One that runs alone
//! passes [`Batch::alone`] first, which adds what older servers need to be atomic.

use diesel_rqlite_sql::{Entropy, Form, InsertRows, Parsed, Setting, SqlError, check_temporary};

use super::writer::Values;
use super::{Check, Place, Query, Read, Statement, Wanted};
use crate::bind_collector::Bind;
use crate::error;

/// The plan for a query.
///
/// The statements in a plan passed all checks. What can still fail is the server, or a check that depends on the
/// session.
#[derive(Debug, PartialEq)]
pub(crate) enum Plan<'a> {
    /// An insert of no rows.
    Nothing,
    /// A PRAGMA that needs no server, or only the knowledge of how it was started.
    Set(Setting),
    Read(Box<Read<'a>>),
    Write(Batch<'a>),
}

/// Writes that are one request.
///
/// Besides the user's statements it may have checks (`Statement::check`), each directly before or behind the statement
/// that it belongs to.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    /// Set if all or none of the statements are to be applied. A single statement is atomic by itself, unless it says
    /// `OR FAIL`.
    pub(crate) atomic: bool,
}

impl<'a> Plan<'a> {
    /// Decides what to send for one query.
    ///
    /// Fails in these cases, before anything is sent:
    ///
    /// * The text is empty, or has several statements without `BEGIN` and `COMMIT` around them.
    /// * A statement must not be sent.
    /// * The number of values is not what the placeholders need.
    /// * A volatile value of a write can't be replaced.
    pub(crate) fn new(
        query: Query<'a>,
        binds: Vec<Bind<'a>>,
        wanted: Wanted<'_>,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        if query.is_nothing {
            return Ok(Plan::Nothing);
        }
        for parsed in &query.found {
            parsed.check()?;
        }
        let mut found = query.found;
        if let [parsed] = &found[..]
            && let Some(setting) = parsed.setting()
        {
            return Ok(Plan::Set(setting));
        }
        match &found[..] {
            // A batch of rows that Diesel rendered as several statements.
            found if query.is_framed => {
                if found.iter().any(|parsed| parsed.form() == Form::Explain) {
                    let what = "EXPLAIN of a batch that is several statements".to_owned();
                    return Err(SqlError::Refused(what, "explain the insert of one row"));
                }
            }
            [] => return Err(SqlError::Empty),
            [parsed] if is_read(parsed) => {
                let parsed = found.remove(0);
                check_connection_functions(std::slice::from_ref(&parsed), place)?;
                let read = Read::new(parsed, query.facts, binds, query.learnt)?;
                return Ok(Plan::Read(Box::new(read)));
            }
            [_] => {}
            _ => return Err(SqlError::Several),
        }
        Batch::of(&found, query.is_framed, binds, wanted, place, entropy)
            .map(Plan::Write)
            // Line numbers in a rendered batch mean nothing to the user.
            .map_err(SqlError::bare)
    }
}

impl<'a> Batch<'a> {
    /// Creates a batch from any number of statements. They run for their effects, and return no rows.
    ///
    /// Fails for the same reasons as [`Plan::new`], except that there may be any number of statements, also none.
    /// Errors have the position of the statement. There are no values, so a placeholder is an error. Statements that
    /// only read are sent like the others.
    pub(crate) fn script(
        found: &[Parsed<'a>],
        framed: bool,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        for parsed in found {
            parsed
                .check()
                .map_err(|error| error.at(parsed.position()))?;
        }
        let mut batch = Batch::of(found, framed, Vec::new(), Wanted::Count, place, entropy)?;
        let mut positions = found.iter().map(Parsed::position).peekable();
        for statement in &mut batch.statements {
            statement.position = positions.peek().copied();
            if statement.check.is_none() {
                positions.next();
            }
        }
        Ok(batch)
    }

    /// Returns whether it means the same in a request with other writes, and is small enough: one statement that
    /// inserts, updates or deletes, and returns no rows.
    ///
    /// The size bounds what one caller adds to the request of others.
    pub(crate) fn may_be_coalesced(&self) -> bool {
        const LARGE: usize = 32 << 10;
        match &self.statements[..] {
            [write] => write.counted && !write.returning && write.size() <= LARGE,
            _ => false,
        }
    }

    /// Returns the batch in the form in which it is sent outside of a transaction.
    ///
    /// Must be called once only, since it adds statements. Fails if several writes with RETURNING can't be made atomic.
    pub(crate) fn alone(mut self) -> Result<Self, SqlError> {
        self.statements = guarded(self.statements)?;
        Ok(self)
    }

    /// Returns which of the user's statements one of these is, counted from 1, and their number.
    ///
    /// Checks are not counted. The number of a check is that of the statement that it belongs to.
    pub(crate) fn number_of(&self, place: usize) -> (usize, usize) {
        let own = |statements: &[Statement<'_>]| {
            let own = statements
                .iter()
                .filter(|statement| statement.check.is_none());
            own.count()
        };
        let before = own(&self.statements[..place.min(self.statements.len())]);
        let check = self.statements.get(place).and_then(|failed| failed.check);
        let number = match check {
            Some(Check::OfPrevious) => before,
            Some(Check::OfNext) | None => before + 1,
        };
        (number, own(&self.statements))
    }

    /// Returns the error for one of the statements.
    ///
    /// `place` counts from 0 and includes the checks, as the answer of the server does.
    pub(crate) fn failed_at(&self, place: usize, message: &str) -> diesel::result::Error {
        let failed = self.statements.get(place);
        let (number, all) = self.number_of(place);
        let position = failed.and_then(|failed| failed.position);
        error::error_at(message, error::Place::among(number, all, position))
    }

    /// Creates a batch of all these statements, in order. If RETURNING is cut off from one that runs alone, a check of
    /// the clause precedes it. `atomic` is set if there is more than one statement.
    fn of(
        found: &[Parsed<'a>],
        framed: bool,
        binds: Vec<Bind<'a>>,
        wanted: Wanted<'_>,
        place: Place,
        entropy: &mut impl Entropy,
    ) -> Result<Self, SqlError> {
        if place == Place::Transaction {
            for parsed in found {
                parsed
                    .check_in_transaction()
                    .map_err(|error| error.at(parsed.position()))?;
            }
        }
        check_connection_functions(found, place)?;
        check_temporary(found)?;
        let values = values_of(found, binds)?;
        let mut statements = Vec::with_capacity(found.len());
        for (parsed, values) in found.iter().zip(values) {
            let is_cut = matches!(wanted, Wanted::Count) && parsed.returns();
            if is_cut && place == Place::Alone {
                statements.extend(Statement::check_of_returning(parsed));
            }
            let statement = Statement::of(parsed, values, wanted, place, entropy);
            statements.push(statement.map_err(|error| error.at(parsed.position()))?);
        }
        Ok(Batch {
            atomic: framed || statements.len() > 1,
            statements,
        })
    }
}

/// Returns the values of each statement. Those of a script are numbered throughout.
///
/// Fails unless there are exactly as many values as the greatest number among the placeholders.
fn values_of<'a>(found: &[Parsed<'_>], binds: Vec<Bind<'a>>) -> Result<Vec<Values<'a>>, SqlError> {
    if let [parsed] = found {
        let values = Values::of(parsed, binds);
        return Ok(vec![values.map_err(|error| error.at(parsed.position()))?]);
    }
    let mut wanted = 0;
    for parsed in found {
        wanted = wanted.max(parsed.numbers()?.into_iter().max().unwrap_or(0));
    }
    if wanted != binds.len() {
        let given = binds.len();
        return Err(SqlError::Placeholders { wanted, given });
    }
    found
        .iter()
        .map(|parsed| Values::of_script(parsed, &binds))
        .collect()
}

/// Fails if a statement asks for what the connection did last without a write before it. The server knows that only
/// after a write of the same request; otherwise it answers for another client. In a transaction, the journal knows what
/// precedes the statement.
fn check_connection_functions(found: &[Parsed<'_>], place: Place) -> Result<(), SqlError> {
    if place == Place::Transaction {
        return Ok(());
    }
    let mut written = false;
    for parsed in found {
        if let Some(function) = parsed.connection_function().filter(|_| !written) {
            return Err(SqlError::OfConnection(function).at(parsed.position()));
        }
        written |= parsed.form().writes_rows();
    }
    Ok(())
}

/// Returns whether it is sent as a read. EXPLAIN is, whatever it explains. Statements without an effect on rows, such
/// as CREATE, are not.
fn is_read(parsed: &Parsed<'_>) -> bool {
    match parsed.form() {
        Form::Select | Form::Explain => true,
        // The setting must be made on the connection for writes.
        Form::Pragma => !parsed.pragma_writes(),
        _ => false,
    }
}

/// Adds guards where several statements run and one has RETURNING. Servers before 9.4.2 commit the rest of a
/// `?transaction` when a RETURNING statement in it fails. There, a count of its rows after it fails instead. A DELETE
/// of nothing before it resets the count to 0.
///
/// The guard after each such INSERT compares `changes()` with the number of rows in its text. Without that number there
/// is no guard, and the batch is refused with `SqlError::NotAtomic`. A single write needs none.
fn guarded(writes: Vec<Statement<'_>>) -> Result<Vec<Statement<'_>>, SqlError> {
    if writes.len() < 2 || !writes.iter().any(|write| write.returning) {
        return Ok(writes);
    }
    let mut guarded = Vec::with_capacity(3 * writes.len());
    for write in writes {
        match (write.insert_rows, &write.table) {
            (InsertRows::Exactly(rows), Some(table)) if write.returning => {
                let mut reset = Statement::raw(format!("DELETE FROM {table} WHERE 0"));
                reset.check = Some(Check::OfNext);
                let mut guard = Statement::raw(format!(
                    "SELECT CASE WHEN changes() = {rows} THEN 1 ELSE json_extract('{{}}', 'rows') END"
                ));
                guard.check = Some(Check::OfPrevious);
                guarded.extend([reset, write, guard]);
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

    use diesel_rqlite_sql::parse;

    use super::*;
    use crate::backend::RqliteType;
    use crate::sql::cells::TextCell;
    use crate::statement::execute;

    struct Fixed;

    impl Entropy for Fixed {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn random(&mut self) -> Result<u64, SqlError> {
            Ok(7)
        }
    }

    fn plan<'a>(sql: &'a str, binds: Vec<Bind<'a>>) -> Result<Plan<'a>, SqlError> {
        let wanted = Wanted::Rows(None);
        Plan::new(Query::parse(sql)?, binds, wanted, Place::Alone, &mut Fixed)
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
            Query::parse(script).expect("parses"),
            Vec::new(),
            Wanted::Rows(Some(&[RqliteType::Long])),
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
        let numbers: Vec<_> = (0..6).map(|place| batch.number_of(place)).collect();
        assert_eq!(numbers, [(1, 2), (1, 2), (1, 2), (2, 2), (2, 2), (2, 2)]);
        let skipping = "BEGIN; INSERT OR IGNORE INTO t (a) VALUES (1) RETURNING a; INSERT INTO t DEFAULT VALUES; COMMIT";
        let Ok(Plan::Write(batch)) = plan(skipping, Vec::new()) else {
            panic!("no writes");
        };
        assert_eq!(batch.alone(), Err(SqlError::NotAtomic));
    }

    #[test]
    fn each_placeholder_needs_its_value() {
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
            refused("PRAGMA main.query_only=1"),
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

    /// Builds random texts from pieces of SQL. Each is refused or sent, without a panic.
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
            if let Ok(found) = parse(&sql) {
                let _ = Batch::script(&found, false, place, &mut Fixed);
            }
            let types = (next(2) == 0).then_some(&types[..next(4)]);
            let wanted = [Wanted::Count, Wanted::Rows(types)][next(2)];
            let plan = Query::parse(&sql)
                .and_then(|query| Plan::new(query, binds, wanted, place, &mut Fixed));
            if let Ok(Plan::Read(read)) = plan {
                let _ = read.exact(types);
                let _ = read.in_transaction(&Fixed, 2, None).rows(TextCell::Counted);
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
