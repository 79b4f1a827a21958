CREATE TABLE t1 (a, b INTEGER PRIMARY KEY AUTOINCREMENT, c TEXT DEFAULT 'x;y' COLLATE NOCASE, d REAL DEFAULT -1.5e-3, e BLOB DEFAULT x'00ff')
%%
CREATE TABLE IF NOT EXISTS main.t2 (x INT NOT NULL ON CONFLICT FAIL UNIQUE, y CHECK (y <> 'a''b'), CONSTRAINT "fk" FOREIGN KEY (x) REFERENCES t1 (b) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)
%%
CREATE TABLE "select" ("from" TEXT, [where] INT, `group` REAL, 'order' BLOB, PRIMARY KEY ("from", [where])) WITHOUT ROWID
%%
CREATE TABLE strict_one (id INTEGER PRIMARY KEY, v ANY, w TEXT) STRICT
%%
CREATE TABLE both_options (id INTEGER PRIMARY KEY, v TEXT) STRICT, WITHOUT ROWID
%%
CREATE TABLE generated (a INTEGER, b INT AS (a * 2) STORED, c TEXT GENERATED ALWAYS AS (a || 'x') VIRTUAL)
%%
CREATE TABLE keywords (key, first, last, row, rows, range, of, no, by, "end", desc, asc, action, after, before, begin, cast, column, conflict, cross, current, database, do, each, exclude, explain, fail, filter, following, glob, groups, ignore, instead, isnull_, like, match, nulls, offset, others, over, partition, plan, pragma, preceding, query, raise, recursive, regexp, reindex, release, rename, replace, restrict, rollback, savepoint, temp, temporary, ties, trigger, unbounded, vacuum, view, virtual, window, with, without, "current_date", random, now)
%%
CREATE TABLE nested ("a""b" TEXT, [c d] TEXT, `e``f` TEXT, "größe 🦀" TEXT, ü TEXT, do$llar TEXT, _under TEXT)
%%
CREATE TEMP TABLE scratch AS SELECT 1 AS one, 'two' AS "two", NULL three
%%
CREATE TABLE copied AS SELECT * FROM t1 WHERE 0
%%
CREATE UNIQUE INDEX i1 ON t1 (a COLLATE BINARY DESC, c) WHERE a IS NOT NULL
%%
CREATE INDEX IF NOT EXISTS main.i2 ON t1 (lower(c), a + 1)
%%
CREATE VIEW v1 (p, q) AS SELECT a, count(*) FROM t1 GROUP BY a HAVING count(*) > 0
%%
CREATE TEMPORARY VIEW IF NOT EXISTS v2 AS WITH w AS (SELECT 1 AS n) SELECT * FROM w
%%
CREATE TABLE log (what TEXT, at INTEGER)
%%
CREATE TABLE log2 (n)
%%
CREATE TRIGGER tr1 AFTER INSERT ON t1 BEGIN INSERT INTO log VALUES ('insert;', new.b); SELECT 1; END
%%
CREATE TRIGGER IF NOT EXISTS tr2 BEFORE UPDATE OF a, c ON t1 FOR EACH ROW WHEN old.a IS NOT new.a BEGIN
  -- end;
  UPDATE log SET what = CASE WHEN old.a > 1 THEN 'big' ELSE 'small' END WHERE at = old.b;
  DELETE FROM log WHERE at < 0; /* END; */
  SELECT CASE WHEN new.a = 'never' THEN RAISE(ABORT, 'no; never') END;
