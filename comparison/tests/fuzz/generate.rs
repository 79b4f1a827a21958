//! Random programs.

use super::program::{Bound, Dsl, End, Operation, Program, Query, Step};
use super::random::Random;

const NAMES: [&str; 9] = ["a", "A", "b", "c", "é", "", "x'41'", "now", "a\0b"];
const REALS: [f64; 11] = [
    0.5,
    1.0,
    -0.0,
    0.1,
    1e300,
    -1e-300,
    5e-324,
    9_007_199_254_740_993.0,
    9.3e18,
    f64::INFINITY,
    -2.75,
];
const INTEGERS: [i64; 8] = [
    0,
    1,
    -1,
    1 << 53,
    (1 << 53) + 1,
    i64::MAX,
    i64::MIN,
    1_000_000,
];
const BLOBS: [&[u8]; 4] = [b"", b"\x00\xff", b"A", b"\xff\xfe\xc3"];

/// Text that is not from a placeholder, with its value behind it.
struct Builder<'r> {
    random: &'r mut Random,
    binds: Vec<Bound>,
}

impl Builder<'_> {
    fn key(&mut self) -> &'static str {
        let key = 1 + self.random.below(7) as i64;
        self.bind(Bound::Integer(key))
    }

    fn small(&mut self) -> &'static str {
        const SMALL: [i64; 9] = [0, 1, 2, 3, 5, 7, 13, 40, 60];
        let small = *self.random.pick(&SMALL);
        self.bind(Bound::Integer(small))
    }

    fn name(&mut self) -> &'static str {
        match self.random.one_in(8) {
            true => self.bind(Bound::Null),
            false => {
                let name = *self.random.pick(&NAMES);
                self.bind(Bound::Text(name))
            }
        }
    }

    fn any(&mut self) -> &'static str {
        let bound = match self.random.below(6) {
            0 => Bound::Null,
            1 => Bound::Integer(*self.random.pick(&INTEGERS)),
            2 => Bound::Real(*self.random.pick(&REALS)),
            3 => return self.name(),
            4 => {
                let blob = *self.random.pick(&BLOBS);
                Bound::Blob(blob)
            }
            _ => return "CAST(x'ff41' AS TEXT)",
        };
        self.bind(bound)
    }

    fn bind(&mut self, bound: Bound) -> &'static str {
        self.binds.push(bound);
        "?"
    }

    /// `{k}`: a key, `{s}`: a small number, `{n}`: a name, `{v}`: any value.
    fn fill(&mut self, template: &str) -> String {
        let mut sql = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            sql.push_str(&rest[..at]);
            sql.push_str(match &rest[at..at + 3] {
                "{k}" => self.key(),
                "{s}" => self.small(),
                "{n}" => self.name(),
                _ => self.any(),
            });
            rest = &rest[at + 3..];
        }
        sql.push_str(rest);
        sql
    }
}

fn query(random: &mut Random, template: &str) -> Query {
    let mut builder = Builder {
        random,
        binds: Vec::new(),
    };
    let sql = builder.fill(template);
    Query {
        sql,
        reference: None,
        binds: builder.binds,
    }
}

/// Reads in any order.
const READS: [&str; 30] = [
    "SELECT id, name, n, v FROM t WHERE id = {k}",
    "SELECT id, name, n, v FROM t WHERE id = {k}",
    "SELECT * FROM t WHERE id = {k}",
    "SELECT * FROM t WHERE n > {s}",
    "SELECT * FROM t -- all",
    "SELECT count(*), sum(n), min(n), max(n), avg(n) FROM t",
    "SELECT count(*) AS number FROM u WHERE t_id = {k}",
    "SELECT t.name, u.w FROM t JOIN u ON u.t_id = t.id",
    "SELECT t.name AS \"the \"\"name\"\"\", u.w w FROM t LEFT JOIN u ON u.t_id = t.id WHERE t.n < {s}",
    "SELECT name COLLATE BINARY AS name FROM t UNION SELECT a FROM k",
    "SELECT id FROM t EXCEPT SELECT t_id FROM u",
    "SELECT name FROM t UNION ALL SELECT w FROM u",
    "SELECT id FROM t WHERE id IN (SELECT t_id FROM u)",
    "SELECT name, (SELECT count(*) FROM u WHERE u.t_id = t.id) FROM t",
    "WITH c AS (SELECT n, count(*) AS q FROM t GROUP BY n) SELECT q, n FROM c WHERE q >= {s}",
    "SELECT n, count(*) FROM t GROUP BY n HAVING count(*) > 1",
    "SELECT DISTINCT n FROM t",
    "SELECT * FROM k WHERE a = {n} AND b = {k}",
    "SELECT c FROM k WHERE b = {k} AND a = {n}",
    "SELECT * FROM k",
    "SELECT * FROM s",
    "SELECT what, m FROM log",
    "SELECT * FROM vw",
    "SELECT typeof(v), v, v IS NULL FROM t",
    "SELECT EXISTS (SELECT 1 FROM t WHERE name = {n})",
    "SELECT id, row_number() OVER (ORDER BY id) FROM t",
    "SELECT group_concat(name, ',') FROM (SELECT name FROM t ORDER BY id)",
    "VALUES ({v}, {v}), ({v}, 1)",
    "SELECT {v} AS a, {v} AS b, {n} || 'x' AS c",
    "SELECT e FROM x1",
];

