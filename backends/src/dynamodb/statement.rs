//! The expressions in which DynamoDB is asked the questions of the judge.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use holdover_api::{Deadline, Delta, On, Stamp, Standing, Timestamp, Write, frame};

use super::layout::{
    ATTRIBUTES, CREATED, DEADLINE, FORMAT, FORMAT_NUMBER, Item, KEY, MOVED, REMOVE_AFTER, ROOM, STAMPS,
    TOMBSTONE, WRITES, bytes, count, encode_name, map, moment, number, remove_after,
};

/// More names in one delta are written as a whole record: an expression may have 4 KB and 300 operators.
const MOST_NAMES: usize = 64;

/// Names in an expression may not be longer, for some servers; longer ones are written as a whole record.
const LONGEST_IN_EXPRESSION: usize = 255;

/// A condition, and a change if it is one of a single update.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

/// What is known of the deadline that stands, for want of a maximum in DynamoDB's expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// It is at most the one that is asked for: that one is set.
    Later,
    /// It is at least the one that is asked for, and stays.
    Not,
    /// It does not matter.
    Exactly,
}

/// How the tables are kept that a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// One table, with a time to live for each item.
    Alone,
    /// Tables that follow each other: what was carried on is not changed any more, and goes with its table.
    InTurn,
}

impl Moves {
    /// How a write moves the deadline, if this is the one that stands; unknown, it is taken to move later, as most do.
    pub(super) fn of(deadline: Deadline, standing: Option<Timestamp>) -> Self {
        match (deadline, standing) {
            (Deadline::Exactly(_), _) => Self::Exactly,
            (Deadline::AtLeast(moment), Some(standing)) if standing > moment => Self::Not,
            (Deadline::AtLeast(_), _) => Self::Later,
        }
    }
}

impl Statement {
    fn value(&mut self, name: &str, value: AttributeValue) {
        self.values.insert(name.to_owned(), value);
    }

    fn and(&mut self, condition: &str) {
        if !self.condition.is_empty() {
            self.condition.push_str(" AND ");
        }
        self.condition.push_str(condition);
    }

    fn set(&mut self, change: &str) {
        self.update.push_str(if self.update.is_empty() { "SET " } else { ", " });
        self.update.push_str(change);
    }

    fn of_this_format() -> Self {
        let mut statement = Self::default();
        statement.value(":format", number(FORMAT_NUMBER));
        statement
    }

    /// Nothing that is alive, and no tombstone that still stands, is there.
    pub(super) fn over_nothing(now: Timestamp) -> Self {
        let mut statement = Self::of_this_format();
        statement.value(":now", moment(now));
        statement
            .and(&format!("(attribute_not_exists({KEY}) OR ({FORMAT} = :format AND {DEADLINE} <= :now))"));
        statement
    }

    /// Exactly this is there, and has not ended.
    pub(super) fn over(standing: Standing, now: Timestamp) -> Self {
        let mut statement = Self::of_this_format();
        statement.value(":now", moment(now));
        statement.value(":head", bytes(standing.head.as_bytes()));
        statement.value(":standing", moment(standing.deadline));
        statement.value(":map", AttributeValue::S("M".to_owned()));
        let head = STAMPS[0];
        statement.and(&format!(
            "{FORMAT} = :format AND {head} = :head AND {DEADLINE} = :standing AND {DEADLINE} > :now AND \
             (attribute_exists({TOMBSTONE}) OR attribute_type({ATTRIBUTES}, :map))"
        ));
        statement
    }

    /// Nothing at all is there, not even what has ended.
    pub(super) fn over_no_item() -> Self {
        let mut statement = Self::default();
        statement.and(&format!("attribute_not_exists({KEY})"));
        statement
    }

    /// Exactly this is there, ended or not, and was not carried on.
    pub(super) fn exactly(standing: Standing) -> Self {
        let mut statement = Self::of_this_format();
        statement.value(":head", bytes(standing.head.as_bytes()));
        statement.value(":standing", moment(standing.deadline));
        statement.value(":map", AttributeValue::S("M".to_owned()));
        let head = STAMPS[0];
        statement.and(&format!(
            "{FORMAT} = :format AND attribute_not_exists({MOVED}) AND {head} = :head AND {DEADLINE} = :standing AND \
             (attribute_exists({TOMBSTONE}) OR attribute_type({ATTRIBUTES}, :map))"
        ));
        statement
    }

    /// All of this is there, whatever it means.
    pub(super) fn over_wreck(wreck: &Item) -> Self {
        let mut statement = Self::default();
        statement.and(&format!("attribute_exists({KEY})"));
        for (index, (name, value)) in wreck.iter().filter(|(name, _)| *name != KEY).enumerate() {
            let path = format!("#w{index}");
            statement.names.insert(path.clone(), name.clone());
            match value {
                AttributeValue::M(map) if map.len() <= MOST_NAMES => statement.is_map(&path, map),
                _ => statement.is_value(&path, value),
            }
        }
        statement
    }

