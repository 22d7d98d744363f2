//! What is shown: one picture that is redrawn in a terminal, one line an event elsewhere.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::sync::atomic::{AtomicU64, Ordering};

use holdover::api::{Clock, SystemClock};

use super::history::{Count, History, state};
use super::world::World;
use super::{Settings, Summary};

/// So many of the latest periods and events fit a small terminal.
const LATEST: usize = 5;

/// Where it is shown.
pub(crate) struct Screen {
    settings: Settings,
    /// Lines of the picture that is there.
    drawn: usize,
    /// Events that have been printed.
    printed: usize,
}

impl Screen {
    pub(crate) fn new(settings: Settings) -> Self {
        let Settings { period, boundaries, sessions, clients, .. } = settings;
        println!(
            "Tables of {} s each, {sessions} sessions in use by {clients} clients, each ending after {} s without a request; \
             visitors who leave their session behind or log out; until {boundaries} boundaries have been crossed.\n",
            period.as_secs(),
            (period / 2).as_secs_f32()
        );
        Self { settings, drawn: 0, printed: 0 }
    }

    pub(crate) fn show(&mut self, history: &History, world: &World) {
        if self.settings.redraws {
            self.redraw(history, world);
            return;
        }
        for event in &history.events[self.printed..] {
            println!("{:6.1} s  {}", event.at.as_secs_f32(), event.what);
        }
        self.printed = history.events.len();
    }

    fn redraw(&mut self, history: &History, world: &World) {
        let picture = self.picture(history, world);
        let mut out = stdout().lock();
        // Up to where the picture began, and away with it. A terminal that is gone sees nothing, which is no failure.
        let back = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        let _ = write!(out, "{back}{picture}").and_then(|()| out.flush());
        self.drawn = picture.lines().count();
    }

    fn picture(&self, history: &History, world: &World) -> String {
        let mut text = String::new();
        let now = SystemClock.now();
        let (crossed, all) = (history.boundaries(), self.settings.boundaries);
        let seconds = history.elapsed().as_secs_f32();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{seconds:6.1} s   {crossed} of {all} boundaries crossed\n");
        let (table, state_of, part) = ("table", "state", "part");
        let _ = writeln!(
            text,
            "{table:<32}{state_of:<10}{part:<9}{:>6}{:>12}{:>12}{:>8}",
            "live", "carried on", "logged out", "ended"
        );
        for table in &history.tables {
            let _ = writeln!(
                text,
                "{:<32}{:<10}{:<9}{:>6}{:>12}{:>12}{:>8}",
                table.table,
                state(table),
                history.part(table, now),
                table.live,
                table.carried_on,
                table.logged_out,
                table.ended
            );
        }
        let _ = writeln!(
            text,
            "\n{:<12}{:>10}{:>8}{:>12}{:>13}{:>22}",
            "period", "requests", "calls", "read units", "write units", "writes acknowledged"
        );
        let over = history.periods.len();
        let from = over.saturating_sub(LATEST);
        for (number, period) in history.periods.iter().enumerate().skip(from) {
            row(&mut text, &(number + 1).to_string(), period);
        }
        row(&mut text, &format!("{} (now)", over + 1), &history.running);
        let _ = writeln!(
            text,
            "\nlost: {}   logged out unasked: {}   back after a log-out: {}\n",
            read(&world.broken.lost),
            read(&world.broken.vanished),
            read(&world.broken.resurrected)
        );
        // Periods have rows of their own.
        let of_tables: Vec<_> =
            history.events.iter().filter(|event| !event.what.starts_with("period")).collect();
        for event in &of_tables[of_tables.len().saturating_sub(LATEST)..] {
            let _ = writeln!(text, "{:6.1} s  {}", event.at.as_secs_f32(), event.what);
        }
        text
    }
}

fn row(text: &mut String, name: &str, count: &Count) {
    let Count { requests, acknowledged, calls, read_units, write_units } = count;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{name:<12}{requests:>10}{calls:>8}{read_units:>12.1}{write_units:>13.1}{acknowledged:>22}"
    );
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// What it came to, for a reader of the output.
pub(crate) fn print_summary(summary: &Summary, world: &World) {
    let counts = &world.counts;
    println!("\n| at the end, after an audit of everything | |\n|---|--:|");
    println!("| boundaries crossed | {} |", summary.boundaries);
    println!("| tables made / dropped | {} / {} |", summary.tables_made, summary.tables_dropped);
    println!("| requests | {} |", read(&counts.requests));
    println!("| of them failed | {} |", read(&counts.failed));
    println!("| sessions in use | {} |", world.regulars());
    println!("| of them ended because nobody came in time | {} |", read(&counts.timed_out));
    println!("| acknowledged writes | {} |", summary.acknowledged);
    println!("| of them lost | {} |", summary.lost);
    println!("| sessions not found before their deadline: logged out | {} |", summary.vanished);
    println!("| sessions left behind by visitors | {} |", read(&counts.left_behind));
    println!("| log-outs | {} |", read(&counts.logged_out));
    println!("| of them undone | {} |", summary.resurrected);
    println!("| questions of the audit that failed | {} |", summary.unanswered);
    if let Some(failure) = world.failure() {
        println!("\nThe last request that failed: {failure}");
    }
}
