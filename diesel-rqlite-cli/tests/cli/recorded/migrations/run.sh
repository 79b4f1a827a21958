diesel setup
two_migrations
diesel migration list
diesel migration pending
diesel migration run
diesel migration list
diesel migration pending
show src/schema.rs
diesel migration run
migration 2026-01-01-120000_between 'CREATE TABLE between_them (id INTEGER PRIMARY KEY NOT NULL);' 'DROP TABLE between_them;'
diesel migration pending
diesel migration run
diesel migration list
show src/schema.rs
migration 2026-01-03-000000_comment '-- Nothing\n' '-- Nothing\n'
diesel migration run