/// Reads in an order, with what decides where it does not.
const ORDERED: [(&str, &str, &str); 9] = [
    ("SELECT name, n FROM t ORDER BY n", ", id", ""),
    (
        "SELECT name, n FROM t ORDER BY n DESC",
        ", id",
        " LIMIT 2 OFFSET 1",
    ),
    ("SELECT id, v FROM t", " ORDER BY id", " LIMIT 3"),
    ("SELECT n FROM t", " ORDER BY id", " LIMIT 1, 2"),
    (
        "SELECT name COLLATE BINARY AS name FROM t UNION SELECT a FROM k ORDER BY 1 DESC",
        ", 1 COLLATE BINARY",
        " LIMIT 3",
    ),
    (
        "SELECT t.id, u.id AS o, w FROM t LEFT JOIN u ON u.t_id = t.id ORDER BY t.n",
        ", 1, 2, 3 COLLATE BINARY",
        "",
    ),
    (
        "SELECT a, b, c FROM k ORDER BY b",
        ", 1 COLLATE BINARY, 2, 3 COLLATE BINARY",
        " LIMIT 4",
    ),
    (
        "SELECT DISTINCT w FROM u ORDER BY w COLLATE NOCASE",
        ", 1 COLLATE BINARY",
        "",
    ),
    (
        "SELECT n, count(*) AS q FROM t GROUP BY n ORDER BY q",
        ", 1, 2",
        " LIMIT 2",
    ),
];

