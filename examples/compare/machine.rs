//! How busy the machine was with something else.

use std::fs;

use crate::result::Machine;
use crate::stacks::Fallible;

/// Processor time so far, in ticks of a hundredth of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ticks {
    all: f64,
    busy: f64,
    stolen: f64,
    /// Of this process, and of its children that have ended.
    own: f64,
}

impl Ticks {
    /// Reads them. Servers count from when they have ended: begin before the first starts, and end after the last.
    pub(crate) fn read() -> Fallible<Self> {
        let machine = fs::read_to_string("/proc/stat")?;
        let process = fs::read_to_string("/proc/self/stat")?;
        Self::parse(&machine, &process).ok_or_else(|| "/proc/stat has another form".into())
    }

    fn parse(machine: &str, process: &str) -> Option<Self> {
        let line = machine.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<f64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let [user, nice, system, idle, waiting, irq, softirq, stolen, ..] = times[..] else { return None };
        let busy = user + nice + system + irq + softirq;
        // The program's name is in brackets and may hold anything: what counts comes after it.
        let fields: Vec<&str> = process.rsplit_once(')')?.1.split_whitespace().collect();
        let own = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
        Some(Self { all: busy + idle + waiting + stolen, busy, stolen, own })
    }

    /// The shares between two readings.
    pub(crate) fn until(self, later: Self) -> Machine {
        let all = (later.all - self.all).max(1.0);
        let own = later.own - self.own;
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            own_share: own / all,
            others_share: ((later.busy - self.busy - own) / all).max(0.0),
            stolen_share: (later.stolen - self.stolen) / all,
            parts: Vec::new(),
        }
    }
}

/// The load average of the last minute: how many wanted a processor, this program and its servers included.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Seconds of processor time that a process has had, all threads together.
pub(crate) fn processor_seconds(process: u32) -> Fallible<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedule = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += schedule.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_idle_nor_ours_is_others() {
        let process = "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 30 10 5 5 20 0";
        let before =
            Ticks::parse("cpu  100 0 100 800 0 0 0 0 0 0\n", &process.replace("30 10 5 5", "0 0 0 0"));
        let after = Ticks::parse("cpu  160 0 120 900 0 0 0 20 0 0\n", process);
        let (before, after) = (before.expect("it is read"), after.expect("it is read"));
        let machine = before.until(after);
        assert_eq!((machine.own_share, machine.others_share, machine.stolen_share), (0.25, 0.15, 0.1));
        assert_eq!(Ticks::parse("cpu  1 2\n", process), None);
    }
}
