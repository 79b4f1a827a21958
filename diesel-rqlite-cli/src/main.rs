//! `diesel-rqlite`: all of it is in the library.

fn main() -> std::process::ExitCode {
    diesel_rqlite_cli::main()
}
