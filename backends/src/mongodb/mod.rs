//! Sessions in MongoDB: one document a session, one command an operation, and a TTL index that removes what is over.
//!
//! `README.md` beside this file has the URL's parameters, the layout, what an election loses and costs, and figures.

mod config;
mod document;
mod effort;
mod error;
mod place;
mod prepare;
mod store;
mod write;

use std::sync::Arc;

use holdover_api::{Clock, Error, Operation, SessionStore};

use self::config::Config;
use self::effort::Effort;
use self::place::Place;
pub use self::store::Mongodb;
use crate::url::Parts;

/// How the store prints itself.
const NAME: &str = "mongodb";

/// Opens the store that a URL names; fails if no primary can be reached now, or if the collection is not fit for it.
pub(crate) async fn connect(
    parts: &Parts<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn SessionStore>, Error> {
    let config = Config::parse(parts)?;
    let options = config.options().await?;
    let concern = options.write_concern.clone().unwrap_or_default();
    let place = Place::new(&config, options)?;
    let patience = config.prepare_timeout();
    let effort = Effort { place: &place, operation: Operation::Connect, patience };
    let deployment = effort.make(|reached| prepare::prepare(reached, config.create, patience)).await?;
    let survives = config::survives(deployment, &concern);
    Ok(Arc::new(Mongodb::new(place, clock, config.max_bytes, config.response_timeout, survives)))
}
