//! The load: clients in a closed loop over the sessions in use, and visitors who leave or log out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holdover::api::pause;
use tokio::task::JoinSet;

use super::world::World;

/// What a client does not do between two requests: the database is in this process, and needs the processor as well.
const THINKING: Duration = Duration::from_millis(5);
const BETWEEN_VISITORS: Duration = Duration::from_millis(25);

/// Starts the load, which ends when the world is over.
pub(crate) fn start(world: &Arc<World>, clients: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        tasks.spawn(be_a_client(Arc::clone(world), client));
    }
    tasks.spawn(receive_visitors(Arc::clone(world)));
    tasks
}

/// Goes around the sessions, so that none is forgotten; a quarter of the requests change something.
async fn be_a_client(world: Arc<World>, client: usize) {
    let mut turn = client * 31;
    let mut random = client as u64 + 1;
    while !world.over.load(Ordering::Relaxed) {
        random = scramble(random);
        world.request(world.use_session(turn, random.is_multiple_of(4))).await;
        turn = turn.wrapping_add(1);
        pause(THINKING).await;
    }
}

async fn receive_visitors(world: Arc<World>) {
    let mut turn = 0_usize;
    while !world.over.load(Ordering::Relaxed) {
        world.request(world.leave_one_behind()).await;
        world.request(world.log_out()).await;
        world.request(world.look_back(turn)).await;
        turn = turn.wrapping_add(7);
        pause(BETWEEN_VISITORS).await;
    }
}

/// Any order will do, as long as it is the same next time: the step of SplitMix64.
const fn scramble(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
