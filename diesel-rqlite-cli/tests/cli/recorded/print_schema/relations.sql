CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, email VARCHAR(255), created TIMESTAMP NOT NULL);
CREATE TABLE profiles (user_id INTEGER NOT NULL PRIMARY KEY REFERENCES users (id), motto TEXT);
CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY, author INTEGER NOT NULL REFERENCES users, title TEXT NOT NULL);
-- Two keys to one table: neither says how to join.
CREATE TABLE messages (id INTEGER NOT NULL PRIMARY KEY, sender INTEGER NOT NULL REFERENCES users (id),
    receiver INTEGER NOT NULL REFERENCES users (id), post_id INTEGER REFERENCES posts (id));
-- To itself.
CREATE TABLE categories (id INTEGER NOT NULL PRIMARY KEY, parent_id INTEGER REFERENCES categories (id));
-- A composite primary key, in another order than the columns.
CREATE TABLE post_categories (category_id INTEGER NOT NULL REFERENCES categories (id),
    post_id INTEGER NOT NULL REFERENCES posts (id), place SMALLINT, PRIMARY KEY (post_id, category_id));
-- A composite foreign key.
CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, post_id INTEGER NOT NULL, category_id INTEGER NOT NULL,
    FOREIGN KEY (post_id, category_id) REFERENCES post_categories (post_id, category_id));
-- A composite one and another one to the same table.
CREATE TABLE pages (id INTEGER NOT NULL PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL, c INTEGER REFERENCES places (id),
    FOREIGN KEY (a, b) REFERENCES places (x, y));
CREATE TABLE places (id INTEGER NOT NULL PRIMARY KEY, x INTEGER, y INTEGER, UNIQUE (x, y));
-- Not to the primary key.
CREATE TABLE emails (id INTEGER NOT NULL PRIMARY KEY, email TEXT REFERENCES addresses (email));
CREATE TABLE addresses (id INTEGER NOT NULL PRIMARY KEY, email TEXT UNIQUE);
-- To each other.
CREATE TABLE eggs (id INTEGER NOT NULL PRIMARY KEY, hen_id INTEGER REFERENCES hens (id));
CREATE TABLE hens (id INTEGER NOT NULL PRIMARY KEY, egg_id INTEGER REFERENCES eggs (id));
-- To what is not there, and to a name written otherwise.
CREATE TABLE orphans (id INTEGER NOT NULL PRIMARY KEY, nowhere_id INTEGER REFERENCES nowhere (id));
CREATE TABLE shouters (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER REFERENCES USERS (ID));
CREATE TABLE solitary (id INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT 0);
CREATE TABLE __internal (id INTEGER PRIMARY KEY);
CREATE VIEW titles AS SELECT id, title FROM posts;
CREATE INDEX posts_by_title ON posts (title);
CREATE TRIGGER no_more AFTER INSERT ON solitary BEGIN DELETE FROM solitary; END;
