#!/bin/sh
# Records what Diesel's own tool does in each scenario, on a SQLite file:
#   cargo install diesel_cli --version 2.3.14 --no-default-features --features sqlite-bundled --root /tmp/stock
#   DIESEL=/tmp/stock/bin/diesel sh record.sh [SCENARIO]
# Left out of it: that it creates a file for the database, and what it logs of failed queries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for scenario in "$here"/${1:-*}.sh; do
    name=$(basename "$scenario" .sh)
    case $name in record | common) continue ;; esac
    project=$(mktemp -d)
    (
        cd "$project"
        printf '[package]\nname = "project"\n' > Cargo.toml
        unset MIGRATION_DIRECTORY DIESEL_CONFIG_FILE
        export DATABASE_URL="$project/test.db" DIESEL NO_COLOR=1 DIESEL_LOG=off
        cat "$here/common.sh" "$scenario" | sh
    ) | sed -E "s#$project/test\.db#DATABASE#g; s#$project#PROJECT#g; /^Creating database: /d
        s/[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{6}-[0-9a-f]{4}/TIME/g" > "$here/$name.txt"
    rm -r "$project"
done
