//! HTTP/1.1 without I/O: reads answers as they arrive. (`protocol::head` writes requests.)
//!
//! Both clients use it, each over its own sockets. `httparse` knows the grammar. What is decided here
//! is where an answer ends, and whether its connection can carry another one (RFC 9112, section 6).
//!
//! # Answers
//!
//! [`Head::parse`] finds the head of an answer in the bytes that have arrived. Its [`Body`] then
//! takes the content from the bytes that follow, whatever pieces they come in. Only the headers in
//! [`KEPT`] are kept.
//!
//! # Doubts
//!
//! If it is not certain where an answer ends, the answer is an error: two lengths that differ, a
//! coding other than `chunked`, a chunk that does not end where it should. An answer with a length
//! and chunks has chunks, as the RFC says, and its connection is closed.

use std::fmt::Display;
use std::io;
use std::mem::MaybeUninit;

use http::header::{HeaderName, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use httparse::{EMPTY_HEADER, Header, ParserConfig, Status, parse_chunk_size, parse_headers};

use super::PIECE;
use crate::protocol::call::{SERVED_BY, VERSION};

/// The headers of an answer that somebody reads.
const KEPT: [HeaderName; 3] = [
    LOCATION,
    HeaderName::from_static(SERVED_BY),
    HeaderName::from_static(VERSION),
];
/// The highest number of headers in an answer, or behind its chunks.
const MOST_HEADERS: usize = 100;
/// The longest head of an answer, in bytes: as much as is read at a time. Also the longest line with
/// the size of a chunk, and the longest headers behind the last one.
const LONGEST_HEAD: usize = PIECE;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    /// The body that follows.
    pub(super) body: Body,
    /// Set if the connection can't carry another answer after this one.
    pub(super) must_close: bool,
}

impl Head {
    /// Finds a head at the beginning of `input`. Returns it and its length in bytes, or `None` if it
    /// is not complete. Fails if it is no head, or a longer one than is read.
    pub(super) fn parse(input: &[u8]) -> io::Result<Option<(Head, usize)>> {
        let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let status = ParserConfig::default()
            .parse_response_with_uninit_headers(&mut parsed, input, &mut headers)
            .map_err(malformed)?;
        let Some(length) = complete(status, input)? else {
            return Ok(None);
        };
        let status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(malformed)?;
        let mut response = Response::new(());
        *response.status_mut() = status;
        let mut framing = Framing::default();
        for header in &*parsed.headers {
            framing.note(header)?;
            keep(header, &mut response)?;
        }
        let is_current = parsed.version == Some(1);
        if framing.is_chunked && !is_current {
            return Err(malformed("HTTP/1.0 has no chunks"));
        }
        let body = framing.body(status);
        let ends_by_closing = matches!(body, Body::UntilClose { .. });
        let must_close = framing.must_close || ends_by_closing || !is_current;
        let head = Head {
            response,
            body,
            must_close,
        };
        Ok(Some((head, length)))
    }

    /// Returns whether the real answer follows this one.
    pub(super) fn is_informational(&self) -> bool {
        let status = self.response.status();
        // Nobody asked for another protocol.
        status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Keeps a header, if somebody reads it.
fn keep(header: &Header<'_>, response: &mut Response<()>) -> io::Result<()> {
    let is_this = |name: &&HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
    if let Some(name) = KEPT.iter().find(is_this) {
        let value = HeaderValue::from_bytes(header.value).map_err(malformed)?;
        response.headers_mut().append(name, value);
    }
    Ok(())
}

/// What the headers of an answer say about its end.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    is_chunked: bool,
    must_close: bool,
}

impl Framing {
    fn note(&mut self, header: &Header<'_>) -> io::Result<()> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            for text in items(header) {
                let length = length_of(text)?;
                if self.length.is_some_and(|known| known != length) {
                    return Err(malformed("it has two lengths"));
                }
                self.length = Some(length);
            }
        } else if is("transfer-encoding") {
            for coding in items(header) {
                if self.is_chunked || !coding.eq_ignore_ascii_case(b"chunked") {
                    return Err(malformed("its transfer coding is not known"));
                }
                self.is_chunked = true;
            }
        } else if is("connection") {
            self.must_close |= items(header).any(|item| item.eq_ignore_ascii_case(b"close"));
        }
        Ok(())
    }

    fn body(&mut self, status: StatusCode) -> Body {
        let has_none = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // Bytes may follow that are no answer.
        self.must_close |= match status {
            StatusCode::SWITCHING_PROTOCOLS => true,
            StatusCode::NOT_MODIFIED => self.is_chunked,
            _ if has_none => self.is_chunked || self.length.is_some_and(|length| length > 0),
            _ => self.is_chunked && self.length.is_some(),
        };
        match self.length {
            _ if has_none => Body::Ended,
            _ if self.is_chunked => Body::Chunks(Chunk::Size),
            Some(0) => Body::Ended,
            Some(length) => Body::Length(length),
            None => Body::UntilClose {
                is_error: !status.is_success(),
            },
        }
    }
}

