CREATE TABLE no_key (a TEXT NOT NULL, b INTEGER);
CREATE TABLE rowid_taken (rowid TEXT NOT NULL, b INTEGER);
CREATE TABLE two_taken (rowid TEXT NOT NULL, oid TEXT);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
CREATE TABLE text_key (code TEXT NOT NULL PRIMARY KEY, value BLOB);
CREATE TABLE without_rowid (a INTEGER NOT NULL, b TEXT NOT NULL, c REAL, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE integer_without_rowid (id INTEGER NOT NULL PRIMARY KEY, child_of INTEGER REFERENCES integer_without_rowid (id)) WITHOUT ROWID;
CREATE TABLE refers (id INTEGER NOT NULL PRIMARY KEY, wide INTEGER REFERENCES counted (id), narrow INTEGER REFERENCES integer_without_rowid (id), other INT REFERENCES text_key (code));
CREATE TABLE strict_table (id INTEGER NOT NULL PRIMARY KEY, i INT, r REAL, t TEXT NOT NULL, b BLOB) STRICT;
CREATE TABLE generated (id INTEGER NOT NULL PRIMARY KEY, a INTEGER NOT NULL, double_a INTEGER GENERATED ALWAYS AS (a * 2) STORED, text_a TEXT AS (CAST(a AS TEXT)), untyped GENERATED ALWAYS AS (a), moment DATE GENERATED ALWAYS AS (date(a)) VIRTUAL);
CREATE TABLE "select" (id INTEGER NOT NULL PRIMARY KEY, "type" TEXT NOT NULL, "select" TEXT, "is_nullable" BOOLEAN, "columns" TEXT, "self" INTEGER, "union" TEXT);
CREATE TABLE "type" ("where" INTEGER NOT NULL PRIMARY KEY, select_id INTEGER NOT NULL REFERENCES "select" (id));
CREATE TABLE "my table" ("my column" INTEGER NOT NULL PRIMARY KEY, "1st" TEXT, "a--b" TEXT, "a ""quoted"" #1" TEXT, "Größe" REAL, "it's" TEXT);
CREATE TABLE "3d" (id INTEGER NOT NULL PRIMARY KEY, "my key" INTEGER REFERENCES "my table" ("my column"));
CREATE TABLE it_ends_ (id INTEGER NOT NULL PRIMARY KEY, __internal TEXT, it_ends_ TEXT);
CREATE TABLE CamelCase (Id INTEGER NOT NULL PRIMARY KEY, SomeName TEXT);
CREATE VIRTUAL TABLE documents USING fts5 (title, body);
CREATE TABLE long_table (id INTEGER NOT NULL PRIMARY KEY,
    c01 TEXT, c02 TEXT, c03 TEXT, c04 TEXT, c05 TEXT, c06 TEXT, c07 TEXT, c08 TEXT, c09 TEXT, c10 TEXT,
    c11 TEXT, c12 TEXT, c13 TEXT, c14 TEXT, c15 TEXT, c16 TEXT, c17 TEXT, c18 TEXT, c19 TEXT, c20 TEXT,
    c21 TEXT, c22 TEXT, c23 TEXT, c24 TEXT, c25 TEXT, c26 TEXT, c27 TEXT, c28 TEXT, c29 TEXT, c30 TEXT,
    c31 TEXT, c32 TEXT, c33 TEXT, c34 TEXT, c35 TEXT, c36 TEXT, c37 TEXT, c38 TEXT, c39 TEXT, c40 TEXT,
    a_column_with_a_name_that_is_longer_than_any_line_of_rust_should_be_by_the_rules_of_rustfmt_which_allows_one_hundred INTEGER);
