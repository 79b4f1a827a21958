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
