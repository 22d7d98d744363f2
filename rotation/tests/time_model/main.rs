//! Time under rotation, model-checked: clocks that differ, slow writes, late and slow tables, nodes that sleep, restart or
//! know of a new table later than others. One session on two nodes; what reads, writes, creates and drops when is decided
//! by the production [`holdover_rotation::Schedule`] and [`holdover_rotation::plan`].

mod ancestor;
mod conduct;
mod runs;
mod state;
mod world;
