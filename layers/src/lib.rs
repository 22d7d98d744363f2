//! Decorators over any [`SessionStore`](holdover_api::SessionStore): a stack of layers is a store, and takes the same exam.

pub mod failover;
