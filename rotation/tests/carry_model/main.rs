//! "Seal and carry", model-checked: the transitions are the production step functions of
//! [`holdover_rotation::carry::Carry`]. Every schedule of the named processes, boundaries, drops and faults is visited.

mod ancestors;
mod mutants;
mod processes;
mod properties;
mod runs;
mod spec;
mod tables;
mod world;
