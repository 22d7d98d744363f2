//! As much of BSON as the commands of [`super`] and their answers hold.

use std::fmt;

/// Documents in documents: MongoDB's own limit.
const DEPTH_AT_MOST: usize = 100;

/// A document: names and values, in their order. In a command the first name is the command's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document(Vec<(String, Value)>);

/// What a document holds under a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Double(f64),
    Text(String),
    Document(Document),
    /// The names in it are the numbers of the places.
    Array(Document),
    Bool(bool),
    Int32(i32),
    Int64(i64),
    /// A kind that an answer may hold and that nobody here asks for.
    Other(u8),
}

impl Document {
    /// With one more value.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    /// A whole number, in whichever of three kinds the server chose to write it.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Int32(number) => Some(i64::from(*number)),
            Value::Int64(number) => Some(*number),
            Value::Double(1.0) => Some(1),
            Value::Double(0.0) => Some(0),
            _ => None,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.0 {
            body.push(value.tag());
            body.extend(name.as_bytes());
            body.push(0);
            value.encode(&mut body);
        }
        // The length counts itself and the final zero.
        let length = u32::try_from(body.len() + 5).expect("a command is far below 4 GiB");
        [&length.to_le_bytes()[..], &body, &[0]].concat()
    }

    /// Reads one document, which has to fill `bytes`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Rest(bytes);
        let document = rest.document(0)?;
        if rest.0.is_empty() { Ok(document) } else { Err(Malformed) }
    }
}

impl Value {
    fn tag(&self) -> u8 {
        match self {
            Self::Double(_) => 1,
            Self::Text(_) => 2,
            Self::Document(_) => 3,
            Self::Array(_) => 4,
            Self::Bool(_) => 8,
            Self::Int32(_) => 16,
            Self::Int64(_) => 18,
            Self::Other(tag) => *tag,
        }
    }

    fn encode(&self, body: &mut Vec<u8>) {
        match self {
            Self::Double(number) => body.extend(number.to_le_bytes()),
            Self::Text(text) => {
                let length = u32::try_from(text.len() + 1).expect("a command is far below 4 GiB");
                body.extend(length.to_le_bytes());
                body.extend(text.as_bytes());
                body.push(0);
            }
            Self::Document(document) | Self::Array(document) => body.extend(document.encode()),
            Self::Bool(yes) => body.push(u8::from(*yes)),
            Self::Int32(number) => body.extend(number.to_le_bytes()),
            Self::Int64(number) => body.extend(number.to_le_bytes()),
            Self::Other(_) => {}
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int32(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int64(number)
    }
}

impl From<Document> for Value {
    fn from(document: Document) -> Self {
        Self::Document(document)
    }
}

impl From<Vec<Document>> for Value {
    fn from(documents: Vec<Document>) -> Self {
        let place = |(place, document): (usize, Document)| (place.to_string(), document.into());
        Self::Array(Document(documents.into_iter().enumerate().map(place).collect()))
    }
}

/// Bytes that are no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are no BSON document")
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| Malformed)
    }

    fn name(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
        let name = self.take(end)?;
        self.take(1)?;
        String::from_utf8(name.to_vec()).map_err(|_| Malformed)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let length = self.length()?;
        match self.take(length)? {
            [text @ .., 0] => String::from_utf8(text.to_vec()).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    }

    fn document(&mut self, depth: usize) -> Result<Document, Malformed> {
        let length = self.length()?.checked_sub(4).ok_or(Malformed)?;
        let mut inside = Rest(self.take(length)?);
        let mut document = Document::default();
        loop {
            match inside.array()? {
                [0] if inside.0.is_empty() => return Ok(document),
                [tag] => {
                    let name = inside.name()?;
                    document.0.push((name, inside.value(tag, depth)?));
                }
            }
        }
    }

    fn value(&mut self, tag: u8, depth: usize) -> Result<Value, Malformed> {
        let value = match tag {
            1 => Value::Double(f64::from_le_bytes(self.array()?)),
            2 => Value::Text(self.text()?),
            3 | 4 if depth == DEPTH_AT_MOST => return Err(Malformed),
            3 => Value::Document(self.document(depth + 1)?),
            4 => Value::Array(self.document(depth + 1)?),
            8 => Value::Bool(self.array()? != [0]),
            16 => Value::Int32(i32::from_le_bytes(self.array()?)),
            18 => Value::Int64(i64::from_le_bytes(self.array()?)),
            other => {
                self.pass(other)?;
                Value::Other(other)
            }
        };
        Ok(value)
    }

    /// Passes over a value of a kind that nobody here asks for.
    fn pass(&mut self, tag: u8) -> Result<(), Malformed> {
        let length = match tag {
            // Binary: the length does not count the byte of its kind.
            5 => self.length()? + 1,
            // An id of twelve bytes.
            7 => 12,
            // Null, and the ends of all orders.
            10 | 127 | 255 => 0,
            // A date, and a time of the log.
            9 | 17 => 8,
            // A decimal number.
            19 => 16,
            _ => return Err(Malformed),
        };
        self.take(length).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed() -> Document {
        let member = |number: i32| Document::default().with("_id", number).with("host", "127.0.0.1:1");
        Document::default()
            .with("text", "é")
            .with("yes", true)
            .with("small", -7)
            .with("large", i64::MIN)
            .with("half", Value::Double(0.5))
            .with("members", vec![member(0), member(1)])
            .with("empty", Document::default())
    }

    #[test]
    fn a_document_comes_back_as_it_was() {
        assert_eq!(Document::decode(&mixed().encode()), Ok(mixed()));
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let hello = Document::default().with("hello", "world").encode();
        assert_eq!(hello, b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00");
    }

    #[test]
    fn kinds_that_nobody_asks_for_are_passed_over() {
        let kinds: [(u8, &[u8]); 5] =
            [(5, b"\x02\0\0\0\0ab"), (7, &[9; 12]), (9, &[9; 8]), (10, b""), (17, &[9; 8])];
        for (tag, value) in kinds {
            let after = [b"\x10after\0".as_slice(), &7_i32.to_le_bytes(), &[0]].concat();
            let body = [&[tag, b'x', 0], value, &after].concat();
            let length = u32::try_from(body.len() + 4).unwrap().to_le_bytes();
            let document = Document::decode(&[&length, &body[..]].concat()).unwrap();
            assert_eq!(document.get("x"), Some(&Value::Other(tag)));
            assert_eq!(document.number("after"), Some(7));
        }
    }

    #[test]
    fn every_piece_of_a_document_is_refused() {
        let whole = mixed().encode();
        for length in 0..whole.len() {
            assert_eq!(Document::decode(&whole[..length]), Err(Malformed));
        }
        assert_eq!(Document::decode(&[&whole[..], &[0]].concat()), Err(Malformed));
    }

    #[test]
    fn documents_in_documents_end_somewhere() {
        let deep =
            (0..=DEPTH_AT_MOST).fold(Document::default(), |inner, _| Document::default().with("d", inner));
        assert_eq!(Document::decode(&deep.encode()), Err(Malformed));
    }
}
