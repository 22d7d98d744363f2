//! The tower layer of Holdover.
