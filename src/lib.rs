//! Web sessions that hold.
