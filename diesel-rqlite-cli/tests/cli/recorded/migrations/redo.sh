diesel setup
two_migrations
diesel migration redo
diesel migration run
diesel migration redo
diesel migration redo -n 2
diesel migration redo --number 7
diesel migration redo --all
diesel migration list
echo 'run_in_transaction = false' > migrations/2026-01-02-000000_create_tags/metadata.toml
diesel migration redo -a
echo 'DROP TABLE nowhere;' > migrations/2026-01-01-000000_create_posts/down.sql
echo 'run_in_transaction = true' > migrations/2026-01-02-000000_create_tags/metadata.toml
diesel migration redo --all
diesel migration list
echo 'DROP TABLE posts;' > migrations/2026-01-01-000000_create_posts/down.sql
echo 'CREATE TABLE tags (name TEXT PRIMARY KEY NOT NULL); CREATE TABLE tags (a);' > migrations/2026-01-02-000000_create_tags/up.sql
diesel migration redo --all
diesel migration list
silent migration redo --all --number 2
