//! As much of HTTP/1.1 as SDKs and runtimes need: requests with a length, answers with a length, connections that stay.

use std::io::{BufRead, BufReader, Read, Write};

use anyhow::{Context, Result};

/// A request.
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

/// Reads requests from a connection and writes what `answer` says, until the other side ends it.
pub fn serve(connection: impl Read + Write, mut answer: impl FnMut(Request) -> Option<Vec<u8>>) -> Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection)? {
        let Some(answer) = answer(request) else { break };
        connection.get_mut().write_all(&answer)?;
        connection.get_mut().flush()?;
    }
    Ok(())
}

/// An answer with a body.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// `None` at the end of the connection.
fn read(connection: &mut impl BufRead) -> Result<Option<Request>> {
    let mut line = String::new();
    // A client that was killed ends its TLS without a word: that is an end too.
    if !connection.read_line(&mut line).is_ok_and(|read| read > 0) {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().context("no method")?, words.next().context("no path")?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok(Some(Request { method, path, body }))
}