    fn is_value(&mut self, path: &str, value: &AttributeValue) {
        let name = format!(":{}", path.trim_start_matches('#').replace(".#", "_"));
        self.and(&format!("{path} = {name}"));
        self.value(&name, value.clone());
    }

    /// Value by value: servers that stand in for DynamoDB find no map equal to another.
    fn is_map(&mut self, path: &str, map: &Item) {
        let name = format!(":{}", path.trim_start_matches('#'));
        self.and(&format!("size({path}) = {name}"));
        self.value(&name, count(map.len()));
        for (index, (within, value)) in map.iter().enumerate() {
            let inner = format!("#v{index}");
            self.names.insert(inner.clone(), within.clone());
            self.is_value(&format!("{path}.{inner}"), value);
        }
    }

    /// Makes a tombstone of a record, alive or not, that was not carried on.
    pub(super) fn bury(stamp: Stamp) -> Self {
        let mut statement = Self::of_this_format();
        statement.value(":map", AttributeValue::S("M".to_owned()));
        statement.value(":bytes", AttributeValue::S("B".to_owned()));
        statement.value(":buried", AttributeValue::Bool(true));
        let head = STAMPS[0];
        statement.and(&format!(
            "{FORMAT} = :format AND attribute_not_exists({MOVED}) AND attribute_not_exists({TOMBSTONE}) AND \
             attribute_type({ATTRIBUTES}, :map) AND attribute_type({head}, :bytes)"
        ));
        statement.shift_stamps(stamp);
        statement.set(&format!("{TOMBSTONE} = :buried"));
        statement.update.push_str(&format!(" REMOVE {ATTRIBUTES}, {CREATED}, {ROOM}"));
        statement
    }

    /// Seals what it changes: it goes on in the table with this number.
    pub(super) fn sealing(mut self, to: u64) -> Self {
        self.value(":to", number(to));
        // In front: what is removed comes last.
        self.update = self.update.replacen("SET ", &format!("SET {MOVED} = :to, "), 1);
        self
    }

    /// A live session of this format is there.
    fn over_the_living(now: Timestamp, kept: Kept) -> Self {
        let mut statement = Self::of_this_format();
        statement.value(":now", moment(now));
        statement.value(":map", AttributeValue::S("M".to_owned()));
        statement.value(":bytes", AttributeValue::S("B".to_owned()));
        let head = STAMPS[0];
        statement.and(&format!(
            "{FORMAT} = :format AND attribute_not_exists({TOMBSTONE}) AND {DEADLINE} > :now AND \
             attribute_type({ATTRIBUTES}, :map) AND attribute_type({head}, :bytes)"
        ));
        if kept == Kept::InTurn {
            statement.and(&format!("attribute_not_exists({MOVED})"));
        }
        statement
    }

    /// Extends a live session.
    pub(super) fn touch(deadline: Timestamp, now: Timestamp, kept: Kept) -> Self {
        let mut statement = Self::over_the_living(now, kept);
        statement.move_deadline(Moves::Later, deadline, now, kept);
        // What already lasts as long needs no write.
        statement.and(&format!("{DEADLINE} <> :deadline"));
        statement
    }

    /// Merges a write into a live session that nobody has to have read: S6, S7, S9 in one update. Nothing if that does
    /// not fit an expression, or cannot fit `max_bytes`.
    pub(super) fn merge(
        write: &Write,
        moves: Moves,
        now: Timestamp,
        max_bytes: usize,
        kept: Kept,
    ) -> Option<Self> {
        let delta = &write.delta;
        if !is_expressible(delta) || frame::EMPTY_SIZE + added(delta) > max_bytes {
            return None;
        }
        let mut statement = Self::over_the_living(now, kept);
        statement.push_stamp(write.stamp);
        if let On::Head(head) = write.on {
            statement.value(":head", bytes(head.as_bytes()));
            statement.and(&format!("{} = :head", STAMPS[0]));
        }
        statement.move_deadline(moves, write.deadline.moment(), now, kept);
        if delta.clears() {
            statement.value(":all", map(delta.sets()));
            statement.value(":room", count(frame::EMPTY_SIZE + added(delta)));
            statement.set(&format!("{ATTRIBUTES} = :all, {ROOM} = :room"));
        } else {
            statement.change_attributes(delta, max_bytes);
        }
        Some(statement)
    }

    /// Pushes a stamp that is not there yet. All right-hand sides are read before anything is written.
    fn push_stamp(&mut self, stamp: Stamp) {
        self.and(&format!("NOT :stamp IN ({})", STAMPS.join(", ")));
        self.shift_stamps(stamp);
    }

    fn shift_stamps(&mut self, stamp: Stamp) {
        self.value(":stamp", bytes(stamp.as_bytes()));
        self.value(":one", number(1));
        for pair in STAMPS.windows(2).rev() {
            self.set(&format!("{} = {}", pair[1], pair[0]));
        }
        self.set(&format!("{} = :stamp, {WRITES} = {WRITES} + :one", STAMPS[0]));
    }