const WRITES: [(&str, &str); 43] = [
    ("INSERT INTO t (name, n, v) VALUES ({n}, {s}, {v})", "t"),
    ("INSERT INTO t (name, n, v) VALUES ({n}, {s}, {v})", "t"),
    ("INSERT INTO t (id, name, n) VALUES ({k}, {n}, {s})", "t"),
    ("INSERT INTO t (name, n) VALUES ({n}, {s}), ({n}, {s})", "t"),
    (
        "INSERT INTO t (id, name, v) VALUES ({k}, {n}, {v}), ({k}, {n}, {v}), ({k}, {n}, {v})",
        "t",
    ),
    (
        "INSERT OR IGNORE INTO t (id, name, n) VALUES ({k}, {n}, {s}), ({k}, {n}, {s})",
        "t",
    ),
    (
        "INSERT OR REPLACE INTO t (id, name, n) VALUES ({k}, {n}, {s})",
        "t",
    ),
    ("REPLACE INTO t (name, n) VALUES ({n}, {s})", "t"),
    (
        "INSERT INTO t (name, n) VALUES ({n}, {s}) ON CONFLICT (name) DO UPDATE SET n = excluded.n + 1",
        "t",
    ),
    (
        "INSERT INTO t (name, n) VALUES ({n}, {s}) ON CONFLICT (name) DO UPDATE SET n = 3 WHERE t.n > {s}",
        "t",
    ),
    (
        "INSERT INTO t (id, name) VALUES ({k}, {n}) ON CONFLICT DO NOTHING",
        "t",
    ),
    ("INSERT INTO t DEFAULT VALUES", "t"),
    ("INSERT INTO t (name, n) SELECT w, id FROM u", "t"),
    (
        "INSERT INTO t (name, n) SELECT a || b, 4 FROM k WHERE b < {s}",
        "t",
    ),
    (
        "WITH c AS (SELECT max(id) AS top FROM t) INSERT INTO t (name, n) SELECT 'top' || top, 1 FROM c",
        "t",
    ),
    ("INSERT INTO u (t_id, w) VALUES ({k}, {n})", "u"),
    ("INSERT INTO u (t_id, w) VALUES ({k}, {n}), ({k}, 'z')", "u"),
    ("INSERT INTO u DEFAULT VALUES", "u"),
    ("INSERT INTO u (t_id) SELECT id FROM t WHERE n < {s}", "u"),
    ("INSERT INTO k VALUES ({n}, {k}, {v})", "k"),
    ("INSERT INTO k VALUES ({n}, {k}, {v}), ({n}, {k}, {v})", "k"),
    (
        "INSERT INTO k VALUES ({n}, {k}, {s}) ON CONFLICT (a, b) DO UPDATE SET c = c + 1",
        "k",
    ),
    ("INSERT INTO s (i, r) VALUES ({s}, {s})", "s"),
    // A REAL as text is another one with each version of SQLite.
    ("INSERT INTO s VALUES ({k}, {v}, {v}, {n}, {v}, {v})", "s"),
    ("INSERT INTO vw (name) VALUES ({n})", ""),
    ("INSERT INTO log (what, m) VALUES ({v}, {v})", "log"),
    ("INSERT INTO x1 (e) VALUES ({v})", "x1"),
    ("UPDATE t SET n = n + 1 WHERE id = {k}", "t"),
    ("UPDATE t SET n = n + 1 WHERE id = {k}", "t"),
    ("UPDATE t SET name = {n} WHERE id = {k}", "t"),
    ("UPDATE t SET id = {k} WHERE id = {k}", "t"),
    ("UPDATE t SET n = n * 2 WHERE n > {s}", "t"),
    ("UPDATE OR IGNORE t SET name = {n} WHERE n > {s}", "t"),
    ("UPDATE OR REPLACE t SET name = {n} WHERE id = {k}", "t"),
    (
        "UPDATE t SET n = (SELECT count(*) FROM u WHERE t_id = t.id), v = {v}",
        "t",
    ),
    ("UPDATE u SET t_id = {k} WHERE id = {k}", "u"),
    ("UPDATE k SET c = {v} WHERE a = {n} AND b = {k}", "k"),
    ("UPDATE k SET b = b + 1", "k"),
    ("DELETE FROM t WHERE id = {k}", "t"),
    ("DELETE FROM t WHERE id = {k}", "t"),
    ("DELETE FROM t WHERE n < {s}", "t"),
    ("DELETE FROM k WHERE a = {n} AND b = {k}", "k"),
    ("DELETE FROM u", "u"),
];

const SCRIPTS: [&str; 17] = [
    "CREATE TABLE x1 (id INTEGER PRIMARY KEY, e)",
    "CREATE TABLE x1 (id INTEGER PRIMARY KEY, e); INSERT INTO x1 (e) VALUES (1), ('two')",
    "CREATE TABLE IF NOT EXISTS x1 AS SELECT id, n AS e FROM t",
    "DROP TABLE x1",
    "DROP TABLE IF EXISTS x1",
    "ALTER TABLE t ADD COLUMN e DEFAULT 5",
    "ALTER TABLE u RENAME COLUMN w TO ww",
    "CREATE INDEX i1 ON t (n)",
    "CREATE UNIQUE INDEX i2 ON u (t_id)",
    "DROP INDEX i1",
    "CREATE TRIGGER late AFTER INSERT ON u BEGIN UPDATE t SET n = n + 1 WHERE id = new.t_id; END",
    "UPDATE t SET n = n + 1; DELETE FROM u WHERE id = 2; SELECT 1",
    "INSERT INTO t (name) VALUES ('script'); INSERT INTO log (what, m) VALUES ('script', 1)",
    "INSERT INTO t (name) VALUES (NULL); INSERT INTO u (t_id) VALUES (last_insert_rowid())",
    "PRAGMA defer_foreign_keys = ON",
    "DELETE FROM t",
    "-- nothing",
];

