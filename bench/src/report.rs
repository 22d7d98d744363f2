//! Medians, paired ratios and tables.

use std::fmt::Write;

use crate::Failure;
use crate::app::Kind;
use crate::commands::Commands;
use crate::machine;
use crate::run::{EQUAL_LOAD, MODIFY, READ, ROLLING, Row, Scenario};

/// What one measurement gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Requests a second.
    pub per_second: f64,
    /// Microseconds.
    pub p50: f64,
    /// Microseconds.
    pub p99: f64,
    /// CPU microseconds of the application per request.
    pub app: f64,
    /// CPU microseconds of Redis per request.
    pub redis: f64,
    /// CPU microseconds of the application per request, at the load that all get.
    pub app_at_equal_load: f64,
    /// The share of the whole machine that was used by neither of them nor by the client.
    pub others: f64,
}

/// All that was measured.
#[derive(Debug)]
pub struct Report {
    about: String,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    scenario: Scenario,
    commands: Vec<Commands>,
    /// For each row, the figures of each round.
    rounds: Vec<Vec<Figures>>,
}

/// Median and extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            return Self { least: f64::NAN, median: f64::NAN, most: f64::NAN };
        };
        let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { least, median, most }
    }

    fn as_ratio(&self) -> String {
        format!("{:.2} ({:.2}–{:.2})", self.median, self.least, self.most)
    }
}

impl Report {
    pub fn new(redis_version: &str) -> Result<Self, Failure> {
        Ok(Self { about: machine::describe(redis_version)?, tables: Vec::new() })
    }

    pub fn add(&mut self, scenario: Scenario, commands: Vec<Commands>) {
        let rounds = vec![Vec::new(); scenario.rows.len()];
        self.tables.push(Table { scenario, commands, rounds });
    }

    pub fn scenarios(&self) -> usize {
        self.tables.len()
    }

    pub fn scenario(&self, number: usize) -> &Scenario {
        &self.tables[number].scenario
    }

    /// Takes the figures of one row for the current round; each row has one of each round.
    pub fn record(&mut self, number: usize, row: usize, figures: Figures) {
        self.tables[number].rounds[row].push(figures);
    }

    pub fn markdown(&self, rounds: usize, seconds: f64) -> Result<String, Failure> {
        let mut text = String::new();
        writeln!(text, "{}\n", self.about)?;
        let others =
            Spread::of(self.tables.iter().flat_map(|table| table.rounds.iter().flatten()).map(|f| f.others));
        writeln!(
            text,
            "Medians of {rounds} rounds of {seconds} s. Everything else on the machine used {:.0} % of it (median; at most {:.0} %).",
            others.median * 100.0,
            others.most * 100.0,
        )?;
        for table in &self.tables {
            table.write(&mut text)?;
        }
        self.write_targets(&mut text)?;
        Ok(text)
    }

    fn write_targets(&self, text: &mut String) -> Result<(), Failure> {
        let targets = [
            (READ, Kind::Holdover, Kind::Raw, 1.15),
            (MODIFY, Kind::Holdover, Kind::Raw, 1.25),
            (ROLLING, Kind::Holdover, Kind::TowerAlwaysSave, 0.7),
            (ROLLING, Kind::HoldoverEveryTouch, Kind::TowerAlwaysSave, 0.7),
        ];
        writeln!(text, "\n### Targets\n")?;
        writeln!(
            text,
            "| application CPU of | ÷ that of | at most | as busy as can be | | at {EQUAL_LOAD}/s | |\n\
             |---|---|---|---|---|---|---|"
        )?;
        for (name, kind, other, limit) in targets {
            let Some(table) = self.tables.iter().find(|table| table.scenario.name == name) else {
                continue;
            };
            let (Some(row), Some(base)) = (table.row_of(kind), table.row_of(other)) else {
                continue;
            };
            let busy = table.ratio(row, base, |figures| figures.app);
            let equal = table.ratio(row, base, |figures| figures.app_at_equal_load);
            let verdict = |ratio: Spread| if ratio.median <= limit { "reached" } else { "missed" };
            let rows = &table.scenario.rows;
            writeln!(
                text,
                "| {}: {} | {} | {limit} | {} | {} | {} | {} |",
                name.to_lowercase(),
                rows[row].label,
                rows[base].label,
                busy.as_ratio(),
                verdict(busy),
                equal.as_ratio(),
                verdict(equal),
            )?;
        }
        Ok(())
    }
}

impl Table {
    fn row_of(&self, kind: Kind) -> Option<usize> {
        self.scenario.rows.iter().position(|row| row.kind == kind)
    }

    fn baseline(&self, row: &Row) -> Option<usize> {
        self.row_of(row.baseline())
    }

    /// The quotient of two rows in each round.
    fn ratio(&self, row: usize, base: usize, figure: fn(&Figures) -> f64) -> Spread {
        let pairs = self.rounds[row].iter().zip(&self.rounds[base]);
        Spread::of(pairs.map(|(figures, basis)| figure(figures) / figure(basis)))
    }

    fn write(&self, text: &mut String) -> Result<(), Failure> {
        writeln!(text, "\n### {}\n", self.scenario.name)?;
        writeln!(
            text,
            "| | app CPU µs | ÷ raw | app CPU µs at {EQUAL_LOAD}/s | ÷ raw | requests/s | ÷ raw | p50 µs | p99 µs | Redis CPU µs | commands |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
        )?;
        for (index, row) in self.scenario.rows.iter().enumerate() {
            let median =
                |figure: fn(&Figures) -> f64| Spread::of(self.rounds[index].iter().map(figure)).median;
            let Some(base) = self.baseline(row) else {
                continue;
            };
            let ratio = |figure: fn(&Figures) -> f64| match row.is_baseline() {
                true => "1".to_owned(),
                false => self.ratio(index, base, figure).as_ratio(),
            };
            writeln!(
                text,
                "| {} | {:.1} | {} | {:.1} | {} | {:.0} | {} | {:.0} | {:.0} | {:.1} | {} |",
                row.label,
                median(|figures| figures.app),
                ratio(|figures| figures.app),
                median(|figures| figures.app_at_equal_load),
                ratio(|figures| figures.app_at_equal_load),
                median(|figures| figures.per_second),
                ratio(|figures| figures.per_second),
                median(|figures| figures.p50),
                median(|figures| figures.p99),
                median(|figures| figures.redis),
                self.commands[index],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_extremes() {
        let odd = Spread::of([3.0, 1.0, 2.0].into_iter());
        assert_eq!(odd, Spread { least: 1.0, median: 2.0, most: 3.0 });
        let even = Spread::of([4.0, 1.0, 2.0, 3.0].into_iter());
        assert_eq!(even.median, 2.5);
        assert_eq!(even.as_ratio(), "2.50 (1.00–4.00)");
    }
}
