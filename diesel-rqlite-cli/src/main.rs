//! The binary `diesel-rqlite`. All of its code is in the library.

fn main() -> std::process::ExitCode {
    diesel_rqlite_cli::main()
}