const TRIGGERS: [&str; 8] = [
    "CREATE TRIGGER a1 AFTER INSERT ON t BEGIN INSERT INTO log (what, m) VALUES (new.name, new.id); END;",
    "CREATE TRIGGER b1 BEFORE INSERT ON t WHEN new.n = 7 BEGIN SELECT RAISE(IGNORE); END;",
    "CREATE TRIGGER b2 BEFORE INSERT ON t WHEN new.n = 13 BEGIN SELECT RAISE(ABORT, 'thirteen'); END;",
    "CREATE TRIGGER b3 BEFORE UPDATE ON t WHEN new.n = 14 BEGIN SELECT RAISE(ABORT, 'fourteen'); END;",
    "CREATE TRIGGER a2 AFTER DELETE ON t BEGIN UPDATE k SET c = 'gone'; END;",
    "CREATE TRIGGER a3 AFTER UPDATE OF n ON t BEGIN INSERT INTO log (what, m) VALUES (old.n, new.n); END;",
    "CREATE TRIGGER a4 AFTER INSERT ON t BEGIN INSERT INTO log (what, m) VALUES ('no', nullif(new.n, 5)); END;",
    "CREATE TRIGGER b4 BEFORE DELETE ON t WHEN old.n = 3 BEGIN SELECT RAISE(IGNORE); END;",
];

fn schema(random: &mut Random) -> String {
    let mut sql = format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY{}, name TEXT {}{}, n INTEGER {}{}, v);",
        random.pick(&["", " AUTOINCREMENT"]),
        random.pick(&[
            "UNIQUE",
            "UNIQUE COLLATE NOCASE",
            "UNIQUE ON CONFLICT REPLACE"
        ]),
        random.pick(&["", " NOT NULL DEFAULT 'none'"]),
        random.pick(&["", "NOT NULL DEFAULT 2 "]),
        random.pick(&["", "CHECK (n < 50)"]),
    );
    sql.push_str(&format!(
        "CREATE TABLE u (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t{}{}, w TEXT DEFAULT 'w');",
        random.pick(&["", " ON DELETE CASCADE", " ON DELETE CASCADE ON UPDATE CASCADE", " ON DELETE SET NULL"]),
        random.pick(&["", " DEFERRABLE INITIALLY DEFERRED"]),
    ));
    sql.push_str(&format!(
        "CREATE TABLE k (a TEXT{}, b INTEGER, c, PRIMARY KEY (a, b)) WITHOUT ROWID;",
        random.pick(&["", " COLLATE NOCASE"]),
    ));
    sql.push_str(
        "CREATE TABLE s (id INTEGER PRIMARY KEY, i INT, r REAL, x TEXT, z BLOB, y ANY) STRICT;\
         CREATE TABLE log (id INTEGER PRIMARY KEY, what, m NOT NULL);\
         CREATE VIEW vw AS SELECT t.id, t.name, u.id AS u FROM t LEFT JOIN u ON u.t_id = t.id;\
         CREATE TRIGGER vi INSTEAD OF INSERT ON vw BEGIN INSERT INTO t (name) VALUES (new.name); END;",
    );
    for trigger in TRIGGERS {
        if random.one_in(4) {
            sql.push_str(trigger);
        }
    }
    sql
}

fn rows(random: &mut Random) -> Vec<Query> {
    const ROWS: [&str; 5] = [
        "INSERT OR IGNORE INTO t (id, name, n, v) VALUES ({k}, {n}, {s}, {v})",
        "INSERT OR IGNORE INTO t (id, name, n, v) VALUES ({k}, {n}, {s}, {v})",
        "INSERT INTO u (t_id, w) SELECT id, 'w' FROM t",
        "INSERT OR IGNORE INTO k VALUES ({n}, {k}, {v})",
        "INSERT OR IGNORE INTO s VALUES ({k}, {s}, {s}, {n}, NULL, {v})",
    ];
    let number = random.below(10);
    (0..number)
        .map(|_| {
            let template = *random.pick(&ROWS);
            query(random, template)
        })
        .collect()
}

fn read(random: &mut Random) -> Operation {
    if random.one_in(4) {
        let (text, decides, limit) = *random.pick(&ORDERED);
        let limit = if decides.starts_with(" ORDER") || random.one_in(2) {
            limit
        } else {
            ""
        };
        let mut query = query(random, &format!("{text}{limit}"));
        query.reference = Some(format!("{text}{decides}{limit}"));
        return Operation::Load(query, true);
    }
    let template = *random.pick(&READS);
    Operation::Load(query(random, template), false)
}