END
%%
CREATE TEMP TRIGGER tr3 AFTER DELETE ON main.t1 WHEN CASE old.a WHEN 1 THEN 1 ELSE 0 END BEGIN SELECT "end" FROM keywords; INSERT INTO log SELECT 'gone', old.b; END
%%
CREATE TRIGGER tr4 INSTEAD OF INSERT ON v1 BEGIN INSERT INTO t1 (a) VALUES (new.p) ON CONFLICT DO NOTHING; END
%%
CREATE TRIGGER tr5 AFTER INSERT ON t2 BEGIN INSERT INTO log VALUES ('t2', (SELECT max(x) FROM t2)) ; END
%%
INSERT INTO t1 VALUES (1, NULL, 'one', 1.0, x'01'), (2, NULL, 'two', .5, X''), ('3', 10, 'it''s', 1e10, NULL)
%%
INSERT INTO t1 (a, c) VALUES (0x1F, '-- no comment'), (-0x10, '/* neither */'), (+1e+2, "double"), (1E-2, 'line
break'), (9223372036854775807, ';')
%%
INSERT OR IGNORE INTO t1 (b, a) VALUES (10, 'again')
%%
INSERT OR REPLACE INTO t1 (b, a) SELECT b + 100, a FROM t1 WHERE b < 3 ORDER BY b DESC LIMIT 2 OFFSET 0
%%
REPLACE INTO "select" ("from", [where], `group`, 'order') VALUES ('f', 1, 2.5, x'aB')
%%
INSERT OR IGNORE INTO t2 DEFAULT VALUES
%%
INSERT INTO t2 (x, y) VALUES (1, 'b') ON CONFLICT (x) DO UPDATE SET y = excluded.y WHERE excluded.y > t2.y
%%
INSERT INTO t2 AS q (x, y) VALUES (1, 'c') ON CONFLICT (x) WHERE x > 0 DO UPDATE SET (x, y) = (excluded.x, q.y || 'd') RETURNING x, y AS "returning"
%%
WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 5) INSERT INTO t2 (x) SELECT n + 20 FROM c RETURNING *
%%
UPDATE t1 SET a = a || 'x', c = NULL WHERE b BETWEEN 1 AND 2 OR a IN ('3', 4, NULL)
%%
UPDATE OR FAIL t1 AS u SET (a, c) = (SELECT x, y FROM t2 LIMIT 1) WHERE EXISTS (SELECT 1 FROM t2 WHERE t2.x = u.b) RETURNING b
%%
UPDATE main.t1 INDEXED BY i1 SET d = 1 WHERE a = 1 AND a IS NOT NULL
%%
UPDATE t1 NOT INDEXED SET d = s.n FROM (SELECT 1 AS n) AS s, t2 JOIN log ON 1 WHERE t1.b = s.n
%%
DELETE FROM t1 WHERE (a, b) IN (VALUES (1, 2), (3, 4)) OR a ISNULL AND b NOTNULL AND c NOT NULL
%%
DELETE FROM t2 WHERE x IN (SELECT x FROM t2 EXCEPT SELECT b FROM t1) RETURNING (x) AS x
%%
SELECT 1
%%
SELECT DISTINCT t.a, t.b AS bb, t.c "cc", t.d 'dd', t.e [ee], t1.*, * FROM t1 AS t, t1
%%
SELECT ALL count(*), count(DISTINCT a), total(b), sum(b) FILTER (WHERE b > 1), group_concat(c, ', ') FROM t1
%%
SELECT a, row_number() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE TIES), rank() OVER w FROM t1 WINDOW w AS (ORDER BY a)
%%
SELECT nth_value(a, 2) OVER (w RANGE CURRENT ROW), lag(a) OVER (ORDER BY b) FROM t1 WINDOW w AS (PARTITION BY c ORDER BY b)
%%
SELECT * FROM t1 LEFT OUTER JOIN t2 ON t1.b = t2.x NATURAL JOIN log CROSS JOIN keywords INNER JOIN nested AS n2 ON n2.ü = 1 WHERE 0
%%
SELECT * FROM (SELECT 1 AS x UNION SELECT 2 UNION ALL SELECT 3 INTERSECT SELECT 3 EXCEPT SELECT 4) ORDER BY 1 LIMIT 10, 20
%%
VALUES (1, 'a'), (2, 'b')
%%
WITH a AS MATERIALIZED (SELECT 1 AS x), b(y) AS NOT MATERIALIZED (SELECT x FROM a) SELECT * FROM a, b ORDER BY x ASC, y DESC
%%
WITH RECURSIVE cnt(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM cnt LIMIT 1000) SELECT x FROM cnt LIMIT 3
%%
WITH RECURSIVE xaxis(x) AS (VALUES(-2.0) UNION ALL SELECT x+0.05 FROM xaxis WHERE x<1.2), yaxis(y) AS (VALUES(-1.0) UNION ALL SELECT y+0.1 FROM yaxis WHERE y<1.0) SELECT count(*) FROM xaxis, yaxis
%%
SELECT CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'many' END, CASE WHEN a IS NULL THEN 0 END FROM t1
%%
SELECT CAST(a AS TEXT), CAST(a AS VARCHAR(10, 2)), CAST(x'41' AS "my type"), a COLLATE nocase FROM t1
%%
SELECT a LIKE 'x%' ESCAPE '\', a NOT LIKE 'y', a GLOB '*', a NOT GLOB '?' FROM t1
%%
SELECT a IS NULL, a IS NOT 1, a IS NOT DISTINCT FROM 2, a IS DISTINCT FROM b, a == b, a != b, a <> b, a <= b, a >= b, a << 1, a >> 1, a & 1, a | 1, ~b, -b, +b, NOT b, a % 2, a / 2, a * 2, a - -2, a || b FROM t1
%%
SELECT '{"a":[1,2]}' -> '$.a' ->> 0, '[1]'->'$[0]', json_extract('{"x":1}', '$.x')
%%
SELECT value, key FROM json_each('[1,2,3]') AS j WHERE j.value > 1
%%
SELECT * FROM pragma_table_info('t1'), sqlite_schema LIMIT 1
%%
SELECT (1, 2) = (1, 2), (SELECT 1), EXISTS (SELECT 1), NOT EXISTS (SELECT 0 WHERE 0), ((((1)))), iif(1, 2, 3)
%%
SELECT TRUE, FALSE, NULL, 0, 00, 1., .1, 1.5, 1e5, 1E+5, 1.5e-5, 0xABCDEF, 0X1f, '', "", x'', X'0aF9', CURRENT_TIME, CURRENT_DATE, CURRENT_TIMESTAMP
%%
SELECT date('now', 'start of month', '+1 month', '-1 day'), strftime('%s', 'now'), datetime(1092941466, 'unixepoch', 'localtime'), julianday('now') - julianday('1776-07-04'), unixepoch('subsec')
%%
SELECT "random"(), [random](), `random`(), random /* c */ (), random -- c
(), Random(), hex(randomblob(16)), last_insert_rowid(), changes(), total_changes(), sqlite_version()
%%
SELECT ?, ?1, ?2, :name, @name, $name, $a::b, $a::b(c), :a1, @_x, $1
%%
SELECT a FROM t1 WHERE a=?1 AND b=:b1 AND c LIKE @c||'%' AND d>$d
%%
SELECT 1 -- trailing
%%
/* leading */ SELECT /* inner */ 1 /**/ + /* -- */ 2 -- ' "
%%
-- first
-- second
SELECT '--', '/*', "*/", ';', 'a
b' /* multi
line */
%%
SELECT	1,
2, 3
%%
SELECT t1.a, main.t1.b, "t1"."c", [t1].[d], `t1`.`e`, main . t1 . a, rowid, _rowid_, oid, t1.rowid FROM main.t1
%%
SELECT key, first, last, row, rows, range, of, no, by, "end", replace, like, match, temp, view, with_, window, over, filter FROM (SELECT *, 1 AS with_ FROM keywords)
%%
SELECT replace('a', 'b', 'c'), like('a', 'b'), glob('a', 'b'), min(1, 2), max(a), abs(-1) FROM t1
%%
SELECT "a""b", [c d], `e``f`, "größe 🦀", ü, do$llar, _under FROM nested
%%
SELECT count(*) AS "count(*)", 'x' AS 'y z', 1 AS [;], 2 AS `--` FROM t1
%%
SELECT a FROM t1 ORDER BY a COLLATE NOCASE ASC NULLS FIRST, b DESC LIMIT -1 OFFSET 2
%%
SELECT a FROM t1 WHERE a IN main.log2 OR a IN (SELECT x FROM t2) OR a IN () OR a NOT IN (1)
%%
SELECT sum(a) OVER (), group_concat(a, ',') OVER (ORDER BY b GROUPS 1 PRECEDING) FROM t1
%%
SELECT printf('%d %s', 1, 'x'), format('%.2f', 1.5), char(65, 66), unicode('A'), quote('it''s'), instr('abc', 'b'), substr('hello', 2, 3), trim('  x  '), round(1.55, 1), typeof(1), coalesce(NULL, 1), nullif(1, 1), ifnull(NULL, 2), zeroblob(2), unhex('4142')
%%
EXPLAIN SELECT a FROM t1
%%
EXPLAIN QUERY PLAN SELECT a FROM t1 WHERE b = 1
%%
PRAGMA table_info(t1)
%%
PRAGMA main.user_version = 7
%%
PRAGMA user_version
%%
PRAGMA "foreign_key_list"('t2')
%%
ALTER TABLE copied RENAME TO copied2
%%
ALTER TABLE copied2 ADD COLUMN added TEXT NOT NULL DEFAULT 'x'
%%
ALTER TABLE copied2 RENAME COLUMN added TO "renamed;"
%%
ALTER TABLE copied2 DROP COLUMN "renamed;"
%%
ANALYZE
%%
ANALYZE main.t1
%%
REINDEX i1
%%
REINDEX NOCASE
%%
BEGIN
%%
SAVEPOINT "s p"
%%
INSERT INTO log VALUES ('saved', 1)
%%
ROLLBACK TO SAVEPOINT "s p"
%%
RELEASE "s p"
%%
COMMIT
%%
BEGIN IMMEDIATE TRANSACTION
%%
INSERT INTO log VALUES ('kept', 2)
%%
END TRANSACTION
%%
begin exclusive
%%
ROLLBACK
%%
DROP TRIGGER IF EXISTS tr5
%%
DROP INDEX i2
%%
DROP VIEW IF EXISTS v2
%%
DROP TABLE scratch
%%
CREATE VIRTUAL TABLE r USING rtree(id, minx, maxx, +aux TEXT)
%%
INSERT INTO r VALUES (1, 0.5, 1.5, 'aux;')
%%
CREATE TRIGGER "end" AFTER UPDATE ON log BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END
%%
CREATE TRIGGER [begin;] AFTER DELETE ON log BEGIN DELETE FROM log WHERE "end" = 1 AND what = 'end'; END
%%
CREATE TRIGGER t_with AFTER INSERT ON log WHEN new.what = 'x' BEGIN INSERT INTO log SELECT 'y', (WITH w AS (SELECT 1 AS n) SELECT n FROM w); END;
%%
CREATE TABLE end_ (begin TEXT, "end" TEXT, case_ TEXT)
%%
INSERT INTO end_ (begin, "end") VALUES ('begin', 'end;')
%%
SELECT begin, "end" FROM end_ WHERE begin = 'begin'
%%
VACUUM
%%
DETACH DATABASE 'none'