/// Returns the items of a header with a list.
fn items<'h>(header: &Header<'h>) -> impl Iterator<Item = &'h [u8]> {
    header
        .value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

/// Reads a length, which consists of digits.
fn length_of(text: &[u8]) -> io::Result<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(text).ok().filter(|_| is_number);
    let length = text.and_then(|text| text.parse().ok());
    length.ok_or_else(|| malformed("its length is not a number"))
}

/// The body of an answer, as far as it is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Body {
    /// This many bytes are missing, at least one.
    Length(u64),
    Chunks(Chunk),
    /// The node closes the connection after it. The text of an error may be cut off.
    UntilClose {
        is_error: bool,
    },
    Ended,
    /// What came is not a body.
    Malformed,
}

/// A place in a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Chunk {
    /// The line with the size of a chunk follows.
    Size,
    /// This many bytes of a chunk are missing, at least one.
    Content(u64),
    /// The end of the line behind a chunk follows.
    End,
    /// The last chunk has come. Headers may follow, and an empty line does.
    Trailers,
}

impl Body {
    /// Returns the number of bytes that are missing, if it is known.
    pub(super) fn length(self) -> Option<u64> {
        match self {
            Body::Length(length) => Some(length),
            Body::Ended => Some(0),
            Body::Chunks(_) | Body::UntilClose { .. } | Body::Malformed => None,
        }
    }

    /// Returns whether all of the body was taken. One that ends by closing never is.
    pub(super) fn has_ended(self) -> bool {
        self == Body::Ended
    }

    /// Ends the body, since the connection has ended: properly, or `abruptly`. Fails if the body is not
    /// complete. The empty line behind the last chunk may be missing.
    pub(super) fn closed(self, abruptly: bool) -> io::Result<Body> {
        match self {
            Body::Ended | Body::Chunks(Chunk::Trailers) => Ok(Body::Ended),
            Body::UntilClose { is_error } if is_error || !abruptly => Ok(Body::Ended),
            _ => Err(broken_off()),
        }
    }

    /// Takes bytes from `input`, and appends their content to `out`. Returns how many were taken. What
    /// is left belongs to the next line, which has not arrived completely, or is behind the body.
    pub(super) fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            let step = self.step(&input[taken..], out);
            let (count, next) = step.inspect_err(|_| *self = Body::Malformed)?;
            *self = next;
            taken += count;
            if count == 0 {
                return Ok(taken);
            }
        }
    }

    /// Takes the bytes up to the next place of the body, or as many as there are. Returns their
    /// number, which is 0 if more must arrive first, and the place behind them.
    fn step(self, input: &[u8], out: &mut Vec<u8>) -> io::Result<(usize, Body)> {
        let (count, place) = match self {
            Body::Ended => return Ok((0, self)),
            Body::Malformed => return Err(malformed("it was malformed before")),
            Body::UntilClose { .. } => {
                out.extend_from_slice(input);
                return Ok((input.len(), self));
            }
            Body::Length(missing) => {
                let (count, left) = content(missing, input, out);
                let next = if left == 0 {
                    Body::Ended
                } else {
                    Body::Length(left)
                };
                return Ok((count, next));
            }
            Body::Chunks(Chunk::Content(missing)) => match content(missing, input, out) {
                (count, 0) => (count, Chunk::End),
                (count, left) => (count, Chunk::Content(left)),
            },
            Body::Chunks(Chunk::Size) => {
                // The parser takes an empty line for a chunk of size 0.
                let is_number = input.first().is_none_or(u8::is_ascii_hexdigit);
                let status = parse_chunk_size(input).ok().filter(|_| is_number);
                let status = status.ok_or_else(|| malformed("a chunk has no size"))?;
                match complete(status, input)? {
                    None => (0, Chunk::Size),
                    Some((count, 0)) => (count, Chunk::Trailers),
                    Some((count, size)) => (count, Chunk::Content(size)),
                }
            }
            Body::Chunks(Chunk::End) => match input {
                [b'\r', b'\n', ..] => (2, Chunk::Size),
                [] | [b'\r'] => (0, Chunk::End),
                _ => return Err(malformed("a chunk has another size than announced")),
            },
            Body::Chunks(Chunk::Trailers) => {
                let mut headers = [EMPTY_HEADER; MOST_HEADERS];
                let status = parse_headers(input, &mut headers).map_err(malformed)?;
                match complete(status, input)? {
                    None => (0, Chunk::Trailers),
                    Some((count, _)) => return Ok((count, Body::Ended)),
                }
            }
        };
        Ok((count, Body::Chunks(place)))
    }
}

