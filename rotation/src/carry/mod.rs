//! "Seal and carry": every operation of a store over tables that are named by time, as pure steps.
//!
//! A session is, at every moment, unsealed in at most one table. A write that meets it in an older table than the one
//! that sessions now go to *seals* it there, in the same single write that makes the change, and then *carries* it: puts
//! what was sealed into the newer table, where nothing is. The seal is the point of commitment. It stays behind and says
//! where the session went and as what, so that whoever meets it can follow, and can do the second half for a mover that
//! died in between. A logout leaves a tombstone. Nothing ever leaves a table, except with the table.
//!
//! [`Carry`] is one operation: it says what to [`Ask`] of which table and is told the [`Answer`], until it is done. It
//! knows neither a key, a clock nor a client. A store over real tables drives it; the model checker drives the very same
//! steps over tables that are three lines long (`rotation/tests/carry_model/`). [`perform`] says what each access means.
//!
//! # What it promises, and on what that rests
//!
//! The promises S1 to S17 of [`SessionStore`](holdover_api::SessionStore), on the atomicity of one conditional write to
//! one table. **No promise about data rests on a clock**, with one exception: two *installations* over nothing at all, on
//! nodes whose clocks differ by more than the allowed skew, may both succeed. That a live session is *found* rests on
//! [`Bearings::read`], which the schedule makes: on `max_skew`.
//!
//! # Where it differs from a store with one table
//!
//! - After a delete, a create under the same key is refused until the tombstone's deadline (S5). Ids are drawn anew, so
//!   nobody meets it.
//! - A delete that finds nothing may leave a tombstone all the same ([`Request::Delete`]): it stops a helper that has been
//!   asleep since before the only seal was dropped. It costs a write a logout of a session that is not there.
//! - A create reads the older tables first, once each, so that S5 and S9 hold for an id that is tried again after a
//!   boundary. Right after a boundary it also leaves a sealed note in the table before, where earlier attempts and nodes
//!   whose clocks are behind meet it.
//! - A load may write: it completes a move whose mover has died. An inspection does not (S16).
//!
//! ```
//! use std::sync::Arc;
//! use holdover_api::Timestamp;
//! use holdover_rotation::carry::{Answer, Ask, Bearings, Carry, Outcome, Request, Step};
//! use holdover_rotation::Generation;
//!
//! let (old, new) = (Generation::new(7), Generation::new(8));
//! let now = Timestamp::from_millis(1_000);
//! let bearings = Bearings { now, read: Arc::new([new, old]), write: new, common: new };
//! let (mut load, step) = Carry::begin(Request::Load { at_least: None }, bearings);
//! assert_eq!(step, Step::Ask(Ask::Read { table: new, strongly: true }));
//! let step = load.answered(Answer::Found(None));
//! assert_eq!(step, Step::Ask(Ask::Read { table: old, strongly: true }));
//! assert_eq!(load.answered(Answer::Found(None)), Step::Done(Outcome::Found(None)));
//! ```

mod meaning;
mod steps;
mod table;
mod words;

pub use steps::Carry;
pub use table::perform;
pub use words::{Answer, Ask, Bearings, Change, Held, Outcome, Request, Sight, Sighting, Stamped, Step};
