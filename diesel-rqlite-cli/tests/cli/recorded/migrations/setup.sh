diesel setup
show diesel.toml
files
diesel setup
two_migrations
diesel setup
diesel migration run
