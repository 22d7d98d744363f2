//! Sessions in DynamoDB: one item a session, and one conditional write for each change.
//!
//! `README.md` beside this file has the URL's parameters, the layout, what each operation costs, the policy that a role
//! needs, and the settings that a table should have.

mod access;
mod capacity;
#[cfg(feature = "dynamodb-local")]
mod census;
mod client;
mod config;
mod consumed;
mod control;
#[cfg(feature = "dynamodb-local")]
mod embedded;
mod error;
mod layout;
mod one;
mod prepare;
mod rotating;
mod statement;
mod store;
mod table;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use holdover_api::{Clock, Error, SessionStore};
use holdover_rotation::{Keeper, Names, Schedule};

#[cfg(feature = "dynamodb-local")]
pub use self::census::Census;
use self::config::{Config, ExpiryBy, Place};
pub use self::consumed::Consumed;
use self::consumed::Meter;
use self::control::Control;
use self::one::OneTable;
use self::prepare::Preparation;
use self::rotating::Rotating;
pub use self::store::DynamoDb;
use self::store::{Home, Settings};
use self::table::Table;
use crate::parameters::misconfigured;
use crate::url::Parts;

/// How the store prints itself.
const NAME: &str = "dynamodb";

/// Opens the store that a URL names; fails if the table is not there, not ready, or not as it should be.
pub(crate) async fn connect(
    parts: &Parts<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn SessionStore>, Error> {
    Ok(open(parts, clock, None).await?)
}

async fn open(
    parts: &Parts<'_>,
    clock: Arc<dyn Clock>,
    schedule: Option<Schedule>,
) -> Result<Arc<DynamoDb>, Error> {
    let config = Config::parse(parts)?;
    let client = client::client(&config, &clock).await?;
    let meter = Arc::new(Meter::default());
    let home = match (schedule, config.expiry) {
        (Some(schedule), _) | (None, ExpiryBy::Rotation(schedule)) => {
            let rotating = in_turn(&client, &clock, &meter, &config, schedule)?;
            rotating.prepare(config.create || config.keeper, config.prepare_timeout).await?;
            Home::InTurn(rotating)
        }
        (None, ExpiryBy::TimeToLive | ExpiryBy::Nobody) => {
            Preparation { client: &client, config: &config }.run().await?;
            let table = Table::new(client, config.table.clone(), Arc::clone(&meter));
            let table = OneTable { table, clock, max_bytes: config.max_bytes };
            Home::One { table, expires: config.expiry == ExpiryBy::TimeToLive }
        }
    };
    let keeping = match &home {
        Home::InTurn(rotating) if config.keeper => Some(store::keep(Arc::clone(&rotating.keeper))),
        _ => None,
    };
    let settings = Settings {
        survives: config.survives,
        shared: config.place != Place::Embedded,
        patience: config.connect_timeout + config.response_timeout * 2,
        max_bytes: config.max_bytes,
        prefix: config.prefix,
    };
    Ok(Arc::new(DynamoDb { home, settings, meter, _keeping: keeping }))
}

fn in_turn(
    client: &Client,
    clock: &Arc<dyn Clock>,
    meter: &Arc<Meter>,
    config: &Config,
    schedule: Schedule,
) -> Result<Rotating, Error> {
    let names = Names::new(&config.table, &schedule);
    let names = names.map_err(|error| misconfigured(NAME, error.to_string()))?;
    let control = Arc::new(Control { client: client.clone(), names: names.clone(), billing: config.billing });
    Ok(Rotating {
        client: client.clone(),
        meter: Arc::clone(meter),
        keeper: Arc::new(Keeper::new(schedule, names, control, Arc::clone(clock))),
        clock: Arc::clone(clock),
        max_bytes: config.max_bytes,
    })
}
