//! Sessions in DynamoDB: one item a session, and one conditional write for each change.
//!
//! `README.md` beside this file has the URL's parameters, the layout, what each operation costs, the policy that a role
//! needs, and the settings that a table should have.

mod client;
mod config;
mod consumed;
#[cfg(feature = "dynamodb-local")]
mod embedded;
mod error;
mod layout;
mod prepare;
mod statement;
mod store;
mod table;

use std::sync::Arc;

use holdover_api::{Clock, Error, SessionStore};

use self::config::Config;
pub use self::consumed::Consumed;
use self::prepare::Preparation;
pub use self::store::DynamoDb;
use crate::url::Parts;

/// How the store prints itself.
const NAME: &str = "dynamodb";

/// Opens the store that a URL names; fails if the table is not there, not ready, or not as it should be.
pub(crate) async fn connect(
    parts: &Parts<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn SessionStore>, Error> {
    Ok(open(parts, clock).await?)
}

async fn open(parts: &Parts<'_>, clock: Arc<dyn Clock>) -> Result<Arc<DynamoDb>, Error> {
    let config = Config::parse(parts)?;
    let client = client::client(&config).await?;
    Preparation { client: &client, config: &config }.run().await?;
    Ok(Arc::new(DynamoDb::new(client, clock, config)))
}
