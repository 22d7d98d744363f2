//! The failover protocol, model-checked: the transitions are the production step functions of
//! [`holdover_layers::failover::Chain`]. Every schedule of the named processes and faults is visited.

mod nodes;
mod processes;
mod runs;
mod spec;
mod world;