    fn move_deadline(&mut self, moves: Moves, deadline: Timestamp, now: Timestamp, kept: Kept) {
        match moves {
            Moves::Later => self.and(&format!("{DEADLINE} <= :deadline")),
            Moves::Not => self.and(&format!("{DEADLINE} >= :deadline")),
            Moves::Exactly => {}
        }
        self.value(":deadline", moment(deadline));
        if moves == Moves::Not {
            return;
        }
        self.set(&format!("{DEADLINE} = :deadline"));
        if kept == Kept::Alone {
            self.value(":remove", remove_after(deadline, now));
            self.set(&format!("{REMOVE_AFTER} = :remove"));
        }
    }

    fn change_attributes(&mut self, delta: &Delta, max_bytes: usize) {
        let added = added(delta);
        // Also of a write that adds nothing: its stamp makes a young session larger.
        self.value(":room", count(max_bytes - added));
        self.and(&format!("{ROOM} <= :room"));
        if added > 0 {
            self.value(":added", count(added));
            self.set(&format!("{ROOM} = {ROOM} + :added"));
        }
        for (index, (name, value)) in delta.sets().iter().enumerate() {
            self.names.insert(format!("#s{index}"), encode_name(name));
            self.value(&format!(":s{index}"), bytes(value));
            self.set(&format!("{ATTRIBUTES}.#s{index} = :s{index}"));
        }
        for (index, name) in delta.removes().iter().enumerate() {
            self.names.insert(format!("#r{index}"), encode_name(name));
            // Writing to a string cannot fail.
            let _ =
                write!(self.update, "{}{ATTRIBUTES}.#r{index}", if index == 0 { " REMOVE " } else { ", " });
        }
    }
}

/// What a delta adds to a session at most.
pub(super) fn added(delta: &Delta) -> usize {
    delta.sets().iter().map(|(name, value)| frame::attribute_size(name.len(), value.len())).sum()
}

fn is_expressible(delta: &Delta) -> bool {
    let mut names = delta.sets().keys().chain(delta.removes());
    if delta.clears() {
        return true;
    }
    delta.sets().len() + delta.removes().len() <= MOST_NAMES
        && names.all(|name| name.len() < LONGEST_IN_EXPRESSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn write(delta: Delta) -> Write {
        let (on, stamp) = (On::Live, Stamp::from_bytes([1; 16]));
        Write { on, delta, stamp, deadline: Deadline::AtLeast(at(9)), base: None }
    }

    #[test]
    fn the_largest_expression_stays_below_the_limits() {
        let mut delta = Delta::default();
        for index in 0..MOST_NAMES / 2 {
            delta.set(format!("{index:0>254}"), vec![7; 10]);
            delta.remove(format!("{index:x>254}"));
        }
        let mut large = write(delta.clone());
        large.on = On::Head(Stamp::from_bytes([2; 16]));
        let statement =
            Statement::merge(&large, Moves::Later, at(1), 400_000, Kept::InTurn).expect("it fits");
        assert!(statement.update.len() < 4096 && statement.condition.len() < 4096);
        let operators = statement.update.matches(['=', '+', ',']).count()
            + statement.condition.matches([' ', ',']).count();
        assert!(operators < 300, "{operators}");
        delta.remove("one more");
        assert!(Statement::merge(&write(delta), Moves::Later, at(1), 400_000, Kept::InTurn).is_none());
    }

    #[test]
    fn what_cannot_fit_is_not_sent() {
        let mut delta = Delta::default();
        delta.set("a", vec![0; 1000]);
        assert!(Statement::merge(&write(delta.clone()), Moves::Later, at(1), 900, Kept::InTurn).is_none());
        assert!(Statement::merge(&write(delta), Moves::Later, at(1), 1300, Kept::InTurn).is_some());
        let mut long = Delta::default();
        long.remove("n".repeat(300));
        assert!(Statement::merge(&write(long), Moves::Later, at(1), 1300, Kept::InTurn).is_none());
    }

    #[test]
    fn a_deadline_that_is_known_to_stand_later_is_left_alone() {
        assert_eq!(Moves::of(Deadline::AtLeast(at(5)), None), Moves::Later);
        assert_eq!(Moves::of(Deadline::AtLeast(at(5)), Some(at(5))), Moves::Later);
        assert_eq!(Moves::of(Deadline::AtLeast(at(5)), Some(at(6))), Moves::Not);
        assert_eq!(Moves::of(Deadline::Exactly(at(5)), Some(at(6))), Moves::Exactly);
        let statement = Statement::merge(&write(Delta::default()), Moves::Not, at(1), 900, Kept::InTurn)
            .expect("it fits");
        assert!(!statement.update.contains(":deadline"), "{}", statement.update);
        assert!(statement.condition.contains("e >= :deadline"), "{}", statement.condition);
    }
}
