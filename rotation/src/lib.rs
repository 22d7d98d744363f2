//! Expiry by dropping whole tables, for stores in which deleting sessions one by one costs money.
//!
//! Pure: no client library is named here. `README.md` has the protocol ("seal and carry") and its argument.

mod generation;

pub use generation::Generation;
