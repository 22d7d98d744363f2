//! What others do while an operation is between two of its requests.

use holdover_api::{Delta, Lineage, Loaded, On, SaveAnswer, SessionKey, Write};

use super::orders::{Orders, Waiting, play};
use super::stage::{Eve, Seat, Stage, all_read, dead_on};
use crate::case::Ending;
use crate::require;
use crate::rotation::Call;
use crate::trial::Trial;

/// So many orders are drawn where a node has not loaded the session: it then looks for it, and there are hundreds.
const DRAWS: usize = 24;

/// At a boundary: a node whose clock still shows the old period, and two whose clocks do not.
struct Divide {
    stage: Stage,
    slow: Seat,
    fast: [Seat; 2],
}

impl Divide {
    async fn reached(trial: &Trial) -> Result<Self, Ending> {
        let stage = Stage::set(trial).await?;
        stage.gates()?;
        let (slow, one) = stage.slow_and_fast().await?;
        let other = stage.seat(stage.skew()).await?;
        stage.until(stage.boundary(), &[&slow, &one, &other]).await?;
        Ok(Self { stage, slow, fast: [one, other] })
    }

    const fn seats(&self) -> [&Seat; 3] {
        [&self.fast[0], &self.slow, &self.fast[1]]
    }

    /// A session in the old table.
    async fn behind(&self) -> Result<(SessionKey, Loaded), Ending> {
        let key = self.slow.create(&self.stage).await?;
        Ok((key, self.slow.node.load_live(&key).await?))
    }
}

/// Of two writers on one head, from these nodes, one wins; whatever the order of their accesses.
async fn one_wins(divide: &Divide, one: &Seat, other: &Seat) -> Result<(), Ending> {
    let mut orders = Orders::all();
    while let Some(order) = orders.next() {
        let (key, loaded) = divide.behind().await?;
        let writer = |seat: &Seat, value: &[u8]| {
            let on = On::Head(loaded.record.head());
            let write = Write { base: Some(loaded.clone()), ..seat.write(&divide.stage, on, value) };
            saving(seat, key, write)
        };
        let played = play(&divide.stage, &order, writer(one, b"1"), writer(other, b"2")).await?;
        let won: &[u8] = match (&played.one, &played.other) {
            (SaveAnswer::Saved { .. }, SaveAnswer::Conflict { .. }) => b"1",
            (SaveAnswer::Conflict { .. }, SaveAnswer::Saved { .. }) => b"2",
            answers => {
                let turns = &played.turns;
                return Err(Ending::Failed(format!(
                    "writers on one head got {answers:?} after {turns:?} (I2)"
                )));
            }
        };
        all_read(&divide.seats(), &key, won).await?;
        orders.played(played.turns)?;
    }
    orders.were_enough()
}

/// Two merges, of nodes that have loaded the session or have not: both are there, once each.
async fn both_are_there(
    divide: &Divide,
    (one, other): (&Seat, &Seat),
    mut orders: Orders,
    are_loaded: bool,
) -> Result<(), Ending> {
    while let Some(order) = orders.next() {
        let (key, loaded) = divide.behind().await?;
        let base = Some(loaded).filter(|_| are_loaded);
        let mut delta = Delta::default();
        delta.set("m", &b"2"[..]);
        let first = Write { base: base.clone(), ..one.write(&divide.stage, On::Live, b"1") };
        let second = Write { base, delta, ..other.write(&divide.stage, On::Live, b"") };
        let played = play(&divide.stage, &order, saving(one, key, first), saving(other, key, second)).await?;
        let turns = &played.turns;
        for answer in [&played.one, &played.other] {
            require!(matches!(answer, SaveAnswer::Saved { .. }), "a merge got {answer:?} after {turns:?}");
        }
        all_read(&divide.seats(), &key, b"1").await?;
        let record = divide.slow.node.load_live(&key).await?.record;
        let merged = record.attributes.get("m").is_some_and(|value| value == "2");
        require!(merged, "an acknowledged merge is lost after {turns:?} (I2)");
        let writes = record.lineage.writes();
        require!(writes == 3, "three writes count as {writes} after {turns:?} (I2)");
        orders.played(played.turns)?;
    }
    orders.were_enough()
}

/// A save that may run beside others.
fn saving(
    seat: &Seat,
    key: SessionKey,
    write: Write,
) -> impl Future<Output = Result<SaveAnswer, Ending>> + Send + 'static + use<> {
    let node = seat.node.clone();
    async move { node.save(&key, &write).await }
}

/// A load that may run beside others.
fn loading(
    seat: &Seat,
    key: SessionKey,
) -> impl Future<Output = Result<Option<Loaded>, Ending>> + Send + 'static + use<> {
    let node = seat.node.clone();
    async move { node.load(&key).await }
}

pub(super) async fn writer_against_writer(trial: Trial) -> Result<(), Ending> {
    let divide = Divide::reached(&trial).await?;
    let [one, other] = &divide.fast;
    one_wins(&divide, one, other).await?;
    one_wins(&divide, &divide.slow, one).await?;
    both_are_there(&divide, (one, other), Orders::all(), true).await?;
    both_are_there(&divide, (one, other), Orders::drawn(&trial, DRAWS), false).await
}

