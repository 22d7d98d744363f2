//! The history checkers examined: a judge that has not been judged proves nothing.

mod append;
mod bench;
mod exhaustive;
mod known;
mod recorded;
