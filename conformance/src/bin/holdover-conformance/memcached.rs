//! What a Memcached keeps, past the store.

use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{SessionKey, Timestamp, pause};
use holdover_conformance::Raw;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How often a reading is taken before it is given up: of a clock that must stand still, of keys that nobody else may
/// be listing.
const READINGS: usize = 200;

const BETWEEN_READINGS: Duration = Duration::from_millis(10);

/// Reaches the keys of the suite directly.
pub(crate) struct RawMemcached {
    pub(crate) address: String,
    prefix: String,
}

impl RawMemcached {
    /// `url` as the store has it: `memcached://host[:port][?…]`.
    pub(crate) fn new(url: &str, prefix: &str) -> Self {
        let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = authority.split(['/', '?']).next().unwrap_or_default();
        let has_port = authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        let address = if has_port { authority.to_owned() } else { format!("{authority}:11211") };
        Self { address, prefix: prefix.to_owned() }
    }

    /// Removes every key of the run.
    pub(crate) async fn remove_all(&self) -> Result<(), String> {
        let mut line = Line::open(&self.address).await?;
        for key in self.keys(&format!("{}:", self.prefix)).await? {
            line.send(format!("md {key}\r\n").as_bytes()).await?;
            line.line().await?;
        }
        Ok(())
    }

    /// What is stored and has not expired, by the beginning of its key.
    async fn keys(&self, beginning: &str) -> Result<Vec<String>, String> {
        for _ in 0..READINGS {
            let mut line = Line::open(&self.address).await?;
            line.send(b"lru_crawler metadump all\r\n").await?;
            let mut keys = Vec::new();
            loop {
                let text = line.line().await?;
                // One listing at a time: another case is having it.
                if text.starts_with("BUSY") || text.starts_with("ERROR") {
                    break;
                }
                if text == "END" {
                    return Ok(keys);
                }
                let key = text.strip_prefix("key=").and_then(|rest| rest.split(' ').next());
                let key = decoded(key.ok_or_else(|| format!("a listing holds {text:?}"))?);
                if key.starts_with(beginning) {
                    keys.push(key);
                }
            }
            pause(BETWEEN_READINGS).await;
        }
        Err(format!("the server was busy with other listings in {READINGS} attempts"))
    }

    fn key(&self, place: &str, key: &SessionKey) -> String {
        format!("{}:{place}:{key}", self.prefix)
    }
}

/// A listing writes keys percent-encoded.
pub(crate) fn decoded(key: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = key.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A plain connection, without the store's client: it must not share its mistakes.
struct Line(BufReader<TcpStream>);

impl Line {
    async fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        Ok(Self(BufReader::new(stream)))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.write_all(bytes).await.map_err(failed)
    }

    async fn line(&mut self) -> Result<String, String> {
        let mut text = String::new();
        if self.0.read_line(&mut text).await.map_err(failed)? == 0 {
            return Err("the server closed the connection below the store".to_owned());
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The flags of a key, and its value if it was asked for; nothing if it is not there.
    async fn get(&mut self, key: &str, flags: &str) -> Result<Option<(String, Vec<u8>)>, String> {
        self.send(format!("mg {key} {flags}\r\n").as_bytes()).await?;
        let head = self.line().await?;
        if let Some(found) = head.strip_prefix("HD") {
            return Ok(Some((found.to_owned(), Vec::new())));
        }
        let Some((size, found)) =
            head.strip_prefix("VA ").map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
        else {
            return if head.starts_with("EN") {
                Ok(None)
            } else {
                Err(format!("mg was answered by {head:?}"))
            };
        };
        let size: usize = size.parse().map_err(|_| format!("mg was answered by {head:?}"))?;
        let mut value = vec![0; size + 2];
        self.0.read_exact(&mut value).await.map_err(failed)?;
        value.truncate(size);
        Ok(Some((found.to_owned(), value)))
    }

    /// The server's clock in seconds, as it reckons time-outs by it.
    async fn time(&mut self) -> Result<u64, String> {
        self.send(b"stats\r\n").await?;
        let mut time = None;
        loop {
            let text = self.line().await?;
            if let Some(seconds) = text.strip_prefix("STAT time ") {
                time = seconds.parse().ok();
            }
            if text == "END" {
                return time.ok_or_else(|| "the server does not tell the time".to_owned());
            }
        }
    }
}

fn flag(flags: &str, letter: char) -> Option<&str> {
    flags.split(' ').find_map(|flag| flag.strip_prefix(letter))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: std::io::Error) -> String {
    format!("the server could not be asked below the store: {error}")
}

#[async_trait]
impl Raw for RawMemcached {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let deadline = self.native_deadline(place, key).await?;
        let Some(deadline) = deadline else {
            return Err("nothing is stored that could be overwritten".to_owned());
        };
        let exptime = deadline.map_or(0, |deadline| deadline.as_millis() / 1000);
        let mut line = Line::open(&self.address).await?;
        let head = format!("ms {} {} T{exptime} MR\r\n", self.key(place, key), bytes.len());
        line.send(&[head.as_bytes(), bytes, b"\r\n"].concat()).await?;
        match line.line().await?.as_str() {
            "HD" => Ok(()),
            other => Err(format!("ms was answered by {other:?}")),
        }
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        let mut line = Line::open(&self.address).await?;
        let found = line.get(&self.key(place, key), "v").await?;
        Ok(found.map(|(_, value)| value))
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let mut line = Line::open(&self.address).await?;
        let key = self.key(place, key);
        for _ in 0..READINGS {
            // Two readings of the server's clock in the same second make the sum exact.
            let before = line.time().await?;
            let found = line.get(&key, "t").await?;
            let after = line.time().await?;
            let Some((flags, _)) = found else {
                return Ok(None);
            };
            let remaining = flag(&flags, 't').ok_or_else(|| format!("mg told no time-out: {flags:?}"))?;
            if remaining == "-1" {
                return Ok(Some(None));
            }
            let remaining: u64 = remaining.parse().map_err(|_| format!("mg told {remaining:?}"))?;
            if before == after {
                return Ok(Some(Some(Timestamp::from_millis((before + remaining) * 1000))));
            }
        }
        Err(format!("the server's clock never stood still for a reading in {READINGS} attempts"))
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let keys = self.keys(&format!("{}:{place}:", self.prefix)).await?;
        Ok(keys.len())
    }
}
