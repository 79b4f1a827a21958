diesel setup
migration 2026-01-01-000000_broken 'CREATE TABLE half (id INTEGER PRIMARY KEY NOT NULL);\n\nINSERT INTO nowhere VALUES (1);\n' 'DROP TABLE half;\n'
diesel migration run
diesel migration list
migration 2026-01-01-000000_broken 'CREATE TABLE half (id INTEGER PRIMARY KEY NOT NULL);\n' 'DROP TABLE nowhere;\n'
diesel migration run
diesel migration revert
diesel migration list
rm migrations/2026-01-01-000000_broken/down.sql
diesel migration revert
: > migrations/2026-01-01-000000_broken/up.sql
mkdir migrations/2026-01-02-000000_empty
: > migrations/2026-01-02-000000_empty/up.sql
diesel migration run
mv migrations/2026-01-01-000000_broken migrations/2026-01-03-000000_renamed
diesel migration revert
rm migrations/2026-01-03-000000_renamed/*
diesel migration run
echo 'dir = 1' > diesel.toml
silent migration list
unset DATABASE_URL
rm diesel.toml
rm -r migrations/2026*
diesel migration list
silent migration
silent migration walk
silent