/// Appends the content at the beginning of `input`, of which some bytes are missing. Returns how
/// many have come, and how many are still missing.
fn content(missing: u64, input: &[u8], out: &mut Vec<u8>) -> (usize, u64) {
    let count = usize::try_from(missing).map_or(input.len(), |most| most.min(input.len()));
    out.extend_from_slice(&input[..count]);
    (count, missing - count as u64)
}

/// Returns what was parsed, or `None` if it has not arrived completely. Fails if it can't be expected
/// to end.
fn complete<T>(status: Status<T>, input: &[u8]) -> io::Result<Option<T>> {
    match status {
        Status::Complete(parsed) => Ok(Some(parsed)),
        Status::Partial if input.len() < LONGEST_HEAD => Ok(None),
        Status::Partial => Err(malformed("its head is too long")),
    }
}

/// The error of an answer that can't be understood.
fn malformed(reason: impl Display) -> io::Error {
    let text = format!("the answer is not valid HTTP: {reason}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The error of a connection that is closed before its answer is complete.
pub(super) fn broken_off() -> io::Error {
    let text = "the connection was closed before the answer was complete";
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// The error of an answer that says that a request was carried out before all of it was sent.
pub(super) fn too_early() -> io::Error {
    io::Error::other("the node says that it has done what it was not sent")
}

/// Returns whether a node has closed the connection in a way that a stream reports as an error. An
/// aborted one is closed, and so is one on which the node stopped listening while it was sent the
/// request. TLS reports the end of a connection without a farewell.
pub(super) fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer that arrives in two parts. Returns its status, its content, whether the
    /// connection must be closed, and what is left behind it.
    fn read(first: &[u8], second: &[u8]) -> io::Result<Option<(u16, String, bool, String)>> {
        let mut input = first.to_vec();
        let mut rest = Some(second);
        let mut out = Vec::new();
        let mut head: Option<Head> = None;
        loop {
            match &mut head {
                None => {
                    if let Some((parsed, length)) = Head::parse(&input)? {
                        input.drain(..length);
                        if !parsed.is_informational() {
                            head = Some(parsed);
                        }
                        continue;
                    }
                }
                Some(head) => {
                    let taken = head.body.take(&input, &mut out)?;
                    input.drain(..taken);
                }
            }
            let Some(more) = rest.take() else { break };
            input.extend_from_slice(more);
        }
        let text = |bytes| String::from_utf8(bytes).expect("is UTF-8");
        Ok(head
            .filter(|head| head.body.closed(false).is_ok())
            .map(|head| {
                let status = head.response.status().as_u16();
                (status, text(out), head.must_close, text(input))
            }))
    }

    /// Answers with their content, and whether the connection must be closed.
    const ANSWERS: [(&str, &str, bool); 13] = [
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
            "",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]",
            "[1,2]",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2, 2\r\ncontent-length:2\r\n\r\nab",
            "ab",
            false,
        ),
        ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
             3\r\n[1,\r\n02;x=y\r\n2]\r\n0\r\nX: y\r\n\r\n",
            "[1,2]",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "0123456789",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "a",
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            "a",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\na",
            "a",
            true,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", false),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            "",
            false,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "",
            true,
        ),
    ];

    #[test]
    fn answer_is_the_same_wherever_it_is_split() {
        for (answer, content, must_close) in ANSWERS {
            for behind in ["", "HTTP/1.1 200 OK\r\n\r\n"] {
                let all = [answer, behind].concat();
                for at in 0..=all.len() {
                    let (first, second) = all.as_bytes().split_at(at);
                    let answer = read(first, second).expect("is HTTP").expect("is complete");
                    let (_, got, closes, left) = answer;
                    assert_eq!(
                        (&*got, closes, &*left),
                        (content, must_close, behind),
                        "{all}"
                    );
                }
            }
        }
    }

    #[test]
    fn answer_that_is_cut_off_is_not_complete() {
        for (answer, _, _) in ANSWERS {
            // The last lines of a body in chunks may be missing.
            let end = answer.find("\r\n0\r\n").map_or(answer.len(), |at| at + 5);
            for at in 0..end {
                let cut = read(&answer.as_bytes()[..at], b"").expect("is HTTP");
                assert!(cut.is_none(), "{answer}, {at}");
            }
        }
        let until_close = "HTTP/1.1 200 OK\r\n\r\n[1,2]";
        let answer = read(until_close.as_bytes(), b"").expect("is HTTP");
        let wanted = (200, "[1,2]".to_owned(), true, String::new());
        assert_eq!(answer, Some(wanted), "only closing ends it");
    }

    #[test]
    fn rows_that_end_abruptly_are_not_complete() {
        for (status, may_break) in [("200 OK", false), ("413 Too Large", true)] {
            let head = format!("HTTP/1.1 {status}\r\n\r\n");
            let parsed = Head::parse(head.as_bytes()).expect("is HTTP");
            let (head, _) = parsed.expect("is complete");
            assert!(head.body.closed(false).is_ok());
            assert_eq!(head.body.closed(true).is_ok(), may_break, "{status}");
        }
    }

    #[test]
    fn content_is_taken_once_whatever_follows() {
        let mut body = Body::Chunks(Chunk::Size);
        let mut out = Vec::new();
        for _ in 0..3 {
            assert!(body.take(b"3\r\nabc\r\nx\r\n", &mut out).is_err());
        }
        assert_eq!(out, b"abc");
    }

    #[test]
    fn answer_whose_end_is_not_certain_is_refused() {
        let chunks = "Transfer-Encoding: chunked\r\n\r\n";
        for rest in [
            "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "Content-Length: 1, 2\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: +1\r\n\r\n",
            "Content-Length: 1 1\r\n\r\n",
            "Content-Length: \r\n\r\n",
            "Content-Length: 18446744073709551616\r\n\r\n",
            "Transfer-Encoding: gzip, chunked\r\n\r\n",
            "Transfer-Encoding: chunked, chunked\r\n\r\n",
            "Transfer-Encoding: \r\n\r\n",
            "No colon\r\n\r\n",
            &[chunks, "x\r\n"].concat(),
            &[chunks, "\r\n"].concat(),
            &[chunks, " \r\n"].concat(),
            &[chunks, " 1\r\n"].concat(),
            &[chunks, ";x\r\n"].concat(),
            &[chunks, "-1\r\n"].concat(),
            &[chunks, "fffffffffffffffff\r\n"].concat(),
            &[chunks, "1\r\nab\r\n"].concat(),
            &[chunks, "0\r\nno colon\r\n\r\n"].concat(),
            &[chunks, "1;", &"x".repeat(LONGEST_HEAD)].concat(),
            &"X: y\r\n".repeat(MOST_HEADERS + 1),
            &["X: ", &"y".repeat(LONGEST_HEAD)].concat(),
        ] {
            let answer = ["HTTP/1.1 200 OK\r\n", rest].concat();
            let error = read(answer.as_bytes(), b"").expect_err(rest);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{rest}");
        }
        let old = ["HTTP/1.0 200 OK\r\n", chunks].concat();
        assert!(read(old.as_bytes(), b"").is_err());
        for answer in [
            "HTTP/2 200 OK\r\n\r\n",
            "SSH-2.0-x\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
        ] {
            assert!(read(answer.as_bytes(), b"").is_err(), "{answer}");
        }
    }
}
