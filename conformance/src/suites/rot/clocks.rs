//! Nodes that restart, sleep, or whose clocks are off; leases up to their last moment.

use std::time::Duration;

use holdover_api::{Deadline, Effect, ErrorKind, On, SaveAnswer, Timestamp, Write};

use super::stage::{Eve, Seat, Stage, all_read, tick};
use crate::case::Ending;
use crate::require;
use crate::suites::race::support::must_save;
use crate::trial::Trial;

const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) async fn dropped_too_early(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    stage.until_the_eve(&[&one, &two]).await?;
    let old = stage.world.name(stage.begins());
    let lost = one.create(&stage).await?;
    let loaded = one.node.load_live(&lost).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    let kept = one.create(&stage).await?;
    stage.world.drop_by_hand(&old).await.map_err(Ending::Error)?;
    all_read(&[&one, &two], &kept, b"0").await?;
    require!(two.node.load(&trial.key()).await?.is_none(), "an unknown key was found");
    let write = Write { base: Some(loaded), ..one.write(&stage, On::Live, b"1") };
    let answer = one.node.store.save(&lost, &write).await;
    let acknowledged = matches!(answer, Ok(SaveAnswer::Saved { .. }));
    require!(!acknowledged, "a write into a table that is gone was acknowledged (I2)");
    one.save(&stage, &kept, b"1").await?;
    all_read(&[&one, &two], &kept, b"1").await
}

pub(super) async fn restart_after_a_boundary(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let before = stage.seat(0).await?;
    stage.until_the_eve(&[&before]).await?;
    let key = before.create(&stage).await?;
    stage.over_the_boundary(&[&before]).await?;
    let after = stage.seat(0).await?;
    all_read(&[&after], &key, b"0").await?;
    after.save(&stage, &key, b"1").await?;
    all_read(&[&before, &after], &key, b"1").await
}

pub(super) async fn asleep(trial: Trial) -> Result<(), Ending> {
    for periods in [1, 2, 5] {
        let stage = Stage::set(&trial).await?;
        let (sleeper, other) = (stage.seat(0).await?, stage.seat(0).await?);
        let key = sleeper.create(&stage).await?;
        let end = stage.boundary() + stage.terms.period * periods - stage.terms.max_skew;
        while stage.now() < end {
            stage.until(end.min(stage.now() + stage.terms.max_lease / 3), &[&other]).await?;
            other.touch(&stage, &key).await?;
        }
        // A little later the session is still in the table of the period that has just ended.
        stage.until(end + stage.terms.max_skew * 3, &[&other]).await?;
        let live = stage.world.name(stage.begins() - stage.terms.period);
        let woken = tick(&[&sleeper]).await;
        require!(
            stage.is_there(&live).await?,
            "a node that woke dropped a table of live sessions: {woken:?}"
        );
        all_read(&[&sleeper, &other], &key, b"0").await?;
        sleeper.save(&stage, &key, b"1").await?;
        all_read(&[&other, &sleeper], &key, b"1").await?;
    }
    Ok(())
}

pub(super) async fn a_clock_far_ahead(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: stray, key } = Eve::of_the_boundary(&trial).await?;
    stage.over_the_boundary(&[&one, &stray]).await?;
    let before = stage.world.tables().await.map_err(Ending::Error)?;
    let period = i64::try_from(stage.terms.period.as_millis()).unwrap_or(i64::MAX);
    for periods in [1, 3, -1, -3] {
        stray.clock.be_ahead(period * periods);
        for ticked in [stray.keeper.tick().await, stray.keeper.tick().await] {
            let alone = !ticked.created && ticked.dropped == 0 && ticked.held.is_some();
            require!(alone, "a node whose clock is {periods} periods off was not held back: {ticked:?}");
        }
    }
    let after = stage.world.tables().await.map_err(Ending::Error)?;
    require!(before == after, "a node whose clock is off has changed the tables");
    all_read(&[&one], &key, b"0").await
}

pub(super) async fn a_clock_steps_back(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(stage.skew()).await?);
    stage.until_the_eve(&[&one, &two]).await?;
    let key = one.create(&stage).await?;
    stage.until(stage.boundary(), &[&one, &two]).await?;
    two.save(&stage, &key, b"1").await?;
    two.clock.be_ahead(-stage.skew());
    two.save(&stage, &key, b"2").await?;
    all_read(&[&two, &one], &key, b"2").await?;
    stage.begin_the_period(&[&one, &two]).await?;
    all_read(&[&one, &two], &key, b"2").await?;
    let writes = one.node.load_live(&key).await?.record.lineage.writes();
    require!(writes == 3, "three writes count as {writes} (I2)");
    Ok(())
}

