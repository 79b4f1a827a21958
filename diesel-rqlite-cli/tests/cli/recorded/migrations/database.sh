diesel database setup
mkdir migrations
two_migrations
diesel database setup --no-default-migration
migration 2026-01-03-000000_view 'CREATE VIEW titles AS SELECT title FROM posts;\nCREATE TRIGGER t AFTER INSERT ON posts BEGIN\n  SELECT CASE WHEN 1 THEN 2 END;\nEND;\n' 'DROP VIEW titles;\nDROP TRIGGER t;\n'
diesel database setup
diesel migration list
diesel migration run
diesel db reset
diesel migration list
diesel database drop
diesel migration list
diesel database reset --migration-dir migrations
silent database
silent database create
