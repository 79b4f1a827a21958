mkdir -p src/deep
cd src/deep
diesel setup
cd ../..
files
rm -rf migrations diesel.toml
diesel setup --migration-dir src/moved --no-default-migration
show diesel.toml
files
rm Cargo.toml diesel.toml
diesel setup --migration-dir src/moved
