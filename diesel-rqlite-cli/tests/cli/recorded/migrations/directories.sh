diesel setup
two_migrations
mkdir -p other/deep
mv migrations other/moved
diesel migration list
diesel migration list --migration-dir other/moved
MIGRATION_DIRECTORY=other/moved diesel migration list
printf '[migrations_directory]\ndir = "moved"\n' > other/diesel.toml
cd other/deep
diesel migration list
cd ../..
diesel migration list --config-file other/diesel.toml
DIESEL_CONFIG_FILE=other/diesel.toml diesel migration list
rm diesel.toml
mkdir empty
diesel migration list --migration-dir empty
diesel migration list
printf '[print_schema]\nfile = "src/schema.rs"\n[print_schema.only]\nfile = "src/only.rs"\nfilter = { only_tables = ["^tags$"] }\n[migrations_directory]\ndir = "other/moved"\n' > diesel.toml
diesel migration run
show src/schema.rs src/only.rs
