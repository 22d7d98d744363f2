//! The attributes of a session, as the stand-ins keep them: lines of text.

use std::collections::BTreeMap;

use crate::job::{Answer, Failure, Work};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, u64>);

impl Attributes {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(bytes)?;
        let mut attributes = BTreeMap::new();
        for line in text.lines() {
            let (name, value) = line.split_once('=').ok_or("a line is no attribute")?;
            attributes.insert(name.to_owned(), value.parse()?);
        }
        Ok(Self(attributes))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let lines: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        lines.concat().into_bytes()
    }

    /// What the application does to them. A counter adds to what was read.
    pub(crate) fn change(&mut self, work: Work) {
        match work {
            Work::Set(name, value) => {
                self.0.insert(name.to_owned(), value);
            }
            Work::Count => *self.0.entry("n".to_owned()).or_default() += 1,
            Work::Untouched | Work::Read | Work::LogOut => {}
        }
    }

    /// In the order of their names.
    pub(crate) fn values(&self) -> impl Iterator<Item = u64> {
        self.0.values().copied()
    }

    pub(crate) fn answer(&self, id: &str) -> Answer {
        let names = self.0.keys().cloned().collect();
        Answer { id: Some(id.to_owned()), found: true, n: self.0.get("n").copied(), names }
    }
}
