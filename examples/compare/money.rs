//! What requests consume on DynamoDB, as the embedded one reports it, and what that comes to.

use std::sync::Arc;

use holdover_backends::dynamodb::DynamoDb;
use holdover_rotation::planner::Prices;

use crate::requests::{Request, serve, visitor};
use crate::result::Units;
use crate::stacks::{Fallible, Stand};

pub(crate) const PRICES: Prices = Prices::US_EAST_1_AS_OF_2026_11;
const BYTES: usize = 1024;
const REPEATS: u32 = 20;

/// Nothing where it is not DynamoDB, or nobody tells what it consumes.
pub(crate) async fn measure(stand: &Stand) -> Fallible<Vec<Units>> {
    let Some(store) = stand.open_dynamodb().await? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for request in Request::ALL {
        all.push(consumed(stand, &store, request).await?);
    }
    Ok(all)
}

async fn consumed(stand: &Stand, store: &Arc<DynamoDb>, request: Request) -> Fallible<Units> {
    let policy = stand.policy(Arc::clone(store) as Arc<_>);
    let (mut reads, mut writes) = (0.0, 0.0);
    for _ in 0..REPEATS {
        let id = visitor(&policy, BYTES).await?;
        let before = store.consumed();
        serve(&policy, &id, request, BYTES).await?;
        let after = store.consumed();
        if after.unreported != before.unreported {
            return Err("a request consumed what nobody reports".into());
        }
        reads += after.read_units - before.read_units;
        writes += after.write_units - before.write_units;
    }
    Ok(priced(request, reads / f64::from(REPEATS), writes / f64::from(REPEATS)))
}

fn priced(request: Request, reads: f64, writes: f64) -> Units {
    let dollars = reads * PRICES.per_million_reads + writes * PRICES.per_million_writes;
    Units { request, reads, writes, dollars }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_requests_cost_their_units_at_the_dated_prices() {
        let units = priced(Request::Modify, 1.0, 2.0);
        assert!((units.dollars - (0.125 + 2.0 * 0.625)).abs() < 1e-9, "{units:?}");
    }
}
