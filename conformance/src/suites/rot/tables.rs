//! Tables that come late or not at all, that go, that are not ours, and what all of it costs.

use std::time::Duration;

use holdover_api::{Effect, ErrorKind, On, SaveAnswer, Timestamp, Write};

use super::stage::{Seat, Stage, all_read, tick};
use crate::case::Ending;
use crate::require;
use crate::rotation::Call;
use crate::suites::race::support::must_save;
use crate::trial::Trial;

const SECOND: Duration = Duration::from_secs(1);
/// More than one page of a list has.
const MANY: usize = 120;
/// Boundaries in a row; `crossings` takes any number.
const BOUNDARIES: usize = 10;
/// The requests of one user in a period.
const REQUESTS: u32 = 20;

/// To a quarter into the next period, whose table cannot be had.
pub(super) async fn without_a_next_table(stage: &Stage, seats: &[&Seat]) -> Result<Timestamp, Ending> {
    stage.until(stage.boundary() - stage.terms.lead * 2, seats).await?;
    let late = stage.boundary() + stage.terms.period / 4;
    stage.world.refuse(Call::Create, usize::MAX);
    let ticks = stage.until_whatever(late, seats).await;
    if ticks.iter().all(|ticked| ticked.failures.is_empty()) {
        return Err(Ending::Vacuous("no keeper asked for the next table".into()));
    }
    Ok(late)
}

pub(super) async fn dropped_not_too_early(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (slow, fast) = stage.slow_and_fast().await?;
    let seats = [&fast, &slow];
    let name = stage.world.name(stage.begins());
    let terms = stage.terms;
    let last = stage.boundary() + terms.max_lease + terms.max_skew * 2 + terms.grace;
    stage.until(last - SECOND * 5, &seats).await?;
    while stage.now() < last {
        require!(
            stage.is_there(&name).await?,
            "a table was dropped {:?} before everybody has done with it",
            last.since(stage.now())
        );
        stage.world.clock().advance(SECOND / 4);
        tick(&seats).await;
    }
    stage.until(last + terms.refresh + stage.step(), &seats).await?;
    require!(!stage.is_there(&name).await?, "the table is still there long after the last lease in it");
    Ok(())
}

pub(super) async fn dropped_in_the_end(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    for _ in 0..5 {
        let key = one.create(&stage).await?;
        stage.until(stage.now() + stage.terms.period, &[&one, &two]).await?;
        require!(two.node.load(&key).await?.is_none(), "a session outlives its deadline by far (I4)");
    }
    let base = stage.world.base();
    let tables = stage.world.tables().await.map_err(Ending::Error)?;
    let ours = tables.iter().filter(|name| name.starts_with(&base)).count();
    require!(ours <= 4, "{ours} tables are there after five periods");
    Ok(())
}

pub(super) async fn the_next_table_is_late(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    let seats = [&one, &two];
    without_a_next_table(&stage, &seats).await?;
    let key = one.create(&stage).await?;
    two.save(&stage, &key, b"1").await?;
    all_read(&seats, &key, b"1").await?;
    stage.world.heal();
    tick(&seats).await;
    for turn in 0..6 {
        stage.until(stage.now() + stage.terms.max_lease / 2, &seats).await?;
        let value = turn.to_string();
        seats[turn % 2].save(&stage, &key, value.as_bytes()).await?;
        all_read(&seats, &key, value.as_bytes()).await?;
    }
    let name = stage.world.name(stage.begins());
    require!(stage.is_there(&name).await?, "after the late table the next ones did not come either");
    the_next_table_takes_longer_than_its_period(&trial).await
}

