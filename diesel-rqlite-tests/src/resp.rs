//! Talks to a Valkey or Redis in their protocol.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Resp {
    stream: BufReader<TcpStream>,
}

impl Resp {
    pub(crate) fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Resp {
            stream: BufReader::new(stream),
        })
    }

    /// Returns the answer as text. The items of an array are on separate lines, and null is empty. An error of the
    /// server is returned as an error.
    pub(crate) fn command(&mut self, words: &[&str]) -> io::Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
        let count = || rest.parse::<i64>().map_err(|_| io::ErrorKind::InvalidData);
        match kind {
            "-" => Err(io::Error::other(rest.to_owned())),
            "$" => match usize::try_from(count()?) {
                Ok(length) => self.text(length),
                Err(_) => Ok(String::new()),
            },
            "*" => {
                let items = (0..count()?).map(|_| self.answer());
                Ok(items.collect::<io::Result<Vec<_>>>()?.join("\n"))
            }
            _ => Ok(rest.to_owned()),
        }
    }

    fn text(&mut self, length: usize) -> io::Result<String> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
