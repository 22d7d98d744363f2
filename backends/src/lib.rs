//! Stores for Holdover.