pub(super) async fn too_long_a_lease(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let seat = stage.seat(0).await?;
    let deadline = seat.node.now() + stage.terms.max_lease + MILLISECOND;
    let key = trial.key();
    let on = On::Absent { created: seat.node.now() };
    let birth = Write { deadline: Deadline::AtLeast(deadline), ..seat.write(&stage, on, b"0") };
    let standing = seat.create(&stage).await?;
    let answers = [
        seat.node.store.save(&key, &birth).await.err(),
        seat.node.store.touch(&standing, deadline).await.err(),
    ];
    for error in answers {
        let told = error.map(|error| (error.kind(), error.effect()));
        require!(
            told == Some((ErrorKind::Misconfigured, Effect::None)),
            "a lease that is longer than tables are kept was answered with {told:?}"
        );
    }
    require!(seat.node.load(&key).await?.is_none(), "a create that was refused has made a session");
    Ok(())
}

/// Keepers come by until just before the deadline of a session that nobody uses any more: it is found until then.
pub(super) async fn lives_to_its_deadline(
    stage: &Stage,
    seats: &[&Seat],
    key: &holdover_api::SessionKey,
) -> Result<Timestamp, Ending> {
    let deadline = seats[0].node.load_live(key).await?.record.deadline;
    // A node whose clock is ahead sees the deadline so much sooner.
    let last = deadline - stage.terms.max_skew - MILLISECOND;
    stage.until(last, seats).await?;
    all_read(seats, key, b"0").await?;
    Ok(deadline)
}

pub(super) async fn touched_at_the_last_moment(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two, three) = (stage.seat(0).await?, stage.seat(stage.skew()).await?, stage.seat(0).await?);
    let seats = [&one, &two, &three];
    let key = one.create(&stage).await?;
    stage.until(stage.boundary() - stage.terms.max_lease / 2, &seats).await?;
    one.touch(&stage, &key).await?;
    stage.until(stage.boundary() - MILLISECOND, &seats).await?;
    one.touch(&stage, &key).await?;
    let promised = one.node.load_live(&key).await?.record.deadline;
    require!(
        promised == stage.now() + stage.terms.max_lease,
        "a touch promised a lease of {:?}",
        promised.since(stage.now())
    );
    lives_to_its_deadline(&stage, &seats, &key).await?;
    Ok(())
}

pub(super) async fn no_table_below_the_newest(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (slow, fast) = stage.slow_and_fast().await?;
    stage.until(stage.boundary() - MILLISECOND, &[&slow, &fast]).await?;
    let old = stage.world.name(stage.begins());
    let key = fast.create(&stage).await?;
    stage.world.drop_by_hand(&old).await.map_err(Ending::Error)?;
    for ticked in [slow.keeper.tick().await, slow.keeper.tick().await] {
        require!(!ticked.created, "a node that is behind created a table below the newest: {ticked:?}");
    }
    require!(!stage.is_there(&old).await?, "a table that was dropped is there again");
    stage.until(stage.boundary() + stage.terms.max_skew * 2, &[&fast, &slow]).await?;
    all_read(&[&fast, &slow], &key, b"0").await
}

pub(super) async fn written_late_into_the_old_table(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (one, two) = (stage.seat(0).await?, stage.seat(0).await?);
    let seats = [&one, &two];
    let old = stage.world.name(stage.begins());
    let late = super::tables::without_a_next_table(&stage, &seats).await?;
    let key = one.create(&stage).await?;
    let deadline = one.node.load_live(&key).await?.record.deadline;
    require!(stage.now() == late, "the world did not stop where it was told to");
    stage.world.heal();
    let created = tick(&seats).await.iter().any(|ticked| ticked.created);
    require!(created, "no node creates the table that is late");
    lives_to_its_deadline(&stage, &seats, &key).await?;
    require!(stage.is_there(&old).await?, "the old table was dropped before the last lease in it had ended");
    stage.until(deadline, &seats).await?;
    require!(one.node.load(&key).await?.is_none(), "an expired session was loaded (I4)");
    let again = one.create(&stage).await?;
    must_save(&two.node, &again, &two.write(&stage, On::Live, b"1")).await
}
