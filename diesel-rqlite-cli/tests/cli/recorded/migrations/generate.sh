mkdir migrations
diesel migration generate create_posts --version 2026-01-01-000000
show migrations/*/*.sql
diesel migration generate again --version 2026-01-01-000000
diesel migration generate --no-down only_up --version 2026-01-02-000000
diesel migration generate -u only_up --version 2026-01-03-000000 --format sql
silent migration generate other --format barrel
silent migration generate
diesel migration generate at_this_time
mkdir -p elsewhere deep
diesel migration generate there --version 1 --migration-dir elsewhere
cd deep
diesel migration generate below --version 7
cd ..
files
diesel migration generate nowhere --version 1 --migration-dir not_there
