//! The command line.

use std::time::Duration;

use clap::Parser;
use holdover::SessionLayerBuilder;
use holdover::api::{DEFAULT_ABSOLUTE_TIMEOUT, DEFAULT_IDLE_TIMEOUT};

/// One node of the demonstration application.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Where the sessions are kept, such as memory: or redis://127.0.0.1:6379
    #[arg(long, value_name = "URL")]
    pub(crate) store: String,

    /// Where to listen, as host:port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    /// Ends a session that was not used for so many seconds [default: 1800]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    idle_seconds: Option<u64>,

    /// Ends a session so many seconds after it began, however much it is used [default: 86400]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_seconds: Option<u64>,

    /// Lets the cookie travel over plain HTTP, for development
    #[arg(long)]
    insecure_cookies: bool,
}

impl Arguments {
    /// The default of the one time-out makes room for the other; of two that are given the shorter one acts.
    pub(crate) fn timeouts(&self) -> (Duration, Duration) {
        let asked_idle = self.idle_seconds.map_or(DEFAULT_IDLE_TIMEOUT, Duration::from_secs);
        let default_absolute = DEFAULT_ABSOLUTE_TIMEOUT.max(asked_idle);
        let absolute = self.max_seconds.map_or(default_absolute, Duration::from_secs);
        (asked_idle.min(absolute), absolute)
    }

    pub(crate) fn apply(&self, builder: SessionLayerBuilder) -> SessionLayerBuilder {
        let (idle, absolute) = self.timeouts();
        let timed = builder.with_idle_timeout(idle).with_absolute_timeout(absolute);
        if self.insecure_cookies { timed.insecure_development_cookies() } else { timed }
    }
}
