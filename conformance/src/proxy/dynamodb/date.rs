//! A server's clock that is told: in the header `Date`, as the moment at which a table was created, and in how long it
//! takes until it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdover_api::{Clock, Timestamp};

use super::parsed;

/// The clock, when tables were created by it, and which of them are ready when.
pub(super) struct Told {
    clock: Arc<dyn Clock>,
    created: BTreeMap<String, Timestamp>,
    takes: Duration,
    ready: BTreeMap<String, Timestamp>,
}

impl Told {
    pub(super) fn by(clock: Arc<dyn Clock>) -> Self {
        Self { clock, created: BTreeMap::new(), takes: Duration::ZERO, ready: BTreeMap::new() }
    }

    /// From now on tables take so long.
    pub(super) const fn tables_take(&mut self, length: Duration) {
        self.takes = length;
    }

    /// What a request about this table is refused with, while it is being created.
    pub(super) fn refuses(&self, operation: &str, table: &str) -> Option<&'static str> {
        if self.is_ready(table) {
            return None;
        }
        match operation {
            "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => Some("ResourceNotFoundException"),
            "DeleteTable" => Some("ResourceInUseException"),
            _ => None,
        }
    }

    fn is_ready(&self, table: &str) -> bool {
        self.ready.get(table).is_none_or(|ready| *ready <= self.clock.now())
    }

    /// What the header says.
    pub(super) fn date(&self) -> String {
        http_date(self.clock.now())
    }

    /// The answer to a request about one table, if it has to be another.
    pub(super) fn table(&mut self, operation: &str, request: &[u8], answer: &[u8]) -> Option<Bytes> {
        let part = match operation {
            "CreateTable" => "TableDescription",
            "DescribeTable" => "Table",
            _ => return None,
        };
        let name = parsed(request)?.get("TableName")?.as_str()?.to_owned();
        let mut answer = parsed(answer)?;
        let told = answer.get_mut(part)?.get_mut("CreationDateTime")?;
        if operation == "CreateTable" {
            let now = self.clock.now();
            self.created.insert(name.clone(), now);
            self.ready.insert(name.clone(), now + self.takes);
        }
        let since = Duration::from_millis(self.created.get(&name)?.as_millis());
        *told = since.as_secs_f64().into();
        if !self.is_ready(&name) {
            answer[part]["TableStatus"] = "CREATING".into();
        }
        Some(answer.to_string().into())
    }
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(at: Timestamp) -> String {
    let seconds = at.as_millis() / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or_default()];
    let (mut year, mut day) = (1970, days);
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let mut month = 0;
    while day >= days_in(month, year) {
        day -= days_in(month, year);
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let (day, month) = (day + 1, MONTHS[month]);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_in(month: usize, year: u64) -> u64 {
    match month {
        1 if is_leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_writes_it() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(Timestamp::from_millis(seconds * 1000)), date);
        }
    }
}
