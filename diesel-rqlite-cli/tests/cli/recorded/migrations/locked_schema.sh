diesel setup
two_migrations
diesel migration run
diesel migration run --locked-schema
migration 2026-01-03-000000_create_more 'CREATE TABLE more (id INTEGER PRIMARY KEY NOT NULL);' 'DROP TABLE more;'
diesel --locked-schema migration run
show src/schema.rs
diesel migration redo
show src/schema.rs
