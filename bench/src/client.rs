//! A client that costs as little as possible: what it uses is taken from Redis, which shares its processor.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// One connection that is kept alive.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    head_length: usize,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096), head_length: 0 })
    }

    /// Sends a request and waits for its answer, which has to be 200.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.send(request).await?;
        match self.status().await? {
            200 => Ok(()),
            status => Err(format!("a request was answered with {status}").into()),
        }
    }

    pub async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }

    /// Waits for a whole answer.
    pub async fn status(&mut self) -> io::Result<u16> {
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head_length) = head_length(&self.received) else {
                continue;
            };
            let (status, body_length) = read_head(&self.received[..head_length])?;
            let expected = head_length + body_length;
            while self.received.len() < expected {
                if self.stream.read_buf(&mut self.received).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.head_length = head_length;
            return Ok(status);
        }
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.received[self.head_length..]
    }

    /// The name and value of the cookie that the last answer sets.
    pub fn cookie(&self) -> Option<String> {
        let head = std::str::from_utf8(&self.received[..self.head_length]).ok()?;
        let (_, value) = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))?;
        value.split(';').next().map(str::to_owned)
    }
}

/// A request with a cookie and without a body.
pub fn request(method: &str, path: &str, cookie: &str) -> Vec<u8> {
    let length = if method == "POST" { "content-length: 0\r\n" } else { "" };
    let cookie = if cookie.is_empty() { String::new() } else { format!("cookie: {cookie}\r\n") };
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{cookie}{length}\r\n").into_bytes()
}

fn head_length(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

fn read_head(head: &[u8]) -> io::Result<(u16, usize)> {
    const NAME: &[u8] = b"content-length: ";
    let malformed =
        || io::Error::new(io::ErrorKind::InvalidData, "the answer is not one that this client reads");
    let number =
        |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|digits| digits.trim_end().parse().ok());
    let status = head.get(9..12).and_then(number).ok_or_else(malformed)?;
    let length = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))
        .and_then(|line| number(&line[NAME.len()..]))
        .ok_or_else(malformed)?;
    Ok((status as u16, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_length_are_read_from_the_head() {
        let head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\nvary: cookie\r\n\r\n";
        assert_eq!(head_length(head), Some(head.len()));
        assert_eq!(read_head(head).unwrap(), (503, 17));
        assert!(read_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
