//! A conversation with one `mongod`, without a client library: what the tests know of a set must not be what a client
//! believes of it.

use std::net::SocketAddr;
use std::time::Duration;

use holdover_api::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bson::{Document, Malformed};

const OP_MSG: i32 = 2013;
const HEADER: usize = 16;
/// The flags, and the kind of the only section: a document.
const BEFORE_THE_DOCUMENT: usize = 5;
/// MongoDB's own limit.
const ANSWER_AT_MOST: usize = 48 * 1024 * 1024;

/// One command as it travels. `database` is where it is to run.
pub(super) fn message(database: &str, command: Document) -> Vec<u8> {
    let document = command.with("$db", database).encode();
    let length = i32::try_from(HEADER + BEFORE_THE_DOCUMENT + document.len());
    let length = length.expect("a command is far below 2 GiB");
    // Its length, its number, the number of what it answers, its kind; then no flags, and a section of kind 0.
    let head = [length, 1, 0, OP_MSG, 0].map(i32::to_le_bytes).concat();
    [&head[..], &[0], &document].concat()
}

/// Sends one command on a new connection, and says what the server answers to it.
///
/// # Errors
///
/// The server cannot be reached, says nothing for so long, or says that the command failed.
pub(super) async fn command(
    address: SocketAddr,
    patience: Duration,
    database: &str,
    command: Document,
) -> Result<Document, String> {
    let message = message(database, command);
    match within(patience, exchange(address, &message)).await {
        Some(answer) => accepted(answer?),
        None => Err("the server did not answer in time".to_owned()),
    }
}

fn accepted(answer: Document) -> Result<Document, String> {
    if answer.number("ok") == Some(1) {
        return Ok(answer);
    }
    let name = answer.text("codeName").unwrap_or("no code");
    let text = answer.text("errmsg").unwrap_or("no reason");
    Err(format!("the server refused a command: {name}: {text}"))
}

async fn exchange(address: SocketAddr, message: &[u8]) -> Result<Document, String> {
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.write_all(message).await.map_err(failed)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(failed)?;
    let length = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
    if !(HEADER + BEFORE_THE_DOCUMENT..=ANSWER_AT_MOST).contains(&length) {
        return Err("the server's answer has no length that an answer has".to_owned());
    }
    let mut rest = vec![0; length - 4];
    stream.read_exact(&mut rest).await.map_err(failed)?;
    decoded(&rest).map_err(|malformed| format!("the server's answer cannot be read: {malformed}"))
}

/// The document of an answer, of which the length was read already.
fn decoded(rest: &[u8]) -> Result<Document, Malformed> {
    let kind = rest.get(8..12).ok_or(Malformed)?;
    // With flags, such as that of a checksum, more would follow than a document.
    if kind != OP_MSG.to_le_bytes() || rest.get(12..17).ok_or(Malformed)? != [0; 5] {
        return Err(Malformed);
    }
    Document::decode(&rest[17..])
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: std::io::Error) -> String {
    format!("the server could not be asked: {error}")
}
