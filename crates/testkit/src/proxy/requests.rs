//! Finds the requests in a stream of HTTP/1.1.

/// Where in the stream the reader is.
#[derive(Debug, Default)]
enum State {
    /// In the head of a request, as far as it has come.
    #[default]
    Head,
    /// In a body of which so many bytes are to come.
    Body(u64),
    /// In the line that gives the length of the next piece of a chunked body.
    PieceLength,
    /// In a piece, with its line end, of which so many bytes are to come.
    Piece(u64),
    /// After the last piece, up to the empty line.
    Trailer,
    /// It is not HTTP/1.1.
    Foreign,
}

/// Longest head that is looked at.
const HEAD_BYTES: usize = 64 * 1024;

/// Reads one connection's requests.
#[derive(Debug, Default)]
pub(super) struct RequestCounter {
    state: State,
    line: Vec<u8>,
}

impl RequestCounter {
    /// Takes the next bytes; returns method and path of each request whose head ended in them.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            match self.state {
                State::Foreign => return found,
                State::Body(left) => {
                    let taken = take(&mut bytes, left);
                    self.state = if taken == left {
                        State::Head
                    } else {
                        State::Body(left - taken)
                    };
                }
                State::Piece(left) => {
                    let taken = take(&mut bytes, left);
                    self.state = if taken == left {
                        State::PieceLength
                    } else {
                        State::Piece(left - taken)
                    };
                }
                State::Head => {
                    if self.gathered(&mut bytes, b"\r\n\r\n") {
                        found.extend(self.end_of_head());
                    }
                }
                State::PieceLength => {
                    if self.gathered(&mut bytes, b"\r\n") {
                        self.end_of_piece_length();
                    }
                }
                State::Trailer => {
                    // Without trailers, the empty line follows at once.
                    if self.gathered(&mut bytes, b"\r\n") {
                        if self.line == b"\r\n" {
                            self.state = State::Head;
                        }
                        self.line.clear();
                    }
                }
            }
        }
        found
    }

    /// Moves bytes to the line until it ends with `end`; tells whether it does.
    fn gathered(&mut self, bytes: &mut &[u8], end: &[u8]) -> bool {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.line.push(byte);
            if self.line.ends_with(end) {
                return true;
            }
        }
        if self.line.len() > HEAD_BYTES {
            self.state = State::Foreign;
        }
        false
    }

    fn end_of_head(&mut self) -> Option<String> {
        let head = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let mut lines = head.split("\r\n");
        let request = lines.next()?;
        if !request.ends_with("HTTP/1.1") {
            self.state = State::Foreign;
            return None;
        }
        self.state = State::Head;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                self.state = match value.parse() {
                    Ok(0) => State::Head,
                    Ok(length) => State::Body(length),
                    Err(_) => State::Foreign,
                };
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked")
            {
                self.state = State::PieceLength;
            }
        }
        let (method, rest) = request.split_once(' ')?;
        let path = rest.split([' ', '?']).next()?;
        Some(format!("{method} {path}"))
    }

    fn end_of_piece_length(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let digits = line.trim().split(';').next().unwrap_or_default();
        self.state = match u64::from_str_radix(digits, 16) {
            Ok(0) => State::Trailer,
            Ok(length) => State::Piece(length + 2),
            Err(_) => State::Foreign,
        };
    }
}

/// Takes at most `most` bytes off the front and tells how many.
fn take(bytes: &mut &[u8], most: u64) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = &bytes[count..];
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n\
        POST /b?ns=1 HTTP/1.1\r\nContent-Length: 19\r\n\r\nGET /no HTTP/1.1\r\n\r\
        POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n12\r\nGET /no HTTP/1.1\r\n\r\n0\r\n\r\n\
        GET /d HTTP/1.1\r\n\r\n";

    #[test]
    fn requests_are_found_however_the_stream_is_cut() {
        for step in [1, 2, 3, 7, 1_000] {
            let mut counter = RequestCounter::default();
            let found: Vec<String> = STREAM
                .as_bytes()
                .chunks(step)
                .flat_map(|piece| counter.push(piece))
                .collect();
            assert_eq!(
                found,
                ["GET /a", "POST /b", "POST /c", "GET /d"],
                "in steps of {step}"
            );
        }
    }

    #[test]
    fn what_is_not_http_is_left_alone() {
        let mut counter = RequestCounter::default();
        assert!(counter.push(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_empty());
        assert!(counter.push(STREAM.as_bytes()).is_empty());
    }
}