fn returning(random: &mut Random, table: &str) -> &'static str {
    match (table, random.below(3)) {
        ("t", 0) => " RETURNING id, name, n",
        ("t", 1) => " RETURNING n + 1 AS m, v, length(name)",
        ("t", _) => " RETURNING v, t.name",
        ("u", _) => " RETURNING id, t_id",
        ("k", 0) => " RETURNING a, b, c",
        ("k", _) => " RETURNING c",
        ("s", _) => " RETURNING i, r, x, z, y",
        ("log", _) => " RETURNING id, what, m",
        _ => "",
    }
}

fn write(random: &mut Random) -> Operation {
    let (template, table) = *random.pick(&WRITES);
    // Servers before 9 don't understand RETURNING behind a subquery.
    if random.one_in(4) && !template.contains("(SELECT") {
        let returning = returning(random, table);
        if !returning.is_empty() {
            let text = format!("{template}{returning}");
            return Operation::Load(query(random, &text), false);
        }
    }
    Operation::Execute(query(random, template))
}

fn dsl(random: &mut Random) -> Dsl {
    let key = |random: &mut Random| 1 + random.below(7) as i64;
    let some_key = |random: &mut Random| match random.one_in(2) {
        true => None,
        false => Some(1 + random.below(9) as i64),
    };
    let name = |random: &mut Random| *random.pick(&NAMES);
    let some_name = |random: &mut Random| match random.one_in(3) {
        true => None,
        false => Some(*random.pick(&NAMES)),
    };
    let small = |random: &mut Random| random.below(15) as i64;
    let many = |random: &mut Random| {
        let number = random.below(4);
        (0..number)
            .map(|_| (some_key(random), some_name(random)))
            .collect()
    };
    match random.below(14) {
        0 | 1 => Dsl::Find(key(random)),
        2 => Dsl::ByName(name(random)),
        3 => Dsl::Insert(some_name(random), Some(small(random))),
        4 => Dsl::InsertReturning(some_key(random), some_name(random)),
        5 => Dsl::InsertMany(many(random)),
        6 => Dsl::InsertManyReturning(many(random)),
        7 => Dsl::Upsert(name(random), small(random)),
        8 => Dsl::Update(key(random), small(random)),
        9 => Dsl::UpdateReturning(key(random), small(random)),
        10 => Dsl::Delete(key(random)),
        11 => Dsl::DeleteReturning(key(random)),
        12 => Dsl::Count,
        _ => Dsl::Page(key(random), small(random) % 3),
    }
}

fn end(random: &mut Random) -> End {
    *random.pick(&[End::Commit, End::Commit, End::RollBack])
}

/// Operations one after the other; `open`: how many transactions they are in.
fn steps(random: &mut Random, open: usize, number: usize, catch: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..number {
        let operation = match random.below(20) {
            0..=6 => read(random),
            7..=12 => write(random),
            13..=15 => Operation::Dsl(dsl(random)),
            16 if random.one_in(2) => Operation::Script((*random.pick(&SCRIPTS)).to_owned()),
            17 | 18 if open < 4 => nested(random, open, catch),
            _ => Operation::Counter,
        };
        let returns_error = !catch && random.one_in(4);
        steps.push(Step {
            operation,
            returns_error,
        });
    }
    steps
}

fn nested(random: &mut Random, open: usize, catch: bool) -> Operation {
    let number = 1 + random.below(5);
    let ends = end(random);
    if random.one_in(3) {
        // An error must not leave it open.
        let inside = steps(random, open + 1, number, true);
        let number = random.below(3);
        let behind = steps(random, open + 1, number, true);
        return Operation::Savepoint(format!("sp{open}"), inside, ends, behind);
    }
    Operation::Nested(steps(random, open + 1, number, catch), ends)
}

/// The case of a seed.
pub fn program(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let schema = schema(&mut random);
    let rows = rows(&mut random);
    let number = 2 + random.below(12);
    let catch = random.one_in(2);
    let steps = steps(&mut random, 1, number, catch);
    let end = if random.one_in(8) {
        End::RollBack
    } else {
        End::Commit
    };
    Program {
        schema,
        rows,
        steps,
        end,
    }
}
