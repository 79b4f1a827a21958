#!/usr/bin/env bash
# Records what Diesel's own tool prints for each of the `cases` on a SQLite file.
#
#   cargo install diesel_cli --version 2.3.14 --no-default-features --features sqlite-bundled --root DIRECTORY
#   ./record.sh DIRECTORY/bin/diesel
#
# Needs Python for its SQLite. The test runs the same cases on rqlite and compares every byte.
set -euo pipefail
diesel=$(realpath "$1")
cd "$(dirname "$0")"
unset DATABASE_URL DIESEL_CONFIG_FILE
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

for schema in *.sql; do
    python3 -c '
import sqlite3, sys
sqlite3.connect(sys.argv[2]).executescript(open(sys.argv[1]).read())
' "$schema" "$scratch/${schema%.sql}.db"
done

grep -v '^#' cases | while IFS='|' read -r name schema arguments; do
    name=$(echo $name)
    schema=$(echo $schema)
    # Words, not patterns of files.
    set -f
    # shellcheck disable=SC2086
    "$diesel" --database-url "$scratch/$schema.db" print-schema $arguments > "$name.rs" < /dev/null
    set +f
done
