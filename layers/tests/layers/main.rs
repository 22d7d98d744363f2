//! What each layer does, over a memory store that fails, hangs and waits on cue.

mod failover;
mod faults;
mod half_way;
mod metrics;
#[cfg(feature = "near-cache")]
mod near_cache;
mod retry;
mod settings;
#[cfg_attr(not(feature = "near-cache"), allow(dead_code, reason = "only the near cache needs gates"))]
mod stage;
mod timeout;
mod trace;
