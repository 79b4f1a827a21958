diesel setup
two_migrations
migration 2026-01-03-000000_more_tags "INSERT INTO tags VALUES ('a');" "DELETE FROM tags WHERE name = 'a';"
diesel migration revert
diesel migration run
diesel migration revert
diesel migration list
show src/schema.rs
diesel migration revert -n 2
diesel migration list
show src/schema.rs
diesel migration run
diesel migration revert --number 7
diesel migration run
diesel migration revert --all
diesel migration list
diesel migration run
diesel migration revert -a
silent migration revert --all --number 2
silent migration revert --number many