pub(super) async fn logout_against_a_move(trial: Trial) -> Result<(), Ending> {
    let divide = Divide::reached(&trial).await?;
    let [one, other] = &divide.fast;
    for writes in [false, true] {
        let mut orders = if writes { Orders::all() } else { Orders::drawn(&trial, DRAWS) };
        while let Some(order) = orders.next() {
            let (key, loaded) = divide.behind().await?;
            let (mover, leaver) = (one.node.clone(), other.node.clone());
            let write = Write { base: Some(loaded), ..one.write(&divide.stage, On::Live, b"1") };
            let deadline = one.node.now() + divide.stage.terms.max_lease;
            let moving = async move {
                match writes {
                    true => mover.save(&key, &write).await.map(drop),
                    false => mover.touch(&key, deadline).await.map(drop),
                }
            };
            let leaving = async move { leaver.delete(&key).await };
            let played = play(&divide.stage, &order, moving, leaving).await?;
            dead_on(&divide.stage, &[one, &divide.slow], &key).await?;
            orders.played(played.turns)?;
        }
        orders.were_enough()?;
    }
    Ok(())
}

/// Seals the session in the old table, and dies before it puts it into the new one.
pub(super) async fn dies_on_the_way(
    stage: &Stage,
    mover: &Seat,
    key: &SessionKey,
    value: &[u8],
) -> Result<holdover_api::Error, Ending> {
    stage.world.refuse(Call::Put, usize::MAX);
    let died = mover.node.store.save(key, &mover.write(stage, On::Live, value)).await;
    stage.world.heal();
    died.err().ok_or_else(|| Ending::Vacuous("the move did not need the put that was refused".into()))
}

pub(super) async fn helper_after_a_logout(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    dies_on_the_way(&stage, &one, &key, b"1").await?;
    let helper = Waiting::before(&stage, &[Call::Put], None, loading(&two, key)).await?;
    one.node.delete(&key).await?;
    // It began before the logout, and may see either.
    helper.goes_on().await?;
    dead_on(&stage, &[&one, &two], &key).await
}

pub(super) async fn two_helpers(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key: together } = Eve::of_the_boundary(&trial).await?;
    let apart = one.create(&stage).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    for key in [together, apart] {
        dies_on_the_way(&stage, &one, &key, b"1").await?;
    }
    let helpers = both_held(&stage, &one, &two, together).await?;
    let mut lineages = Vec::new();
    for helper in helpers {
        let found = helper.goes_on().await?;
        lineages.push(found.map(|found| found.record.lineage.clone()));
    }
    all_read(&[&one, &two], &together, b"1").await?;
    for seat in [&one, &two] {
        lineages.push(Some(seat.node.load_live(&together).await?.record.lineage.clone()));
    }
    let same = lineages.windows(2).all(|pair| pair[0] == pair[1]);
    let writes = lineages[0].as_ref().map(Lineage::writes);
    require!(same && writes == Some(2), "helpers made different sessions of one: {lineages:?} (I3)");

    let [first, last] = both_held(&stage, &one, &two, apart).await?;
    first.goes_on().await?;
    one.save(&stage, &apart, b"2").await?;
    last.goes_on().await?;
    all_read(&[&one, &two], &apart, b"2").await
}

/// Loads on two nodes that have found what a dead mover left, and have not put it anywhere yet.
async fn both_held(
    stage: &Stage,
    one: &Seat,
    two: &Seat,
    key: SessionKey,
) -> Result<[Waiting<Option<Loaded>>; 2], Ending> {
    let one = Waiting::before(stage, &[Call::Put], None, loading(one, key)).await?;
    let two = Waiting::before(stage, &[Call::Put], None, loading(two, key)).await?;
    Ok([one, two])
}

pub(super) async fn moved_behind_a_reader(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    let old = stage.world.name(stage.begins());
    stage.over_the_boundary(&[&one, &two]).await?;
    let reader = Waiting::before(&stage, &[Call::Read], Some(&old), loading(&one, key)).await?;
    two.touch(&stage, &key).await?;
    stage.world.drop_by_hand(&old).await.map_err(Ending::Error)?;
    let found = reader.goes_on().await?;
    require!(found.is_some(), "a session that was carried on while it was looked for was not found (I5)");
    all_read(&[&one, &two], &key, b"0").await
}

pub(super) async fn touch_held_over_the_boundary(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(stage.skew()).await?);
    let terms = stage.terms;
    stage.until(stage.boundary() - terms.lead * 2, &[&one, &two]).await?;
    let key = one.create(&stage).await?;
    stage.until_the_eve(&[&one, &two]).await?;
    let promised = one.node.now() + terms.max_lease;
    let node = one.node.clone();
    let touch =
        Waiting::before(&stage, &[Call::Change], None, async move { node.touch(&key, promised).await })
            .await?;
    // Longer than tables are kept for the sake of slow operations.
    let late = stage.boundary() + (terms.max_skew * 2 + terms.grace) * 3 + terms.settle;
    stage.until(late, &[&one, &two]).await?;
    require!(touch.goes_on().await?, "a touch of a live session found none");
    let deadline = super::clocks::lives_to_its_deadline(&stage, &[&one, &two], &key).await?;
    require!(deadline == promised, "a lease of {:?} more than was asked for", deadline.since(promised));
    Ok(())
}
