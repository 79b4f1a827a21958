configured
database "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, email VARCHAR(255) NOT NULL UNIQUE);
CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES users (id), editor INTEGER REFERENCES users,
    title TEXT DEFAULT 'none', FOREIGN KEY (title) REFERENCES users (email));
CREATE TABLE pairs (a TEXT NOT NULL, b TINYINT(1), PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE loose (n DECIMAL(10, 2), at DATETIME, t TIME, d DATE, untyped, made INT AS (1));"
: > schema.rs
difference
there_and_back
