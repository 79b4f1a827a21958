# What the scenarios share: `diesel` runs the tool that is tried, and tells its output and its exit code.
set -u
diesel() {
    echo "\$ diesel $*"
    "$DIESEL" "$@" 2>&1
    echo "exit $?"
}
silent() {
    echo "\$ diesel $*"
    "$DIESEL" "$@" > /dev/null 2>&1
    echo "exit $?"
}
migration() {
    mkdir -p "migrations/$1"
    printf '%b' "$2" > "migrations/$1/up.sql"
    printf '%b' "$3" > "migrations/$1/down.sql"
}
show() {
    for file; do
        echo "== $file"
        cat "$file"
    done
}
files() {
    echo "== files"
    find . -type f ! -name 'test.db*' | LC_ALL=C sort
}
two_migrations() {
    migration 2026-01-01-000000_create_posts 'CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL, title TEXT NOT NULL);\nCREATE INDEX by_title ON posts (title);\n' 'DROP TABLE posts;\n'
    migration 2026-01-02-000000_create_tags "CREATE TABLE tags (name TEXT PRIMARY KEY NOT NULL);\nINSERT INTO tags VALUES ('raft;');\n" 'DROP TABLE tags;\n'
}
# Runs SQL without leaving a migration behind.
database() {
    migration 0_database "$1" ''
    "$DIESEL" migration run --migration-dir migrations > /dev/null 2>&1
    rm -r migrations/0_database
}
schema() {
    cat > "$1"
}
# Without the section the stock tool has nothing to compare by.
configured() {
    mkdir -p migrations
    printf '[print_schema]\n' > diesel.toml
}
# Shows the migration that is generated from schema.rs.
difference() {
    rm -rf migrations/1_difference
    diesel migration generate difference --version 1 --diff-schema=schema.rs "$@"
    if [ -d migrations/1_difference ]; then
        show migrations/1_difference/up.sql migrations/1_difference/down.sql
    fi
}
# Runs it and takes it back, with the schema that each leaves.
there_and_back() {
    mv migrations/1_difference migrations/2_difference
    diesel migration run
    diesel print-schema "$@"
    diesel migration revert
    diesel print-schema "$@"
    rm -r migrations/2_difference
}
