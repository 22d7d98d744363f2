//! The session handle over the memory store: what it costs, what it keeps, and what it never does.

mod budget;
mod expiry;
mod failure;
mod lifecycle;
mod races;
mod spy;