/// It is there in time, and not ready. Until there is another one, what cannot be written is refused and has no effect: the
/// table before would be written to after others stop looking there.
async fn the_next_table_takes_longer_than_its_period(trial: &Trial) -> Result<(), Ending> {
    let stage = Stage::set(trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    let seats = [&one, &two];
    if !stage.world.tables_take(stage.terms.period + stage.terms.lead * 2) {
        return Err(Ending::Vacuous("in this world tables are ready at once".into()));
    }
    stage.until_the_eve(&seats).await?;
    require!(stage.is_there(&stage.world.name(stage.boundary())).await?, "nobody asked for the next table");
    stage.world.tables_take(Duration::ZERO);
    let key = one.create(&stage).await?;
    let last = stage.now() + stage.terms.max_lease - stage.terms.max_skew;
    let second = stage.boundary() + stage.terms.period;
    let mut acknowledged = b"0".to_vec();
    for turn in 1..=8_u32 {
        stage.until(last - stage.terms.max_lease / 8 * (8 - turn), &seats).await?;
        let value = turn.to_string().into_bytes();
        let write = two.write(&stage, On::Live, &value);
        match two.node.store.save(&key, &write).await {
            Ok(SaveAnswer::Saved { .. }) => acknowledged = value,
            Ok(answer) => {
                return Err(Ending::Failed(format!("a save of a live session answered {answer:?}")));
            }
            Err(error) => {
                let told = (error.kind(), error.effect());
                require!(
                    told == (ErrorKind::Unavailable, Effect::None),
                    "a table that is not ready: {error}"
                );
            }
        }
        all_read(&seats, &key, &acknowledged).await?;
    }
    // Until then whoever creates something passes by the table that is not ready, where others might still come.
    stage.until(second + stage.terms.max_skew * 2 + stage.terms.grace, &seats).await?;
    let born = one.create(&stage).await?;
    two.save(&stage, &born, b"1").await?;
    all_read(&seats, &born, b"1").await
}

pub(super) async fn many_create_at_once(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let mut nodes = Vec::new();
    for _ in 0..5 {
        nodes.push(stage.seat(0).await?);
    }
    stage.world.clock().set(stage.boundary() - stage.terms.lead / 2);
    let before = stage.world.tables().await.map_err(Ending::Error)?.len();
    let (a, b, c, d, e) = tokio::join!(
        nodes[0].keeper.tick(),
        nodes[1].keeper.tick(),
        nodes[2].keeper.tick(),
        nodes[3].keeper.tick(),
        nodes[4].keeper.tick()
    );
    for ticked in [a, b, c, d, e] {
        require!(ticked.failures.is_empty(), "another node was faster, and that is a failure: {ticked:?}");
    }
    let after = stage.world.tables().await.map_err(Ending::Error)?.len();
    require!(after == before + 1, "five nodes made {} tables", after - before);
    Ok(())
}

pub(super) async fn tables_cannot_be_kept(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    let seats = [&one, &two];
    let key = one.create(&stage).await?;
    tick(&seats).await;
    let before = stage.world.tables().await.map_err(Ending::Error)?;
    stage.world.refuse(Call::List, usize::MAX);
    stage.world.refuse(Call::Create, usize::MAX);
    let end = stage.now() + stage.terms.period * 3;
    let mut turn = 0_usize;
    while stage.now() < end {
        let ticks = stage.until_whatever(stage.now() + stage.terms.max_lease / 3, &seats).await;
        let told = ticks.iter().all(|ticked| !ticked.failures.is_empty());
        require!(told, "a keeper that may not keep tables says nothing of it");
        turn += 1;
        let value = turn.to_string();
        seats[turn % 2].save(&stage, &key, value.as_bytes()).await?;
        all_read(&seats, &key, value.as_bytes()).await?;
    }
    let after = stage.world.tables().await.map_err(Ending::Error)?;
    require!(before == after, "tables have changed though none could be listed or created");
    stage.world.heal();
    stage.until_whatever(stage.now() + stage.step() * 2, &seats).await;
    all_read(&seats, &key, turn.to_string().as_bytes()).await
}

/// Tables that are not the store's are there, before and after its own in the list, and stay.
async fn theirs_stay(stage: &Stage, theirs: Vec<String>) -> Result<(), Ending> {
    for name in &theirs {
        stage.world.create_by_hand(name).await.map_err(Ending::Error)?;
    }
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    let key = one.create(stage).await?;
    let first = stage.world.name(stage.begins());
    let end = stage.now() + stage.terms.period * 3;
    while stage.now() < end {
        stage.until(stage.now() + stage.terms.max_lease / 2, &[&one, &two]).await?;
        two.touch(stage, &key).await?;
        all_read(&[&one, &two], &key, b"0").await?;
    }
    let tables = stage.world.tables().await.map_err(Ending::Error)?;
    let gone: Vec<&String> = theirs.iter().filter(|name| !tables.contains(name)).collect();
    require!(gone.is_empty(), "tables of somebody else were dropped: {gone:?}");
    require!(
        !tables.contains(&first),
        "among the tables of others the store's own were not found and dropped"
    );
    Ok(())
}

pub(super) async fn more_than_a_page(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    theirs_stay(&stage, (0..MANY).map(|number| format!("another-{number:03}")).collect()).await
}

pub(super) async fn names_like_ours(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let base = stage.world.base();
    let old = stage.world.name(stage.begins() - stage.terms.period * 9);
    let theirs = vec![
        base.clone(),
        format!("{base}-beta"),
        old.replacen(&base, &format!("{base}-beta"), 1),
        format!("{base}_20260101_000000"),
        format!("{old}x"),
        format!("{old}0"),
        old.replacen(&base, &format!("x{base}"), 1),
    ];
    theirs_stay(&stage, theirs).await
}

pub(super) async fn cost(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let seat = stage.seat(0).await?;
    let key = seat.create(&stage).await?;
    for period in 0..3_u32 {
        stage.until(stage.boundary() + stage.terms.period / 20, &[&seat]).await?;
        // The first request of the period keeps the session over the gap above.
        let (writes, reads) = (stage.writes(), stage.world.asked(Call::Read));
        for _ in 0..REQUESTS {
            let loaded = seat.node.load_live(&key).await?;
            let write = Write { base: Some(loaded), ..seat.write(&stage, On::Live, b"0") };
            must_save(&seat.node, &key, &write).await?;
        }
        let (writes, reads) = (stage.writes() - writes, stage.world.asked(Call::Read) - reads);
        let most = usize::try_from(REQUESTS).unwrap_or_default() + 1;
        require!(writes <= most, "period {period}: {REQUESTS} requests wrote {writes} times");
        require!(reads <= most, "period {period}: {REQUESTS} loads read {reads} times");
        stage.until(stage.boundary() - stage.terms.max_lease / 2, &[&seat]).await?;
        seat.touch(&stage, &key).await?;
    }
    Ok(())
}

pub(super) async fn many_boundaries(trial: Trial) -> Result<(), Ending> {
    let Some(rotation) = trial.harness().rotation() else {
        return Err(Ending::Error("the harness no longer makes worlds for cases on tables".into()));
    };
    let period = u64::try_from(rotation.terms().period.as_millis()).unwrap_or(u64::MAX);
    let begins = Timestamp::from_millis(trial.now().as_millis() / period * period);
    let now = begins + rotation.terms().period / 2;
    crate::crossings(&rotation, now, BOUNDARIES, trial.seed()).await.map(drop).map_err(Ending::Failed)
}
