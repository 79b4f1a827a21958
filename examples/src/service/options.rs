//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::Load;
use crate::Failure;

/// What a service was asked to do.
#[derive(Debug, Default)]
pub struct Options {
    /// `--listen 127.0.0.1:8080`, and where it listens otherwise is its own choice.
    pub listen: Option<SocketAddr>,
    /// `--load`, with `--clients 32` and `--requests 4000`.
    pub load: Option<Load>,
}

impl Options {
    /// Those of this process.
    ///
    /// # Errors
    ///
    /// When there is one that nobody knows.
    pub fn parse() -> Result<Self, Failure> {
        let mut options = Options::default();
        let (mut load, mut has_load) = (Load::default(), false);
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or("an option without its value");
            match name.as_str() {
                "--load" => has_load = true,
                "--listen" => options.listen = Some(value()?.parse()?),
                "--clients" => load.clients = value()?.parse::<NonZeroU32>()?.get(),
                "--requests" => load.requests = value()?.parse()?,
                _ => return Err(format!("{name} is no option").into()),
            }
        }
        options.load = has_load.then_some(load);
        Ok(options)
    }
}
