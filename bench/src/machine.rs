//! What the kernel says about processes and about the machine. Linux only.

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::Failure;

/// Ticks of /proc/stat a second: the same on every Linux that this runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// The time, for measurements.
#[allow(clippy::disallowed_methods, reason = "a bench measures time")]
pub fn now() -> Instant {
    Instant::now()
}

pub fn processors() -> Result<usize, Failure> {
    let count = fs::read_to_string("/proc/stat")?.lines().filter(|line| is_processor(line)).count();
    if count < 2 {
        return Err("the application needs a processor of its own: use a machine with two".into());
    }
    Ok(count)
}

fn is_processor(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The CPU time that the threads of a process have used, user and system together, in seconds: what `/proc/…/stat` says
/// in hundredths of a second, the scheduler says in nanoseconds for each thread.
///
/// A thread that has ended takes its time with it; the applications keep theirs while they serve.
pub fn cpu_seconds(process: u32) -> Result<f64, Failure> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(schedule) = fs::read_to_string(thread?.path().join("schedstat")) else {
            // It has ended since the directory was read. If the kernel says nothing of any thread, see below.
            continue;
        };
        let on_processor = schedule.split(' ').next().and_then(|number| number.parse::<f64>().ok());
        nanoseconds += on_processor.ok_or("/proc/…/schedstat has another form")?;
    }
    if nanoseconds == 0.0 {
        return Err("the kernel does not say what a process has used: no /proc/…/schedstat".into());
    }
    Ok(nanoseconds / 1e9)
}

/// The time that all processors together were busy, and that they were stolen from this machine, in seconds.
pub fn busy_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("/proc/stat is empty")?;
    let times: Vec<f64> = line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    let [user, nice, system, _idle, _waiting, hard, soft, stolen, ..] = times[..] else {
        return Err("/proc/stat has another form".into());
    };
    Ok((user + nice + system + hard + soft + stolen) / TICKS_A_SECOND)
}

/// One line about the machine, the day and the versions.
pub fn describe(redis_version: &str) -> Result<String, Failure> {
    let model = fs::read_to_string("/proc/cpuinfo")?;
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ':', ' ']);
    Ok(format!(
        "{day} · {processors} processors ({model}), loopback · {kernel} · {rustc} · Redis {redis_version} · {crates}",
        day = output("date", &["-u", "+%F"])?,
        processors = processors()?,
        kernel =
            output("uname", &["-s"])? + " " + output("uname", &["-r"])?.split('-').next().unwrap_or_default(),
        rustc = output("rustc", &["--version"])?.split(" (").next().unwrap_or_default(),
        crates = versions().join(", "),
    ))
}

fn output(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The versions that this program was built with.
fn versions() -> Vec<String> {
    const SHOWN: [&str; 9] = [
        "axum",
        "redis",
        "tower-sessions",
        "tower-sessions-redis-store",
        "fred",
        "actix-web",
        "actix-session",
        "tokio",
        "serde_json",
    ];
    let lock = include_str!("../Cargo.lock");
    let mut versions = Vec::new();
    for name in SHOWN {
        let heading = format!("name = \"{name}\"\nversion = \"");
        for package in lock.split(&heading[..]).skip(1) {
            let version = package.split('"').next().unwrap_or_default();
            versions.push(format!("{name} {version}"));
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        assert!(cpu_seconds(std::process::id()).unwrap() > 0.0);
        assert!(busy_seconds().unwrap() > 0.0);
    }

    #[test]
    fn the_versions_of_the_peers_are_in_the_lock_file() {
        let versions = versions();
        assert!(
            versions.iter().any(|version| version.starts_with("tower-sessions-redis-store 0.16.")),
            "{versions:?}"
        );
        assert!(versions.iter().any(|version| version.starts_with("redis 1.")), "{versions:?}");
    }
}
