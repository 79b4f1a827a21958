//! The options of all commands.

use std::path::PathBuf;

use clap::Args;

/// What every verb takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Specifies the database URL to connect to. Falls back to the DATABASE_URL environment variable if unspecified.
    ///
    /// It is `rqlite://[user[:password]@]host[:port][?option=value]`, or rqlites:// for HTTPS. A file `.env` in the
    /// current directory, or in one above it, may set DATABASE_URL.
    #[arg(long, global = true, value_name = "DATABASE_URL")]
    pub database_url: Option<String>,

    /// The location of the configuration file to use. Falls back to the `DIESEL_CONFIG_FILE` environment variable if
    /// unspecified. Defaults to `diesel.toml` in your project root. See diesel.rs/guides/configuring-diesel-cli for
    /// documentation on this file.
    #[arg(long, global = true, value_name = "CONFIG_FILE")]
    pub config_file: Option<PathBuf>,

    /// Require that the schema file is up to date.
    ///
    /// When `print_schema.file` is specified in your config file, this flag will cause the command to fail if it
    /// would result in changes to that file. It is recommended that you use this flag when running migrations in CI
    /// or production.
    #[arg(long, global = true)]
    pub locked_schema: bool,
}
