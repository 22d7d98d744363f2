//! What every variant keeps in a session, and what a request may do with it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The number that requests read and change.
pub const COUNTER: &str = "counter";

/// The ten texts beside it.
pub const TEXTS: [&str; 10] =
    ["user", "name", "email", "locale", "csrf", "basket", "address", "history", "flash", "return_to"];

/// How long sessions live, in seconds: holdover's default idle time-out, and the same for everybody.
pub const LIFETIME_SECONDS: u16 = 30 * 60;

/// Eighty-nine characters that look like the text of an attribute: with the names, eleven attributes make 1 KB.
pub fn text(name: &str) -> String {
    let mut text = format!("{name}:");
    let mut letter = name.bytes().map(usize::from).sum::<usize>();
    while text.len() < 89 {
        letter = letter * 31 + 7;
        text.push(char::from(b'a' + (letter % 26) as u8));
    }
    text
}

/// A session as a raw handler keeps it.
pub trait Attributes: Serialize + for<'a> Deserialize<'a> + Send + Sync {
    /// All eleven attributes.
    fn fresh() -> Self;
    /// The number.
    fn counter(&self) -> u64;
    /// Changes the number.
    fn set_counter(&mut self, counter: u64);
}

/// What a handler written by hand has: its own type, known to the compiler. The cheapest form.
#[derive(Debug, Serialize, Deserialize)]
pub struct Typed {
    counter: u64,
    user: String,
    name: String,
    email: String,
    locale: String,
    csrf: String,
    basket: String,
    address: String,
    history: String,
    flash: String,
    return_to: String,
}

impl Attributes for Typed {
    fn fresh() -> Self {
        let [user, name, email, locale, csrf, basket, address, history, flash, return_to] = TEXTS.map(text);
        Self { counter: 0, user, name, email, locale, csrf, basket, address, history, flash, return_to }
    }

    fn counter(&self) -> u64 {
        self.counter
    }

    fn set_counter(&mut self, counter: u64) {
        self.counter = counter;
    }
}

/// What a session library has: names and values that only the application knows.
impl Attributes for Map<String, Value> {
    fn fresh() -> Self {
        let mut attributes = Self::new();
        attributes.insert(COUNTER.to_owned(), 0.into());
        for name in TEXTS {
            attributes.insert(name.to_owned(), text(name).into());
        }
        attributes
    }

    fn counter(&self) -> u64 {
        self.get(COUNTER).and_then(Value::as_u64).unwrap_or_default()
    }

    fn set_counter(&mut self, counter: u64) {
        self.insert(COUNTER.to_owned(), counter.into());
    }
}

/// The name of the attribute that request number `number` of a race sets.
pub fn race_attribute(number: usize) -> String {
    format!("race-{number}")
}

/// What a race has left in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaceResult {
    /// How many of the attributes are there.
    pub attributes: usize,
    /// The number.
    pub counter: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_kilobyte_in_either_form() {
        let typed = serde_json::to_vec(&Typed::fresh()).unwrap();
        let map = serde_json::to_vec(&Map::fresh()).unwrap();
        assert_eq!(typed.len(), map.len());
        assert!((1000..1100).contains(&typed.len()), "{}", typed.len());
    }
}
